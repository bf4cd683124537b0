"""Feedback: what became of a card at the bedside.

Law: of a request with a malformed entry nothing is taken, and every fault is told with its entry. What a client adds of
its own is taken, and marked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from service.formats.cds_hooks.call import UUID, Shape, raise_all, required, root
from service.formats.cds_hooks.cards import LISTED
from service.formats.fhir.issues import Log
from service.formats.fhir.node import Node

ACCEPTED, OVERRIDDEN = "accepted", "overridden"
OUTCOMES = (ACCEPTED, OVERRIDDEN)
MAX_ENTRIES = 1_000
_MOMENT: Shape = (
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)", re.ASCII),
    "is not a time with its offset from UTC",
)
_OUTCOME: Shape = (re.compile("|".join(OUTCOMES)), f"is neither {' nor '.join(OUTCOMES)}")
_SHORT: Shape = (re.compile(r".{1,255}", re.DOTALL), "is longer than 255 characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a card was overridden. ``listed``: it is one of those that the card offered; ``system`` may be left out."""

    code: str
    system: str | None = None
    listed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One statement about a card; of several accepted suggestions there is one statement for each."""

    place: str
    card: str
    outcome: str
    at: datetime
    suggestion: str = ""
    reason: Reason | None = None
    comment: str | None = field(default=None, repr=False)


def read_feedback(sent: Any) -> tuple[Entry, ...]:
    """The statements of a request. Raises ``BadInput`` with every fault."""
    log = Log()
    node = root(sent, log)
    if not node.has("feedback"):
        log.fault("feedback", "required", "is required")
    entries = node.children("feedback")
    if len(entries) > MAX_ENTRIES:
        log.fault("feedback", "too-many", f"must have at most {MAX_ENTRIES} entries")
    found = tuple(one for entry in entries[:MAX_ENTRIES] for one in _entries(entry))
    raise_all(log)
    return found


def _entries(node: Node) -> Iterator[Entry]:
    card = required(node, "card", UUID).lower()
    outcome = required(node, "outcome", _OUTCOME)
    at = _moment(node)
    suggestions = _suggestions(node) if outcome == ACCEPTED else [""]
    reason, comment = _reason(node) if outcome == OVERRIDDEN else (None, None)
    if at is not None:
        for one in suggestions:
            yield Entry(
                place=node.place, card=card, outcome=outcome, at=at, suggestion=one, reason=reason, comment=comment
            )


def _moment(node: Node) -> datetime | None:
    text = required(node, "outcomeTimestamp", _MOMENT)
    if not _MOMENT[0].fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        node.log.fault(node.at("outcomeTimestamp"), "value", "is not a time")
        return None


def _suggestions(node: Node) -> list[str]:
    """The ids of the suggestions that were accepted."""
    children = node.children("acceptedSuggestions")
    if not children:
        node.log.fault(node.at("acceptedSuggestions"), "required", "is required where a card was accepted")
    found = [required(one, "id", _SHORT) for one in children]
    return list(dict.fromkeys(found))


def _reason(node: Node) -> tuple[Reason | None, str | None]:
    """Why a card was overridden, if it is said: by a code, or in words."""
    child = node.child("overrideReason")
    if child is None:
        return None, None
    # Clients that have a field for it send it empty when nobody wrote in it.
    said = child.sent.get("userComment") not in (None, "")
    comment = child.text("userComment", longest=10_000) if said else None
    coding = child.child("reason")
    if not said and not child.has("reason"):
        child.log.fault(child.place, "required", "needs a reason or a userComment")
    if coding is None:
        return None, comment
    code, system = required(coding, "code", _SHORT), coding.text("system", longest=255)
    return Reason(code=code, system=system, listed=(system, code) in LISTED), comment
