"""Every table, with its invariants as constraints: a second wall behind the code.

    inbox ◄── panels ◄── results (every version) ◄── verdicts
                │
    patients ◄──┴──── flags ──► episodes        outbox (what there is to tell)
                        └────► notes            api_keys ◄╌╌ idempotency_keys, source_maps (every version)

Law: what belongs to a patient carries the patient's id in its primary key, and the hot path names one patient. At most
one version of a result is current, at most one verdict on it, one standing flag on a subject, and one open episode of
a finding.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

from service.domain.episodes import EpisodeState
from service.domain.panels import Status
from service.domain.people import Sex
from service.domain.rules import Direction, Finding, Severity, Standing
from service.domain.verdicts import Outcome

FLAG_STATES = ("open", "acknowledged", "resolved", "superseded", "withdrawn")
STANDING_FLAG_STATES = ("open", "acknowledged", "resolved")


class Instant(TypeDecorator[datetime]):
    """A zone-aware moment, kept in UTC. SQLite has no zones and gives naive times back; this gives them theirs."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be kept")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _one_of(column: str, values: Any) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _required(name: str, type_: Any = Text, *args: Any, **options: Any) -> Column[Any]:
    return Column(name, type_, *args, nullable=False, **options)


inbox = Table(
    "inbox",
    metadata,
    Column("id", Text, primary_key=True),
    _required("received_at", Instant),
    _required("source"),
    Column("key_id", Text),
    Column("request_id", Text),
    _required("content_type"),
    _required("test", Boolean, server_default=false()),
    _required("body", LargeBinary),
    Index("ix_inbox_received_at", "received_at"),
)

patients = Table(
    "patients",
    metadata,
    Column("id", Text, primary_key=True),
    _required("authority"),
    _required("identifier"),
    _required("sex"),
    Column("sex_as_of", Instant),
    Column("born", Date),
    Column("born_as_of", Instant),
    Column("name", Text),
    Column("last_collected_at", Instant),
    _required("first_seen_at", Instant),
    _required("seen_at", Instant),
    UniqueConstraint("identifier", "authority", name="uq_patients_identifier"),
    _one_of("sex", Sex),
)

panels = Table(
    "panels",
    metadata,
    Column("patient_id", Text, ForeignKey("patients.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    _required("inbox_id"),
    _required("source"),
    Column("accession", Text),
    _required("collected_at", Instant),
    Column("issued_at", Instant),
    _required("received_at", Instant),
    Column("pregnant", Boolean),
    Column("trimester", Integer),
    Column("age_years", Integer),
    Column("told_sex", Text),
    Column("told_born", Date),
    Column("note", Text),
    _required("items", JSON),
    CheckConstraint("trimester BETWEEN 1 AND 3", name="trimester"),
    Index("ix_panels_id", "id", unique=True),
    Index("ix_panels_source", "source", "received_at"),
)

results = Table(
    "results",
    metadata,
    Column("patient_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    _required("panel_id"),
    _required("identity"),
    _required("fingerprint"),
    _required("current", Boolean),
    Column("analyte", Text),
    Column("analyte_sent", Text),
    Column("code_system", Text),
    Column("code", Text),
    Column("sender_id", Text),
    _required("value"),
    _required("comparator"),
    _required("unit"),
    Column("range_low", Text),
    Column("range_high", Text),
    Column("range_unit", Text),
    _required("status"),
    Column("note", Text),
    Column("besides", JSON(none_as_null=True)),
    _required("collected_at", Instant),
    Column("issued_at", Instant),
    Column("pregnant", Boolean),
    Column("trimester", Integer),
    Column("age_years", Integer),
    _required("ruleset"),
    _required("received_at", Instant),
    ForeignKeyConstraint(["patient_id", "panel_id"], ["panels.patient_id", "panels.id"]),
    CheckConstraint("version > 0", name="version"),
    _one_of("status", Status),
    UniqueConstraint("patient_id", "identity", "version", name="uq_results_identity"),
    Index(
        "uq_results_current",
        "patient_id",
        "identity",
        unique=True,
        sqlite_where=text("current"),
        postgresql_where=text("current"),
    ),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("patient_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    _required("result_id"),
    _required("result_version", Integer),
    _required("current", Boolean),
    _required("judged_at", Instant),
    _required("ruleset"),
    _required("outcome"),
    _required("standing"),
    _required("why"),
    Column("analyte", Text),
    Column("reason", Text),
    Column("hint", Text),
    Column("finding", Text),
    Column("severity", Text),
    Column("grade", Text),
    Column("classification", Text),
    Column("direction", Text),
    _required("at_least", Boolean),
    _required("provisional", Boolean),
    Column("context", JSON(none_as_null=True)),
    ForeignKeyConstraint(
        ["patient_id", "result_id", "result_version"], ["results.patient_id", "results.id", "results.version"]
    ),
    _one_of("outcome", Outcome),
    _one_of("standing", Standing),
    Index("ix_verdicts_result", "patient_id", "result_id", "result_version"),
    CheckConstraint("outcome <> 'not_judged' OR reason IS NOT NULL", name="reason"),
    CheckConstraint("outcome <> 'flagged' OR (finding IS NOT NULL AND severity IS NOT NULL)", name="finding"),
    Index(
        "uq_verdicts_current",
        "patient_id",
        "result_id",
        unique=True,
        sqlite_where=text("current"),
        postgresql_where=text("current"),
    ),
)

notes = Table("notes", metadata, Column("id", Text, primary_key=True), _required("body", JSON))

# Those that somebody is to look at soon (``storage.escalation``).
_GRAVE = text("state = 'open' AND level IN ('severe', 'critical') AND acknowledged_by IS NULL")
_WAITING: dict[str, Any] = {"sqlite_where": _GRAVE, "postgresql_where": _GRAVE}

episodes = Table(
    "episodes",
    metadata,
    Column("patient_id", Text, ForeignKey("patients.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    _required("finding"),
    _required("state"),
    _required("level"),
    _required("peak"),
    _required("opened_at", Instant),
    _required("last_at", Instant),
    Column("resolved_at", Instant),
    _required("last_flag_id"),
    Column("merged_into", Text),
    _required("changed_at", Instant),
    _required("version", Integer, server_default=text("1")),
    Column("acknowledged_by", Text),
    Column("snoozed_by", Text),
    _one_of("finding", Finding),
    _one_of("state", EpisodeState),
    _one_of("level", Severity),
    _one_of("peak", Severity),
    CheckConstraint(
        "(state = 'resolved') = (resolved_at IS NOT NULL) OR state NOT IN ('open', 'resolved')", name="end"
    ),
    CheckConstraint("state = 'open' OR acknowledged_by IS NULL", name="acknowledged_by"),
    CheckConstraint("state = 'open' OR snoozed_by IS NULL", name="snoozed_by"),
    Index("ix_episodes_id", "id", unique=True),
    Index("ix_episodes_waiting", "patient_id", "id", **_WAITING),
    Index(
        "uq_episodes_open",
        "patient_id",
        "finding",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
)

flags = Table(
    "flags",
    metadata,
    Column("patient_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    _required("subject"),
    _required("finding"),
    _required("severity"),
    _required("state"),
    Column("analyte", Text),
    Column("grade", Text),
    Column("classification", Text),
    Column("direction", Text),
    _required("at_least", Boolean),
    _required("provisional", Boolean),
    _required("collected_at", Instant),
    _required("raised_at", Instant),
    _required("changed_at", Instant),
    _required("version", Integer),
    _required("ruleset"),
    _required("source"),
    _required("panel_id"),
    _required("episode_id"),
    Column("superseded_by", Text),
    _required("note_id", Text, ForeignKey("notes.id")),
    _required("why"),
    _required("explanation", JSON),
    _required("basis", JSON),
    ForeignKeyConstraint(["patient_id", "episode_id"], ["episodes.patient_id", "episodes.id"]),
    _one_of("finding", Finding),
    _one_of("severity", Severity),
    _one_of("state", FLAG_STATES),
    _one_of("direction", Direction),
    Index("ix_flags_id", "id", unique=True),
    Index("ix_flags_collected_at", "collected_at", "id"),
    Index("ix_flags_state", "state", "collected_at", "id"),
    Index("ix_flags_history", "patient_id", "collected_at", "id"),
    Index(
        "ix_flags_critical",
        "raised_at",
        sqlite_where=text("severity = 'critical'"),
        postgresql_where=text("severity = 'critical'"),
    ),
    Index(
        "uq_flags_standing",
        "patient_id",
        "subject",
        "finding",
        unique=True,
        sqlite_where=text("state NOT IN ('superseded', 'withdrawn')"),
        postgresql_where=text("state NOT IN ('superseded', 'withdrawn')"),
    ),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _required("id"),
    Column("patient_id", Text),
    Column("episode_id", Text),
    Column("flag_id", Text),
    _required("type"),
    _required("at", Instant),
    _required("data", JSON),
    Column("only_for", Text),
    _required("fanned", Boolean, server_default=false()),
    Index("ix_outbox_patient", "patient_id", "seq"),
    Index("ix_outbox_unfanned", "seq", sqlite_where=text("NOT fanned"), postgresql_where=text("NOT fanned")),
    UniqueConstraint("id", name="uq_outbox_id"),
)

source_maps = Table(
    "source_maps",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    _required("created_at", Instant),
    Column("key_id", Text),
    _required("body", JSON),
    CheckConstraint("version > 0", name="version"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    _required("name"),
    _required("source"),
    _required("digest"),
    _required("scopes", JSON),
    _required("created_at", Instant),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    UniqueConstraint("digest", name="uq_api_keys_digest"),
    Index(
        "uq_api_keys_name",
        "name",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("client", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    _required("fingerprint"),
    _required("status", Integer),
    _required("headers", JSON),
    _required("body", LargeBinary),
    _required("created_at", Instant),
    _required("expires_at", Instant),
    Index("ix_idempotency_keys_expires_at", "expires_at"),
)
