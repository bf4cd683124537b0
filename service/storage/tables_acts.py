"""The tables of what people do about episodes: acknowledgements, comments, assignments, snoozes, call-backs.

    acts ──► episodes (which name the acknowledgement and the snooze that hold) ◄── callbacks ──► flags

Law: what somebody did is added and never changed or deleted; it is undone by another entry.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from service.domain.actors import ActorKind
from service.domain.acts import ActKind, How, Reached, Reason, Until
from service.domain.rules import Severity
from service.storage.tables import Instant, metadata

__all__ = ["acts", "callbacks", "metadata"]


def _one_of(column: str, values: Any) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


_EPISODE = (["patient_id", "episode_id"], ["episodes.patient_id", "episodes.id"])

acts = Table(
    "acts",
    metadata,
    Column("patient_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("episode_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("reason", Text),
    Column("note", Text),
    Column("assignee", Text),
    Column("until_kind", Text),
    Column("until", Instant),
    Column("undoes", Text),
    Column("severity", Text, nullable=False),
    Column("flag_id", Text, nullable=False),
    ForeignKeyConstraint(*_EPISODE),
    _one_of("kind", ActKind),
    _one_of("actor_kind", ActorKind),
    _one_of("reason", Reason),
    _one_of("until_kind", Until),
    _one_of("severity", Severity),
    CheckConstraint("(kind = 'acknowledge') = (reason IS NOT NULL)", name="acknowledge"),
    CheckConstraint("kind <> 'comment' OR note IS NOT NULL", name="comment"),
    CheckConstraint("kind = 'assign' OR assignee IS NULL", name="assign"),
    CheckConstraint("(kind = 'snooze') = (until_kind IS NOT NULL)", name="snooze"),
    CheckConstraint("(kind = 'snooze') = (until IS NOT NULL)", name="snooze_end"),
    CheckConstraint("(kind IN ('undo', 'unsnooze')) = (undoes IS NOT NULL)", name="undoes"),
    UniqueConstraint("patient_id", "episode_id", "version", name="uq_acts_version"),
    UniqueConstraint("patient_id", "undoes", name="uq_acts_undoes"),
)

callbacks = Table(
    "callbacks",
    metadata,
    Column("patient_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("episode_id", Text, nullable=False),
    Column("flag_id", Text, nullable=False),
    Column("value", JSON, nullable=False),
    Column("result_version", Integer, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("told_to", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("how", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("read_back", Boolean, nullable=False),
    Column("no_read_back", Text),
    Column("note", Text),
    ForeignKeyConstraint(*_EPISODE),
    ForeignKeyConstraint(["patient_id", "flag_id"], ["flags.patient_id", "flags.id"]),
    _one_of("actor_kind", ActorKind),
    _one_of("how", How),
    _one_of("outcome", Reached),
    CheckConstraint("outcome <> 'reached' OR read_back OR no_read_back IS NOT NULL", name="read_back"),
    CheckConstraint("at <= recorded_at", name="at"),
    Index("ix_callbacks_episode", "patient_id", "episode_id"),
    Index(
        "ix_callbacks_reached",
        "patient_id",
        "flag_id",
        "at",
        sqlite_where=text("outcome = 'reached'"),
        postgresql_where=text("outcome = 'reached'"),
    ),
)
