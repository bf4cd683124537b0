"""What is told, and what it looks like once it is written.

Law: everything that a writer needs is here; it looks nothing up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from service.domain.events import Event
from service.domain.subscriptions import Payload

NOBODY = "urn:lab-alerts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """An event on its way to one subscription. ``number``: which it is of the events that this subscription was
    told; with a test, how many those were.

    ``source``: the address at which we are reached, or a name where nobody said which that is. ``flag`` and
    ``resource``: the flag in full, as our API shows it and as FHIR; only where that is asked for.
    """

    event: Event
    at: datetime
    number: int
    subscription: str
    source: str = NOBODY
    payload: Payload = Payload.THIN
    flag: Mapping[str, Any] | None = field(default=None, repr=False)
    resource: Mapping[str, Any] | None = field(default=None, repr=False)
    credential: str | None = field(default=None, repr=False)

    @property
    def link(self) -> str | None:
        """The page of the flag, where we know at which address."""
        if self.event.flag is None or not self.source.startswith("http"):
            return None
        return self.address(f"/flags/{self.event.flag}")

    def address(self, path: str) -> str:
        """A path of ours, absolute where we know at which address we are reached."""
        return f"{self.source}{path}" if self.source.startswith("http") else path

    @property
    def kind(self) -> str:
        """The last word of the type."""
        return self.event.type.rpartition(".")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A message as it goes out."""

    body: bytes = field(repr=False)
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    subject: str = ""


def instant(moment: datetime) -> str:
    """A moment in UTC (RFC 3339)."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def headline(telling: Telling) -> str:
    """What happened, in a few words that name nobody."""
    data = telling.event.data
    what = " ".join(str(data[name]).replace("_", " ") for name in ("severity", "finding") if data.get(name))
    about = what or str(data.get("source") or data.get("analyte") or telling.subscription)
    return f"{_SAID.get(telling.kind, telling.kind)}: {about}"


_SAID = {
    "raised": "New flag",
    "escalated": "Worse",
    "improved": "Better, and still flagged",
    "repeated": "Again",
    "reopened": "Open again",
    "acknowledged": "Acknowledged",
    "unacknowledged": "No longer acknowledged",
    "resolved": "Resolved",
    "superseded": "Superseded by a correction",
    "withdrawn": "Withdrawn",
    "overdue": "Not acknowledged in time",
    "silent": "No results received",
    "resumed": "Results again",
    "not_evaluable": "Not judged",
    "test": "Test",
}
