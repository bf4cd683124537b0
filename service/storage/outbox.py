"""Rows of the outbox: everything there is to tell, in the order in which it came about.

Law: written in the transaction of the change itself, so that there is no change without its event and no event
without its change. The data is thin: ids and words of ours, no identity and no value.
"""

from collections.abc import Sequence
from typing import Any

from service.domain.events import Event
from service.storage.tables import outbox
from service.storage.writes import Writes


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
        "data": dict(event.data),
        "only_for": event.only_for,
        "fanned": event.quiet,
    }
