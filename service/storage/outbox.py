"""Rows of the outbox: everything there is to tell, in the order in which it came about.

Law: written in the transaction of the change itself, so that there is no change without its event and no event
without its change. The data is thin: ids and words of ours, no identity and no value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.storage.tables import outbox
from service.storage.writes import Writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something to tell. ``type`` is its name on the wire (``lab.flag.raised``)."""

    id: str
    type: str
    patient: str
    episode: str
    flag: str | None
    at: datetime
    data: dict[str, Any]


def keep(writes: Writes, events: Sequence[Event]) -> None:
    """Put events at the end of the outbox."""
    for event in events:
        writes.add(outbox, _values(event))


def _values(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "patient_id": event.patient,
        "episode_id": event.episode,
        "flag_id": event.flag,
        "at": event.at,
        "data": event.data,
    }
