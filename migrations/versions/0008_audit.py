"""Who read and wrote what, in a chain of hashes.

Law: a step that has been released is never changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_PLACE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("place", _PLACE, autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.CheckConstraint("place > 0", name=op.f("ck_audit_place")),
        sa.CheckConstraint("kind IN ('key', 'person', 'operator', 'system')", name=op.f("ck_audit_kind")),
        sa.CheckConstraint("(kind IS NULL) = (actor IS NULL)", name=op.f("ck_audit_actor")),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_at", "audit", ["at", "place"], unique=False)
    op.create_index("ix_audit_actor", "audit", ["actor", "at", "place"], unique=False)
    op.create_index("ix_audit_subject", "audit", ["subject", "at", "place"], unique=False)
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("from_place", sa.BigInteger(), nullable=False),
        sa.Column("from_hash", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_audit_head_one")),
        sa.CheckConstraint("from_place <= place", name=op.f("ck_audit_head_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )


def downgrade() -> None:
    op.drop_table("audit_head")
    op.drop_table("audit")
