"""Subscriptions: who wants to be told of what, and by which way.

    an event ─► does anybody want it? ─► who was told of its flag before? ─► a delivery for each of them

Law: what is taken back goes to everyone who was told of it, whatever they ask for now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from service.domain.events import Event


class Channel(StrEnum):
    """The way by which a message goes out."""

    WEBHOOK = "webhook"
    EMAIL = "email"
    PAGER = "pager"


class Format(StrEnum):
    """The language in which a message is written. Of which channel it is, ``FORMATS`` says."""

    NATIVE = "native"
    CLOUDEVENTS = "cloudevents"
    FHIR = "fhir"
    TEXT = "text"
    ALERTMANAGER = "alertmanager"
    PAGERDUTY = "pagerduty"


FORMATS: Mapping[Channel, tuple[Format, ...]] = {
    Channel.WEBHOOK: (Format.NATIVE, Format.CLOUDEVENTS, Format.FHIR),
    Channel.EMAIL: (Format.TEXT,),
    Channel.PAGER: (Format.ALERTMANAGER, Format.PAGERDUTY),
}


class Payload(StrEnum):
    """``thin``: ids and words of ours. ``full``: with the flag as the API shows it, value and patient included."""

    THIN = "thin"
    FULL = "full"


class SubscriptionState(StrEnum):
    """``disabled``: by the service, because the receiver said that it is gone (410). ``paused``: by its owner."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"
    DELETED = "deleted"


class DeliveryState(StrEnum):
    """``failed``: given up, and kept until it is replayed. ``dropped``: its subscription was deleted."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


# What a subscription is told when it names no types: not that a finding goes on or got better.
USUAL_TYPES = (
    "lab.flag.raised",
    "lab.flag.escalated",
    "lab.flag.reopened",
    "lab.flag.acknowledged",
    "lab.flag.unacknowledged",
    "lab.flag.resolved",
    "lab.flag.superseded",
    "lab.flag.withdrawn",
    "lab.flag.overdue",
    "lab.feed.silent",
    "lab.feed.resumed",
)
ALL_TYPES = (*USUAL_TYPES, "lab.flag.improved", "lab.flag.repeated", "lab.result.not_evaluable")
# What is sent when somebody asks for a trial; nobody subscribes to it.
TEST_TYPE = "lab.subscription.test"

# These take back something that was told, and go to everyone who was told of the flag or of its episode. An episode
# that is open again takes back that it was resolved.
TAKEN_BACK = frozenset({"lab.flag.resolved", "lab.flag.reopened", "lab.flag.superseded", "lab.flag.withdrawn"})
# These end an acknowledgement, and go to everyone who was told of it.
ENDS_ACKNOWLEDGEMENT = frozenset({"lab.flag.unacknowledged", "lab.flag.escalated"})
# Whoever wants to know of the one wants to know of its end.
ENDS = {"lab.feed.resumed": "lab.feed.silent"}
# Of what is taken back, those that speak of an episode as a whole.
OF_EPISODES = frozenset({"lab.flag.resolved", "lab.flag.reopened"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which events are wanted. An empty list wants all (of types: the usual ones).

    ``collected_within_hours``: only flags whose specimen was taken so many hours before the event, or later.
    """

    types: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    collected_within_hours: int | None = None

    def wants(self, event: Event) -> bool:
        """Does it ask for this event? An event that says nothing of a thing asked for is not wanted."""
        data = event.data
        asked = (
            (event.type, self.types or USUAL_TYPES),
            (data.get("finding"), self.findings),
            (data.get("severity"), self.severities),
            (data.get("source"), self.sources),
        )
        return all(not listed or said in listed for said, listed in asked) and self._recent(data, event.at)

    def _recent(self, data: Mapping[str, Any], at: datetime) -> bool:
        if self.collected_within_hours is None or "collected_at" not in data:
            return True
        collected = datetime.fromisoformat(str(data["collected_at"]))
        return at - collected <= timedelta(hours=self.collected_within_hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Somebody who wants to be told, by which way, of what.

    ``secret`` and ``old_secret`` sign what is sent to a webhook; ``credential`` is what the receiver of a pager asks
    for. ``from_seq``: the last event before it was made. ``told``: how many events it has been told of, of which
    ``tests`` were tests. ``failures``: how often in a row its receiver has failed, which is left alone until
    ``hold_until``.
    """

    id: str
    name: str
    channel: Channel
    endpoint: str = field(repr=False)
    format: Format
    payload: Payload
    filter: Filter = Filter()
    state: SubscriptionState = SubscriptionState.ACTIVE
    why: str | None = None
    secret: str | None = field(default=None, repr=False)
    old_secret: str | None = field(default=None, repr=False)
    old_secret_until: datetime | None = None
    credential: str | None = field(default=None, repr=False)
    from_seq: int = 0
    told: int = 0
    tests: int = 0
    failures: int = 0
    hold_until: datetime | None = None
    version: int = 1
    created_at: datetime
    created_by: str
    changed_at: datetime

    def __post_init__(self) -> None:
        if self.format not in FORMATS[self.channel]:
            raise ValueError("the format is not one of the channel")
        if (self.old_secret is None) != (self.old_secret_until is None):
            raise ValueError("an old secret is valid until a time")

    def secrets_at(self, now: datetime) -> tuple[str, ...]:
        """The secrets that sign a message now, the newest first."""
        old = self.old_secret if self.old_secret_until is not None and now < self.old_secret_until else None
        return tuple(secret for secret in (self.secret, old) if secret is not None)
