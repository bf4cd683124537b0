"""The tables of CDS Hooks: cards that were shown, what became of them, and the callers' tokens that were used.

    flags ◄╌╌ cds_cards ◄╌╌ cds_feedback        cds_tokens

Law: a card says which flag it showed and nothing of the patient; feedback is only ever added to.
"""

from sqlalchemy import Boolean, CheckConstraint, Column, Index, Table, Text

from service.domain.rules import Finding, Severity
from service.storage.tables import Instant, metadata

__all__ = ["cds_cards", "cds_feedback", "cds_tokens", "metadata"]


def _one_of(column: str, values: type[Finding] | type[Severity] | tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


cds_cards = Table(
    "cds_cards",
    metadata,
    Column("id", Text, primary_key=True),
    Column("shown_at", Instant, nullable=False),
    Column("client", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("instance", Text, nullable=False),
    Column("indicator", Text, nullable=False),
    Column("finding", Text),
    Column("severity", Text),
    Column("ruleset", Text),
    Column("rule", Text),
    Column("flag_id", Text),
    _one_of("finding", Finding),
    _one_of("severity", Severity),
    _one_of("indicator", ("info", "warning", "critical")),
    Index("ix_cds_cards_shown_at", "shown_at"),
    Index("ix_cds_cards_flag_id", "flag_id"),
)

cds_feedback = Table(
    "cds_feedback",
    metadata,
    Column("card", Text, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("outcome_at", Instant, primary_key=True),
    Column("suggestion", Text, primary_key=True),
    Column("received_at", Instant, nullable=False),
    Column("client", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("orphan", Boolean, nullable=False),
    Column("reason_system", Text),
    Column("reason_code", Text),
    Column("listed", Boolean),
    Column("comment", Text),
    _one_of("outcome", ("accepted", "overridden")),
    CheckConstraint("(reason_code IS NULL) = (listed IS NULL)", name="reason"),
    Index("ix_cds_feedback_received_at", "received_at"),
)

cds_tokens = Table(
    "cds_tokens",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("token", Text, primary_key=True),
    Column("expires_at", Instant, nullable=False),
    Index("ix_cds_tokens_expires_at", "expires_at"),
)
