"""Who read and wrote what: one entry for each deed, and the seal that chains it to the one before.

    entry + its place + the hash of the one before ─► canonical JSON ─► SHA-256: the hash that the next one names

Law: an entry names a patient by our own pseudonym only. Whoever has the entries can check the chain without us.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from service.domain.actors import ActorKind

# Callers who have no key of ours: a listener's sender, a client of CDS Hooks.
SYSTEM = "system"
KINDS = (*(kind.value for kind in ActorKind), SYSTEM)

# The hash that the very first entry names as the one before it.
BEGINNING = "0" * 64

Data = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A deed: when, who, what, about whom, and how it ended.

    ``kind`` and ``actor`` are None when nobody was let in. ``action`` is a route (``GET /v1/flags``), a command
    (``cli:purge``) or ``mllp``; ``outcome`` is the HTTP status, the code of an acknowledgment, ``done`` or ``failed``.
    ``detail`` holds counts and words of ours.
    """

    at: datetime
    action: str
    outcome: str
    kind: str | None = None
    actor: str | None = None
    subject: str | None = None
    request_id: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place in the chain and the hash that stands there; before the first entry it is place 0."""

    place: int = 0
    hash: str = BEGINNING


def as_data(entry: Entry, after: Mark) -> Data:
    """What is sealed: the entry with its place and the hash of the one before."""
    return {
        "place": after.place + 1,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "actor": None if entry.kind is None else {"kind": entry.kind, "id": entry.actor},
        "action": entry.action,
        "subject": entry.subject,
        "request_id": entry.request_id,
        "outcome": entry.outcome,
        "detail": {str(name): value for name, value in entry.detail.items()},
        "before": after.hash,
    }


# ------------------------------------------------------------------------------------------------- what can be written
# In the detail of an entry of which something could not be written: what that was.
MENDED = "mended"

_TEXTS = ("kind", "actor", "action", "subject", "request_id", "outcome")
_ODD = re.compile("[\0\ud800-\udfff]")  # PostgreSQL has no NUL, and UTF-8 no half of a character
_LONGEST = 500  # characters; an index has its limits
_LARGEST = 2**63  # what the readers of JSON agree on
_MOST = 10_000  # characters of a detail


def writable(entry: Entry) -> Entry:
    """The entry as every database takes it; mostly the very same. What none takes is replaced, and that is said."""
    found: Data = {name: _text(getattr(entry, name)) for name in _TEXTS}
    if (found["kind"], found["actor"]) != (None, None):
        found["kind"] = found["kind"] if found["kind"] in KINDS else SYSTEM
        found["actor"] = found["actor"] or "unknown"
    detail = {name: value for name, value in entry.detail.items() if _is_plain(name) and _is_plain(value)}
    found["detail"] = detail if len(str(detail)) <= _MOST else {}
    odd = sorted(name for name, value in found.items() if value != getattr(entry, name))
    return replace(entry, **found | {"detail": found["detail"] | {MENDED: odd}}) if odd else entry


def bare(entry: Entry) -> Entry:
    """An entry of which nothing can be written: that there was one, and when."""
    return Entry(at=entry.at, action="unwritable", outcome="unwritable", detail={MENDED: ["all"]})


def _text(value: str | None) -> str | None:
    return None if value is None else _ODD.sub("\N{REPLACEMENT CHARACTER}", value)[:_LONGEST]


def _is_plain(value: Any, deep: int = 3) -> bool:
    """Is it a number, a word, or a few of them?"""
    if isinstance(value, str):
        return len(value) <= _MOST and not _ODD.search(value)
    if isinstance(value, int):
        return abs(value) < _LARGEST
    if isinstance(value, list | tuple):
        return deep > 0 and all(_is_plain(one, deep - 1) for one in value)
    if isinstance(value, dict):
        return deep > 0 and all(_is_plain(name) and _is_plain(one, deep - 1) for name, one in value.items())
    return value is None


# ---------------------------------------------------------------------------------------------------------------- seal
def canonical(data: Data) -> bytes:
    """JSON in one way only: sorted keys, no spaces, UTF-8."""
    return _write(data).encode()


_write = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def seal(data: Data) -> str:
    """The hash of what is sealed."""
    return hashlib.sha256(canonical(data)).hexdigest()


def fault(found: Data, said: str, *, after: Mark) -> str | None:
    """Why an entry as kept, with the hash ``said`` of it, cannot follow the one before; None when it can."""
    if found["place"] != after.place + 1:
        return f"the entries from {after.place + 1} to {found['place'] - 1} are missing"
    if seal(found) != said:
        return "the entry was changed"
    if found["before"] != after.hash:
        return "the entry does not follow the one before: one of them was moved or replaced"
    return None
