"""Who read and wrote what: one entry for each deed, and the seal that chains it to the one before.

    entry + its place + the hash of the one before ─► canonical JSON ─► SHA-256: the hash that the next one names

Law: an entry names a patient by our own pseudonym only. Whoever has the entries can check the chain without us.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
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
