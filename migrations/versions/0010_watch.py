"""The escalation policy, its steps taken, and the feeds that are expected.

Law: a step that has been released is never changed.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NOW = sa.DateTime(timezone=True)


def upgrade() -> None:
    _make_policy()
    _make_escalations()
    op.create_table(
        "feeds",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("expected_minutes", sa.Integer(), nullable=False),
        sa.Column("changed_at", _NOW, nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("silent_since", _NOW, nullable=True),
        sa.Column("told_at", _NOW, nullable=True),
        sa.CheckConstraint("expected_minutes BETWEEN 1 AND 10080", name=op.f("ck_feeds_expected_minutes")),
        sa.CheckConstraint("(silent_since IS NULL) = (told_at IS NULL)", name=op.f("ck_feeds_silent")),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_feeds")),
    )
    grave = "state = 'open' AND level IN ('severe', 'critical') AND acknowledged_by IS NULL"
    where: dict[str, Any] = {"sqlite_where": sa.text(grave), "postgresql_where": sa.text(grave)}
    op.create_index("ix_episodes_waiting", "episodes", ["patient_id", "id"], unique=False, **where)


def _make_policy() -> None:
    op.create_table(
        "escalation_policy",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("created_at", _NOW, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_escalation_policy_version")),
        sa.CheckConstraint("severity IN ('severe', 'critical')", name=op.f("ck_escalation_policy_severity")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_escalation_policy")),
    )


def _make_escalations() -> None:
    op.create_table(
        "escalations",
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("episode_id", sa.Text(), nullable=False),
        sa.Column("since_id", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("policy", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("at", _NOW, nullable=False),
        sa.CheckConstraint("step BETWEEN 1 AND 5", name=op.f("ck_escalations_step")),
        sa.CheckConstraint(
            "state IN ('told', 'passed_over', 'too_late', 'unheard')", name=op.f("ck_escalations_state")
        ),
        sa.CheckConstraint("(state = 'told') = (event_id IS NOT NULL)", name=op.f("ck_escalations_event")),
        sa.ForeignKeyConstraint(
            ["patient_id", "episode_id"], ["episodes.patient_id", "episodes.id"], name=op.f("fk_escalations_episodes")
        ),
        sa.ForeignKeyConstraint(
            ["policy"], ["escalation_policy.version"], name=op.f("fk_escalations_escalation_policy")
        ),
        sa.PrimaryKeyConstraint("patient_id", "episode_id", "since_id", "step", name=op.f("pk_escalations")),
    )
    op.create_index("ix_escalations_at", "escalations", ["at"], unique=False)
    unheard: dict[str, Any] = {
        "sqlite_where": sa.text("state = 'unheard'"),
        "postgresql_where": sa.text("state = 'unheard'"),
    }
    op.create_index("ix_escalations_unheard", "escalations", ["patient_id", "episode_id"], unique=False, **unheard)


def downgrade() -> None:
    op.drop_index("ix_episodes_waiting", "episodes")
    for table in ("feeds", "escalations", "escalation_policy"):
        op.drop_table(table)
