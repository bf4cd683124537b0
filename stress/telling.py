"""Dispatchers are killed while panels come in, and four of them share ten thousand events.

Promise: every event reaches its receiver at least once, under one id, in the order of its episode; nothing is claimed
twice, and there is no event without its flag.
"""

import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select

from service.domain.events import Event
from service.storage import outbox
from service.storage.database import Database
from service.storage.tables import flags
from service.storage.tables import outbox as events
from service.storage.tables_delivery import deliveries, delivery_attempts
from service.storage.writes import Writes
from stress.client import Client
from stress.common import Found, Place, Size, few
from stress.load import load, send_again, until
from stress.receiver import Taken, receiving
from stress.server import Service, kill, serving

_DISPATCHERS = 4
_OPEN = {"webhook_http": "true", "webhook_networks": "127.0.0.1/32", "dispatch_threads": 8}


def trial(kind: str, place: Place, size: Size) -> Found:
    """Kill dispatchers at random while clients write, then let four of them send what was put out at once."""
    port = place.port()
    with (
        serving(place, place.address(kind), **_OPEN) as service,
        receiving(port, trouble=size.of(0.02, 0.05)) as taken,
    ):
        taken.secret = _subscribe(service, port)
        killed = _kill_some(service, taken, size)
        faults = [*_told(service, taken), *_flags_are_told(service)]
        again = len(taken.ids) - len(set(taken.ids))
        taken.ids.clear()
        many = size.of(300, 10_000)
        faults += _share(service, taken, many)
    did = f"{killed} dispatchers killed; {many:,} events through {_DISPATCHERS}"
    counts = Counter({"told again": again, "refused": taken.refused, "forged": taken.forged, "cut off": taken.pieces})
    return Found(did=did, faults=(*faults, *few("signatures that are not good", range(taken.forged))), counts=counts)


def _subscribe(service: Service, port: int) -> str:
    """Subscribe to everything; answers the secret."""
    wanted = {"name": "stress", "endpoint": f"http://127.0.0.1:{port}/", "filter": {"types": _EVERY}}
    with Client(service.port, service.key) as client:
        answer = client.post(json.dumps(wanted).encode(), path="/v1/subscriptions")
    secret: str = answer.data["secret"]
    return secret


_EVERY = [
    f"lab.flag.{word}"
    for word in ("raised", "escalated", "improved", "repeated", "reopened", "resolved", "superseded", "withdrawn")
]


def _kill_some(service: Service, taken: Taken, size: Size) -> int:
    wanted = size.of(1, 60)
    chance = random.Random(wanted)
    with load(service, singles=size.of(2, 4), bulks=size.of(0, 1)) as under_way, _dispatching(service, 2) as running:
        for number in range(wanted):
            before = len(taken.ids)
            until(lambda before=before: len(taken.ids) > before + 5)
            time.sleep(chance.uniform(0.0, 0.3))
            running.kill(number % 2)
        ledger = under_way.ledger
    with _dispatching(service, 1):
        send_again(service, ledger)
        _wait_until_told(service)
    return wanted


class _Running:
    """Dispatchers, each in a process of its own."""

    def __init__(self, service: Service, many: int) -> None:
        self._service = service
        self.processes = [service.beside("dispatch") for _ in range(many)]

    def kill(self, place: int) -> None:
        """Kill one as ``kill -9`` does, and start another in its place."""
        kill(self.processes[place].pid)
        self.processes[place].wait()
        self.processes[place] = self._service.beside("dispatch")

    def stop(self) -> None:
        for one in self.processes:
            one.terminate()
        for one in self.processes:
            one.wait()


@contextmanager
def _dispatching(service: Service, many: int) -> Iterator[_Running]:
    running = _Running(service, many)
    try:
        yield running
    finally:
        running.stop()


def _wait_until_told(service: Service) -> None:
    if not until(lambda: not _left(service), patience=300, pause=0.2):
        raise TimeoutError(f"{_left(service)} events are not told")


def _left(service: Service) -> int:
    """How much is not looked at, or waits. In one statement: between two, events become deliveries, unseen by both."""
    waiting = select(func.count()).select_from(deliveries).where(deliveries.c.state == "waiting").scalar_subquery()
    unseen = select(func.count()).select_from(events).where(~events.c.fanned).scalar_subquery()
    left: int = _rows(service, select(waiting + unseen))[0][0]
    return left


def _rows(service: Service, statement: Any) -> Sequence[Any]:
    database = Database.open(service.address, timeout=30)
    try:
        with database.reading() as connection:
            return connection.execute(statement).all()
    finally:
        database.close()


def _told(service: Service, taken: Taken) -> Iterator[str]:
    """Every event was taken, first in the order of its episode, and none that was not put out."""
    wanted = events.c.type.in_(_EVERY)
    put = _rows(service, select(events.c.id, events.c.episode_id).where(wanted).order_by(events.c.seq))
    first = {name: place for place, name in reversed(list(enumerate(taken.ids)))}
    yield from few("never told", (row.id for row in put if row.id not in first))
    yield from few("told, and never put out", first.keys() - {row.id for row in put})
    lanes: dict[str, list[int]] = defaultdict(list)
    for row in put:
        lanes[row.episode_id].append(first.get(row.id, -1))
    yield from few("told out of order", (name for name, places in lanes.items() if places != sorted(places)))


def _flags_are_told(service: Service) -> Iterator[str]:
    """No flag without its event, and no event without its flag."""
    raised = {row.id for row in _rows(service, select(flags.c.id))}
    told = {row.flag_id for row in _rows(service, select(events.c.flag_id).where(events.c.flag_id.is_not(None)))}
    by = {row.data["by"] for row in _rows(service, select(events.c.data)) if row.data.get("by")}
    yield from few("flags without an event", raised - told - by)
    yield from few("events without a flag", told - raised)


def _share(service: Service, taken: Taken, many: int) -> list[str]:
    """Four dispatchers share many events: each is claimed once, tried as often as it was not taken, and told."""
    now = datetime.now(UTC)
    made = [
        Event(id=f"evt_many_{n:06}", type="lab.flag.raised", at=now, episode=f"eps_many_{n % (many // 4)}", data={})
        for n in range(many)
    ]
    database = Database.open(service.address, timeout=30)
    with database.transaction() as connection:
        writes = Writes()
        outbox.keep(writes, made)
        writes.flush(connection)
    database.close()
    with _dispatching(service, _DISPATCHERS):
        _wait_until_told(service)
    tried = _rows(
        service,
        select(func.count(), func.sum(deliveries.c.attempts))
        .select_from(deliveries)
        .where(deliveries.c.event_id.like("evt_many_%")),
    )[0]
    kept = _rows(
        service,
        select(func.count())
        .select_from(delivery_attempts.join(deliveries))
        .where(deliveries.c.event_id.like("evt_many_%")),
    )[0]
    mine = [name for name in taken.ids if name.startswith("evt_many_")]
    faults = [] if tried[0] == many else [f"{tried[0]} deliveries of {many} events"]
    faults += [] if tried[1] == kept[0] else [f"{kept[0]} attempts are kept of {tried[1]}"]
    faults += list(few("never told", {one.id for one in made} - set(mine)))
    return faults
