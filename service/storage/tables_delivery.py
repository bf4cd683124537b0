"""The tables of delivery: who wants to be told, what is on its way to them, and every attempt.

    outbox ◄╌╌ deliveries ──► subscriptions
                   ▲
           delivery_attempts

Law: an event goes to a subscription once, under a number that counts up for that subscription (``tests`` of those up
to it are no events but trials); what was tried is only added to.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from service.domain.subscriptions import Channel, DeliveryState, Format, Payload, SubscriptionState
from service.storage.tables import Instant, metadata

__all__ = ["deliveries", "delivery_attempts", "metadata", "subscriptions"]


def _one_of(column: str, values: Any) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("filter", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("why", Text),
    Column("secret", Text),
    Column("old_secret", Text),
    Column("old_secret_until", Instant),
    Column("credential", Text),
    Column("from_seq", BigInteger, nullable=False),
    Column("told", BigInteger, nullable=False),
    Column("tests", BigInteger, nullable=False, server_default=text("0")),
    Column("failures", Integer, nullable=False),
    Column("hold_until", Instant),
    Column("held_at", Instant),
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("changed_at", Instant, nullable=False),
    _one_of("channel", Channel),
    _one_of("format", Format),
    _one_of("payload", Payload),
    _one_of("state", SubscriptionState),
    Index(
        "uq_subscriptions_name",
        "name",
        unique=True,
        sqlite_where=text("state <> 'deleted'"),
        postgresql_where=text("state <> 'deleted'"),
    ),
)

_WAITING: dict[str, Any] = {"sqlite_where": text("state = 'waiting'"), "postgresql_where": text("state = 'waiting'")}
_FAILED: dict[str, Any] = {"sqlite_where": text("state = 'failed'"), "postgresql_where": text("state = 'failed'")}

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subscription_id", Text, ForeignKey("subscriptions.id"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("tests", BigInteger, nullable=False, server_default=text("0")),
    Column("event_id", Text, nullable=False),
    Column("event_seq", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("patient_id", Text),
    Column("episode_id", Text),
    Column("flag_id", Text),
    Column("by_flag_id", Text),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("attempted_at", Instant),
    Column("done_at", Instant),
    Column("claim", Text),
    Column("claimed_at", Instant),
    Column("claimed_until", Instant),
    Column("status", Integer),
    Column("why", Text),
    _one_of("state", DeliveryState),
    CheckConstraint("(state = 'waiting') = (done_at IS NULL)", name="done"),
    CheckConstraint("(claim IS NULL) = (claimed_until IS NULL)", name="claim"),
    UniqueConstraint("subscription_id", "event_id", name="uq_deliveries_event"),
    UniqueConstraint("subscription_id", "number", name="uq_deliveries_number"),
    Index("ix_deliveries_due", "subscription_id", "next_at", "event_seq", **_WAITING),
    Index("ix_deliveries_lane", "subscription_id", "lane", "event_seq", **_WAITING),
    Index("ix_deliveries_failed", "subscription_id", "done_at", **_FAILED),
    Index("ix_deliveries_episode", "episode_id"),
    Index("ix_deliveries_flag", "flag_id"),
    Index("ix_deliveries_by_flag", "by_flag_id"),
    Index("ix_deliveries_patient", "patient_id"),
    Index("ix_deliveries_created", "created_at", "id"),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", Text, ForeignKey("deliveries.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("why", Text),
    Column("milliseconds", Integer, nullable=False),
    Column("answer", Text),
    _one_of("outcome", ("sent", "later", "refused")),
)
