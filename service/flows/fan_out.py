"""Fanning out: for each event of the outbox, a delivery to everyone who is to be told of it.

    unfanned events, in their order ─► who wants it, and who was told of it before ─► deliveries, numbered

Law: one at a time, and in the order of the outbox, so that in every lane an earlier event has its delivery before a
later one. An event and its deliveries are one transaction: nobody is left out, and nobody is told twice.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from service.domain.events import Event
from service.domain.subscriptions import (
    ENDS,
    ENDS_ACKNOWLEDGEMENT,
    OF_EPISODES,
    TAKEN_BACK,
    TEST_TYPE,
    DeliveryState,
    Subscription,
)
from service.flows.means import Means
from service.storage import deliveries, subscriptions
from service.storage.ids import new_id

MOST = 500  # events in one transaction

Placed = tuple[int, Event]


def fan_out(means: Means, *, now: datetime) -> int:
    """Fan out the oldest events, 500 at most; answers how many. Raises ``Unavailable``."""
    with means.database.reading() as connection:
        if not deliveries.is_there_any(connection):
            return 0
    with means.database.transaction() as connection:
        if not deliveries.alone(connection):
            return 0
        found = deliveries.unfanned(connection, MOST)
        _spread(connection, found, now=now)
        deliveries.fanned(connection, [seq for seq, _ in found])
    return len(found)


def _spread(connection: Connection, found: Sequence[Placed], *, now: datetime) -> None:
    """Deliveries for some events."""
    alive = subscriptions.alive(connection)
    if not alive or not found:
        return
    told, count = _Told(connection, found), {one.id: one.told for one in alive}
    tests = {one.id: one.tests for one in alive}
    unheard = _unheard(connection, found)
    rows: list[Mapping[str, Any]] = []
    for seq, event in found:
        for one in alive:
            if seq > one.from_seq and _is_told(one, event, told, unheard=event.id in unheard):
                count[one.id] += 1
                tests[one.id] += event.type == TEST_TYPE
                rows.append(_row(event, one, seq=seq, now=now) | {"number": count[one.id], "tests": tests[one.id]})
                told.note(event, one.id)
    deliveries.add(connection, rows)
    changed = {one.id: (count[one.id], tests[one.id]) for one in alive if count[one.id] != one.told}
    deliveries.count_on(connection, changed)


def _is_told(one: Subscription, event: Event, told: "_Told", *, unheard: bool) -> bool:
    if event.only_for is not None:
        return event.only_for == one.id
    if one.filter.wants(event) or told.was(event, one.id):
        return True
    if event.type in ENDS and one.filter.wants(replace(event, type=ENDS[event.type])):
        return True
    return unheard and one.filter.wants(replace(event, type="lab.flag.raised"))


def _unheard(connection: Connection, found: Sequence[Placed]) -> frozenset[str]:
    """Events by which a finding goes on of which nobody was told that it began: it was history, or a trial.

    Whoever wants to be told of new findings is told of these, or nobody would ever be.
    """
    on = [event for _, event in found if event.type in _GOING_ON and event.episode is not None]
    begun = deliveries.begun_aloud(connection, on)
    return frozenset(event.id for event in on if event.episode not in begun)


_GOING_ON = frozenset({"lab.flag.repeated", "lab.flag.improved"})


class _Told:
    """Who was told of which flag, episode and acknowledgement before; it grows while events are fanned out."""

    def __init__(self, connection: Connection, found: Sequence[Placed]) -> None:
        self._of = {event.id: _taken_back(connection, event) for _, event in found if event.type in TAKEN_BACK}
        names = sorted({name for of in self._of.values() for name in of})
        self._told: dict[str, set[str]] = defaultdict(set)
        for name, subscription in deliveries.told_of(connection, names):
            self._told[name].add(subscription)
        ends = {event.episode for _, event in found if event.type in ENDS_ACKNOWLEDGEMENT}
        # The last that each was told of whether somebody has acknowledged an episode.
        self._acknowledged = deliveries.told_of_acknowledgements(connection, sorted(filter(None, ends)), _ABOUT_ACTS)

    def was(self, event: Event, subscription: str) -> bool:
        if event.type in ENDS_ACKNOWLEDGEMENT:
            return self._acknowledged.get((event.episode or "", subscription)) == _ACKNOWLEDGED
        return any(subscription in self._told[name] for name in self._of.get(event.id, ()))

    def note(self, event: Event, subscription: str) -> None:
        if event.type in _ABOUT_ACTS:
            self._acknowledged[event.episode or "", subscription] = event.type
        for name in _tells_of(event):
            self._told[name].add(subscription)


_ACKNOWLEDGED = "lab.flag.acknowledged"
_ABOUT_ACTS = frozenset({_ACKNOWLEDGED, *ENDS_ACKNOWLEDGEMENT})


def _taken_back(connection: Connection, event: Event) -> tuple[str, ...]:
    """What an event takes back: a flag, or an episode with all of its flags."""
    if event.type not in OF_EPISODES or event.patient is None or event.episode is None:
        return () if event.flag is None else (event.flag,)
    return event.episode, *deliveries.flags_of(connection, event.patient, event.episode)


def _tells_of(event: Event) -> Iterator[str]:
    """Whoever is told of a flag that is superseded is told of the one that replaces it."""
    return (str(name) for name in (event.flag, event.episode, event.data.get("by")) if name is not None)


def _row(event: Event, one: Subscription, *, seq: int, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id("dlv"),
        "subscription_id": one.id,
        "event_id": event.id,
        "event_seq": seq,
        "type": event.type,
        "lane": event.lane,
        "patient_id": event.patient,
        "episode_id": event.episode,
        "flag_id": event.flag,
        "by_flag_id": event.data.get("by"),
        "state": DeliveryState.WAITING.value,
        "attempts": 0,
        "tries": 0,
        "created_at": now,
        "next_at": now,
    }
