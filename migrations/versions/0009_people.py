"""People, their sessions, their attempts to sign in, and sign-ins that are under way elsewhere.

Law: a step that has been released is never changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_NOW = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("created_at", _NOW, nullable=False),
        sa.Column("changed_at", _NOW, nullable=False),
        sa.Column("disabled_at", _NOW, nullable=True),
        sa.CheckConstraint(
            "role IN ('viewer', 'clinician', 'rule_owner', 'administrator')", name=op.f("ck_people_role")
        ),
        sa.CheckConstraint("(issuer IS NULL) = (subject IS NULL)", name=op.f("ck_people_issuer")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
    )
    op.create_index("uq_people_login", "people", ["login"], unique=True)
    op.create_index("uq_people_subject", "people", ["issuer", "subject"], unique=True)
    op.create_table(
        "sessions",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("created_at", _NOW, nullable=False),
        sa.Column("seen_at", _NOW, nullable=False),
        sa.Column("ends_at", _NOW, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_sessions_people")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_person", "sessions", ["person_id"], unique=False)
    op.create_index("ix_sessions_ends_at", "sessions", ["ends_at"], unique=False)
    op.create_table(
        "sign_in_attempts",
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", _NOW, nullable=False),
        sa.CheckConstraint("failures > 0", name=op.f("ck_sign_in_attempts_failures")),
        sa.PrimaryKeyConstraint("who", name=op.f("pk_sign_in_attempts")),
    )
    op.create_index("ix_sign_in_attempts_last_at", "sign_in_attempts", ["last_at"], unique=False)
    op.create_table(
        "oidc_requests",
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("verifier", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("ends_at", _NOW, nullable=False),
        sa.PrimaryKeyConstraint("state", name=op.f("pk_oidc_requests")),
    )
    op.create_index("ix_oidc_requests_ends_at", "oidc_requests", ["ends_at"], unique=False)


def downgrade() -> None:
    for table in ("oidc_requests", "sign_in_attempts", "sessions", "people"):
        op.drop_table(table)
