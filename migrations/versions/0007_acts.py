"""What people do about episodes, and episodes that are acknowledged.

Law: a step that has been released is never changed.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NOW = sa.DateTime(timezone=True)
_ACTORS = "actor_kind IN ('key', 'person', 'operator')"
_SEVERITIES = "severity IN ('info', 'mild', 'moderate', 'severe', 'critical')"
_EPISODE = (["patient_id", "episode_id"], ["episodes.patient_id", "episodes.id"])


def upgrade() -> None:
    # Added column by column, each with its check: making the table anew would lose the checks that it has on SQLite.
    op.execute("ALTER TABLE episodes ADD COLUMN version INTEGER DEFAULT 1 NOT NULL")
    for name in ("acknowledged_by", "snoozed_by"):
        check = f"CONSTRAINT ck_episodes_{name} CHECK (state = 'open' OR {name} IS NULL)"
        op.execute(f"ALTER TABLE episodes ADD COLUMN {name} TEXT {check}")
    op.create_index("ix_episodes_id", "episodes", ["id"], unique=True)
    critical: dict[str, Any] = {
        "sqlite_where": sa.text("severity = 'critical'"),
        "postgresql_where": sa.text("severity = 'critical'"),
    }
    op.create_index("ix_flags_critical", "flags", ["raised_at"], unique=False, **critical)
    _make_acts()
    _make_callbacks()


def _make_acts() -> None:
    op.create_table(
        "acts",
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("episode_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", _NOW, nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("assignee", sa.Text(), nullable=True),
        sa.Column("until_kind", sa.Text(), nullable=True),
        sa.Column("until", _NOW, nullable=True),
        sa.Column("undoes", sa.Text(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("flag_id", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('acknowledge', 'undo', 'comment', 'assign', 'snooze', 'unsnooze')", name=op.f("ck_acts_kind")
        ),
        sa.CheckConstraint(_ACTORS, name=op.f("ck_acts_actor_kind")),
        sa.CheckConstraint(
            "reason IN ('acting', 'passed_on', 'repeat_ordered', 'known_and_expected', 'explained_by_treatment', "
            "'sample_problem', 'other')",
            name=op.f("ck_acts_reason"),
        ),
        sa.CheckConstraint("until_kind IN ('time', 'next_result', 'worse')", name=op.f("ck_acts_until_kind")),
        sa.CheckConstraint(_SEVERITIES, name=op.f("ck_acts_severity")),
        sa.CheckConstraint("(kind = 'acknowledge') = (reason IS NOT NULL)", name=op.f("ck_acts_acknowledge")),
        sa.CheckConstraint("kind <> 'comment' OR note IS NOT NULL", name=op.f("ck_acts_comment")),
        sa.CheckConstraint("kind = 'assign' OR assignee IS NULL", name=op.f("ck_acts_assign")),
        sa.CheckConstraint("(kind = 'snooze') = (until_kind IS NOT NULL)", name=op.f("ck_acts_snooze")),
        sa.CheckConstraint("(kind = 'snooze') = (until IS NOT NULL)", name=op.f("ck_acts_snooze_end")),
        sa.CheckConstraint("(kind IN ('undo', 'unsnooze')) = (undoes IS NOT NULL)", name=op.f("ck_acts_undoes")),
        sa.ForeignKeyConstraint(*_EPISODE, name=op.f("fk_acts_episodes")),
        sa.PrimaryKeyConstraint("patient_id", "id", name=op.f("pk_acts")),
        sa.UniqueConstraint("patient_id", "episode_id", "version", name="uq_acts_version"),
        sa.UniqueConstraint("patient_id", "undoes", name="uq_acts_undoes"),
    )


def _make_callbacks() -> None:
    op.create_table(
        "callbacks",
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("episode_id", sa.Text(), nullable=False),
        sa.Column("flag_id", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("result_version", sa.Integer(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("told_to", sa.Text(), nullable=False),
        sa.Column("at", _NOW, nullable=False),
        sa.Column("recorded_at", _NOW, nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("read_back", sa.Boolean(), nullable=False),
        sa.Column("no_read_back", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint(_ACTORS, name=op.f("ck_callbacks_actor_kind")),
        sa.CheckConstraint(
            "how IN ('phone', 'in_person', 'secure_message', 'pager', 'other')", name=op.f("ck_callbacks_how")
        ),
        sa.CheckConstraint(
            "outcome IN ('reached', 'no_answer', 'wrong_person', 'refused', 'other')",
            name=op.f("ck_callbacks_outcome"),
        ),
        sa.CheckConstraint(
            "outcome <> 'reached' OR read_back OR no_read_back IS NOT NULL", name=op.f("ck_callbacks_read_back")
        ),
        sa.CheckConstraint("at <= recorded_at", name=op.f("ck_callbacks_at")),
        sa.ForeignKeyConstraint(*_EPISODE, name=op.f("fk_callbacks_episodes")),
        sa.ForeignKeyConstraint(
            ["patient_id", "flag_id"], ["flags.patient_id", "flags.id"], name=op.f("fk_callbacks_flags")
        ),
        sa.PrimaryKeyConstraint("patient_id", "id", name=op.f("pk_callbacks")),
    )
    op.create_index("ix_callbacks_episode", "callbacks", ["patient_id", "episode_id"], unique=False)
    op.create_index(
        "ix_callbacks_reached",
        "callbacks",
        ["patient_id", "flag_id", "at"],
        unique=False,
        sqlite_where=sa.text("outcome = 'reached'"),
        postgresql_where=sa.text("outcome = 'reached'"),
    )


def downgrade() -> None:
    for table in ("callbacks", "acts"):
        op.drop_table(table)
    op.drop_index("ix_flags_critical", "flags")
    op.drop_index("ix_episodes_id", "episodes")
    # What is acknowledged is open again in the step before, which knows no acts.
    op.execute("UPDATE flags SET state = 'open' WHERE state = 'acknowledged'")
    for name in ("snoozed_by", "acknowledged_by", "version"):
        op.execute(f"ALTER TABLE episodes DROP COLUMN {name}")
