"""CDS Hooks: cards that were shown, what became of them, and tokens that were used.

Law: a step that has been released is never changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_FINDINGS = "'hypercalcemia', 'raised_alp', 'anemia', 'thrombocytopenia', 'pattern'"
_SEVERITIES = "'info', 'mild', 'moderate', 'severe', 'critical'"


def upgrade() -> None:
    op.create_table(
        "cds_cards",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("indicator", sa.Text(), nullable=False),
        sa.Column("finding", sa.Text(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("ruleset", sa.Text(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("flag_id", sa.Text(), nullable=True),
        sa.CheckConstraint(f"finding IN ({_FINDINGS})", name=op.f("ck_cds_cards_finding")),
        sa.CheckConstraint(f"severity IN ({_SEVERITIES})", name=op.f("ck_cds_cards_severity")),
        sa.CheckConstraint("indicator IN ('info', 'warning', 'critical')", name=op.f("ck_cds_cards_indicator")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cds_cards")),
    )
    op.create_index("ix_cds_cards_shown_at", "cds_cards", ["shown_at"], unique=False)
    op.create_index("ix_cds_cards_flag_id", "cds_cards", ["flag_id"], unique=False)
    op.create_table(
        "cds_feedback",
        sa.Column("card", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("outcome_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("suggestion", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("orphan", sa.Boolean(), nullable=False),
        sa.Column("reason_system", sa.Text(), nullable=True),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("listed", sa.Boolean(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.CheckConstraint("outcome IN ('accepted', 'overridden')", name=op.f("ck_cds_feedback_outcome")),
        sa.CheckConstraint("(reason_code IS NULL) = (listed IS NULL)", name=op.f("ck_cds_feedback_reason")),
        sa.PrimaryKeyConstraint("card", "outcome", "outcome_at", "suggestion", name=op.f("pk_cds_feedback")),
    )
    op.create_index("ix_cds_feedback_received_at", "cds_feedback", ["received_at"], unique=False)
    op.create_table(
        "cds_tokens",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "token", name=op.f("pk_cds_tokens")),
    )
    op.create_index("ix_cds_tokens_expires_at", "cds_tokens", ["expires_at"], unique=False)


def downgrade() -> None:
    for table in ("cds_tokens", "cds_feedback", "cds_cards"):
        op.drop_table(table)
