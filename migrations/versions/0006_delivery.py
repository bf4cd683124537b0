"""Who wants to be told, what is on its way to them, and every attempt; events that are about no patient.

Law: a step that has been released is never changed.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NOW = sa.DateTime(timezone=True)


def upgrade() -> None:
    _widen_outbox()
    _make_subscriptions()
    _make_deliveries()
    op.create_table(
        "delivery_attempts",
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", _NOW, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.CheckConstraint("outcome IN ('sent', 'later', 'refused')", name=op.f("ck_delivery_attempts_outcome")),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_delivery_attempts_deliveries")),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_delivery_attempts")),
    )


def _widen_outbox() -> None:
    with op.batch_alter_table("outbox") as outbox:
        outbox.alter_column("patient_id", existing_type=sa.Text(), nullable=True)
        outbox.alter_column("episode_id", existing_type=sa.Text(), nullable=True)
        outbox.add_column(sa.Column("only_for", sa.Text(), nullable=True))
        # Nobody was subscribed before this step.
        outbox.add_column(sa.Column("fanned", sa.Boolean(), nullable=False, server_default=sa.true()))
    with op.batch_alter_table("outbox") as outbox:
        outbox.alter_column("fanned", existing_type=sa.Boolean(), server_default=sa.false())
    op.create_index(
        "ix_outbox_unfanned",
        "outbox",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("NOT fanned"),
        postgresql_where=sa.text("NOT fanned"),
    )


def _make_subscriptions() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("filter", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("old_secret", sa.Text(), nullable=True),
        sa.Column("old_secret_until", _NOW, nullable=True),
        sa.Column("credential", sa.Text(), nullable=True),
        sa.Column("from_seq", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("hold_until", _NOW, nullable=True),
        sa.Column("held_at", _NOW, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", _NOW, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("changed_at", _NOW, nullable=False),
        sa.CheckConstraint("channel IN ('webhook', 'email', 'pager')", name=op.f("ck_subscriptions_channel")),
        sa.CheckConstraint(
            "format IN ('native', 'cloudevents', 'fhir', 'text', 'alertmanager', 'pagerduty')",
            name=op.f("ck_subscriptions_format"),
        ),
        sa.CheckConstraint("payload IN ('thin', 'full')", name=op.f("ck_subscriptions_payload")),
        sa.CheckConstraint("state IN ('active', 'paused', 'disabled', 'deleted')", name=op.f("ck_subscriptions_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
    )
    op.create_index(
        "uq_subscriptions_name",
        "subscriptions",
        ["name"],
        unique=True,
        sqlite_where=sa.text("state <> 'deleted'"),
        postgresql_where=sa.text("state <> 'deleted'"),
    )


def _make_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_seq", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=True),
        sa.Column("episode_id", sa.Text(), nullable=True),
        sa.Column("flag_id", sa.Text(), nullable=True),
        sa.Column("by_flag_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", _NOW, nullable=False),
        sa.Column("next_at", _NOW, nullable=False),
        sa.Column("attempted_at", _NOW, nullable=True),
        sa.Column("done_at", _NOW, nullable=True),
        sa.Column("claim", sa.Text(), nullable=True),
        sa.Column("claimed_at", _NOW, nullable=True),
        sa.Column("claimed_until", _NOW, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'failed', 'dropped')", name=op.f("ck_deliveries_state")),
        sa.CheckConstraint("(state = 'waiting') = (done_at IS NULL)", name=op.f("ck_deliveries_done")),
        sa.CheckConstraint("(claim IS NULL) = (claimed_until IS NULL)", name=op.f("ck_deliveries_claim")),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], name=op.f("fk_deliveries_subscriptions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("subscription_id", "event_id", name="uq_deliveries_event"),
        sa.UniqueConstraint("subscription_id", "number", name="uq_deliveries_number"),
    )
    waiting: dict[str, Any] = {
        "sqlite_where": sa.text("state = 'waiting'"),
        "postgresql_where": sa.text("state = 'waiting'"),
    }
    due = ["subscription_id", "next_at", "event_seq"]
    op.create_index("ix_deliveries_due", "deliveries", due, unique=False, **waiting)
    op.create_index(
        "ix_deliveries_lane", "deliveries", ["subscription_id", "lane", "event_seq"], unique=False, **waiting
    )
    failed: dict[str, Any] = {
        "sqlite_where": sa.text("state = 'failed'"),
        "postgresql_where": sa.text("state = 'failed'"),
    }
    op.create_index("ix_deliveries_failed", "deliveries", ["subscription_id", "done_at"], unique=False, **failed)
    op.create_index("ix_deliveries_episode", "deliveries", ["episode_id"], unique=False)
    op.create_index("ix_deliveries_flag", "deliveries", ["flag_id"], unique=False)
    op.create_index("ix_deliveries_by_flag", "deliveries", ["by_flag_id"], unique=False)
    op.create_index("ix_deliveries_patient", "deliveries", ["patient_id"], unique=False)
    op.create_index("ix_deliveries_created", "deliveries", ["created_at", "id"], unique=False)


def downgrade() -> None:
    for table in ("delivery_attempts", "deliveries", "subscriptions"):
        op.drop_table(table)
    op.drop_index("ix_outbox_unfanned", "outbox")
    # Events that are about no patient have no place in the step before.
    op.execute("DELETE FROM outbox WHERE patient_id IS NULL OR episode_id IS NULL")
    with op.batch_alter_table("outbox") as outbox:
        outbox.drop_column("fanned")
        outbox.drop_column("only_for")
        outbox.alter_column("episode_id", existing_type=sa.Text(), nullable=False)
        outbox.alter_column("patient_id", existing_type=sa.Text(), nullable=False)
