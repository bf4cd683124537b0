"""remembered answers, and indexes for what is asked per source and per result.

Law: a step that has been released is never changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("client", "route", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_expires_at", "idempotency_keys", ["expires_at"], unique=False)
    op.create_index("ix_panels_source", "panels", ["source", "received_at"], unique=False)
    op.create_index("ix_verdicts_result", "verdicts", ["patient_id", "result_id", "result_version"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_verdicts_result", "verdicts")
    op.drop_index("ix_panels_source", "panels")
    op.drop_index("ix_idempotency_keys_expires_at", "idempotency_keys")

    op.drop_table("idempotency_keys")
