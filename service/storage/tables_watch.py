"""The tables of watching: the escalation policy, its steps taken, and the feeds that are expected.

    escalations ──► episodes, escalation_policy (every version)        feeds ╌╌► panels (by source)

Law: a step is taken once, and a feed is silent once, whoever looks at the same time.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from service.domain.escalation import ESCALATED, StepState
from service.storage.tables import Instant, metadata

__all__ = ["escalation_policy", "escalations", "feeds", "metadata"]


def _one_of(column: str, values: Any) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


escalation_policy = Table(
    "escalation_policy",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("severity", Text, nullable=False),
    Column("steps", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Text, nullable=False),
    CheckConstraint("version > 0", name="version"),
    _one_of("severity", ESCALATED),
)

# ``since_id``: the event or the act with which the waiting began; another one begins the steps anew.
escalations = Table(
    "escalations",
    metadata,
    Column("patient_id", Text, primary_key=True),
    Column("episode_id", Text, primary_key=True),
    Column("since_id", Text, primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("policy", Integer, ForeignKey("escalation_policy.version"), nullable=False),
    Column("subscription_id", Text, nullable=False),
    Column("event_id", Text),
    Column("at", Instant, nullable=False),
    ForeignKeyConstraint(["patient_id", "episode_id"], ["episodes.patient_id", "episodes.id"]),
    CheckConstraint("step BETWEEN 1 AND 5", name="step"),
    _one_of("state", StepState),
    CheckConstraint("(state = 'told') = (event_id IS NOT NULL)", name="event"),
    Index("ix_escalations_at", "at"),
    Index(
        "ix_escalations_unheard",
        "patient_id",
        "episode_id",
        sqlite_where=text("state = 'unheard'"),
        postgresql_where=text("state = 'unheard'"),
    ),
)

feeds = Table(
    "feeds",
    metadata,
    Column("source", Text, primary_key=True),
    Column("expected_minutes", Integer, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("silent_since", Instant),
    Column("told_at", Instant),
    CheckConstraint("expected_minutes BETWEEN 1 AND 10080", name="expected_minutes"),
    CheckConstraint("(silent_since IS NULL) = (told_at IS NULL)", name="silent"),
)
