"""The dispatcher as a whole: rounds, threads, several at once, and a death at every point of its cycle."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from service.delivery.letter import Letter
from service.delivery.outcome import Later, Outcome, Sent
from service.dispatcher import Dispatcher, Work
from service.domain.errors import Unavailable
from service.domain.events import Event
from service.domain.subscriptions import Channel
from service.flows import dispatch
from service.flows.dispatch import Shown
from service.flows.means import Means
from service.storage import subscriptions
from service.storage.database import Database
from service.storage.tables import flags, outbox
from service.storage.tables_delivery import delivery_attempts
from tests.flows.build import NOW, Sender, calcium, panel
from tests.flows.telling import put_out, rows, subscribe

SHOWN = Shown(flag=lambda _view: {}, resource=lambda _connection, _view: {}, source="urn:us")


class Receiver:
    """A channel that takes everything, and remembers in which order. ``answer`` may say otherwise."""

    def __init__(self, answer=lambda _letter: Sent(status=204)) -> None:
        self._lock = threading.Lock()
        self._answer = answer
        self.taken: list[str] = []

    def send(self, letter: Letter) -> Outcome:
        outcome = self._answer(letter)
        if isinstance(outcome, Sent):
            with self._lock:
                self.taken.append(letter.id)
        return outcome

    def faults(self, _endpoint: str) -> list[str]:
        return []


class Clock:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def worker(means: Means, receiver: Receiver, clock=None, **more) -> Dispatcher:
    work = {"threads": 4, "pause": 0.01, "graceful": 5.0, **more}
    return Dispatcher(
        Work(means=means, senders={Channel.WEBHOOK: receiver}, shown=SHOWN, clock=clock or Clock(), **work)
    )


def event(number: int, lane: int) -> Event:
    return Event(
        id=f"evt_{number:05}", type="lab.flag.raised", at=NOW, patient="pat_1", episode=f"eps_{lane:03}", data={}
    )


def lanes(taken: list[str], of: dict[str, int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for name in taken:
        found[of[name]].append(name)
    return found


@contextmanager
def another(means: Means) -> Iterator[Means]:
    """What a process of its own would work with."""
    database = Database.open(means.database.engine.url.render_as_string(hide_password=False), pool_size=2, timeout=30)
    yield Means(database=database, catalogue=means.catalogue)
    database.close()


def test_everything_that_is_due_is_sent_once_and_in_the_order_of_its_lane(means, database):
    subscribe(database, "ward")
    of = {f"evt_{number:05}": number % 7 for number in range(60)}
    put_out(database, *(event(number, number % 7) for number in range(60)))
    receiver = Receiver()

    tried = worker(means, receiver).once()

    assert tried == 60
    assert all(names == sorted(names) for names in lanes(receiver.taken, of).values())
    assert Counter(receiver.taken) == dict.fromkeys(of, 1)
    assert {row.state for row in rows(database)} == {"sent"}


def test_nothing_is_held_while_something_is_sent(means, database):
    subscribe(database, "ward")
    put_out(database, *(event(number, number) for number in range(3)))
    held = []

    def looks(_letter: Letter) -> Outcome:
        held.append(database.engine.pool.checkedout())
        return Sent(status=204)

    dispatcher = worker(means, Receiver(looks), threads=8)
    # The loop waits while the thread looks: what is still held then is held by whoever sends.
    dispatcher.round()
    dispatcher._threads.shutdown(wait=True)
    dispatcher.settle()

    assert held == [0, 0, 0]


def test_a_fault_in_one_delivery_does_not_silence_the_others(means, database):
    subscribe(database, "ward")
    put_out(database, event(1, 1), event(2, 2))

    def breaks(letter: Letter) -> Outcome:
        if letter.id == "evt_00001":
            raise ZeroDivisionError
        return Sent(status=204)

    worker(means, Receiver(breaks)).once()

    states = [(row.event_id, row.state, row.why) for row in rows(database)]
    assert states == [("evt_00001", "waiting", "the service has failed"), ("evt_00002", "sent", None)]


def test_a_slow_receiver_leaves_threads_for_the_others(means, database):
    subscribe(database, "slow", endpoint="http://127.0.0.1:9/slow")
    subscribe(database, "quick", endpoint="http://127.0.0.1:9/quick")
    put_out(database, *(event(number, number) for number in range(20)))
    go_on, quick = threading.Event(), []

    def answers(letter: Letter) -> Outcome:
        if letter.to.endswith("slow"):
            go_on.wait(30)
            return Later(why="no answer in time")
        quick.append(letter.id)
        if len(quick) == 20:
            go_on.set()
        return Sent(status=204)

    worker(means, Receiver(answers)).once()

    assert len(quick) == 20


def test_a_change_of_the_subscription_counts_for_what_was_claimed_before(means, database):
    ward = subscribe(database, "ward", endpoint="http://127.0.0.1:9/old")
    put_out(database, *(event(number, number) for number in range(40)))
    met, go_on, places = threading.Event(), threading.Event(), []

    def answers(letter: Letter) -> Outcome:
        places.append(letter.to.rpartition("/")[2])
        met.set()
        go_on.wait(30)
        return Sent(status=204)

    dispatcher = worker(means, Receiver(answers), threads=2)
    dispatcher.round()
    met.wait(30)
    with database.transaction() as connection:
        found = subscriptions.find(connection, ward.id)
        subscriptions.change(connection, replace(found, endpoint="http://127.0.0.1:9/new"), now=NOW)
    dispatcher.round()
    go_on.set()
    dispatcher.once()

    assert places.count("old") <= 2
    assert Counter(places).total() == 40


def test_an_outcome_that_cannot_be_written_down_keeps_no_other_from_it(means, database, monkeypatch):
    subscribe(database, "ward")
    put_out(database, event(1, 1), event(2, 2))
    real = dispatch.settle

    def settle(means_, done, *, now):
        if any(one.task.event.id == "evt_00001" for one in done):
            raise ZeroDivisionError
        return real(means_, done, now=now)

    monkeypatch.setattr(dispatch, "settle", settle)
    dispatcher = worker(means, Receiver())
    for _ in range(20):
        dispatcher.round()
        dispatcher._wait(0.01)
    dispatcher._finish()

    assert [(row.event_id, row.state) for row in rows(database)] == [("evt_00001", "waiting"), ("evt_00002", "sent")]


def test_chores_are_looked_after_with_the_time_of_the_round(means):
    seen = []

    def chore(_means: Means, *, now: datetime) -> int:
        seen.append(now)
        return 0

    dispatcher = worker(means, Receiver(), chores=(chore,), every=3600)
    dispatcher.round()
    dispatcher.round()

    assert seen == [NOW]


def test_a_chore_that_fails_silences_nothing(means, database):
    subscribe(database, "ward")
    put_out(database, event(1, 1))
    receiver, seen = Receiver(), []

    def fails(_means: Means, *, now: datetime) -> int:
        raise ZeroDivisionError

    def works(_means: Means, *, now: datetime) -> int:
        seen.append(now)
        return 0

    worker(means, receiver, chores=(fails, works)).once()

    assert (receiver.taken, seen) == (["evt_00001"], [NOW])


def test_while_the_database_is_away_the_dispatcher_waits_and_goes_on_afterwards(means, database, monkeypatch):
    subscribe(database, "ward")
    put_out(database, event(1, 1))
    receiver = Receiver()
    dispatcher = worker(means, receiver)
    away = iter([True, True, False])
    real = dispatch.settle

    def settle(*given, **more):
        if next(away, False):
            raise Unavailable("the database cannot be reached")
        found = real(*given, **more)
        dispatcher.stop()
        return found

    monkeypatch.setattr(dispatch, "settle", settle)
    dispatcher.run()

    assert receiver.taken == ["evt_00001"]
    assert [(row.state, row.attempts) for row in rows(database)] == [("sent", 1)]


def test_who_is_stopped_finishes_what_is_being_sent_and_lets_go_of_the_rest(means, database):
    subscribe(database, "ward")
    put_out(database, *(event(number, number) for number in range(8)))
    receiver = Receiver()
    dispatcher = worker(means, receiver, threads=2)

    def stops(_letter: Letter) -> Outcome:
        dispatcher.stop()
        return Sent(status=204)

    receiver._answer = stops
    dispatcher.run()

    found = rows(database)
    assert {row.claim for row in found} == {None}
    assert sorted(row.event_id for row in found if row.state == "sent") == sorted(receiver.taken)
    assert 0 < len(receiver.taken) < 8


# ---------------------------------------------------------------------------------------------------- several at once
EVENTS, LANES = 1_000, 90


def test_four_dispatchers_at_once_send_everything_once_and_in_order(means, database):
    subscribe(database, "ward")
    of = {f"evt_{number:05}": number % LANES for number in range(EVENTS)}
    put_out(database, *(event(number, number % LANES) for number in range(EVENTS)))
    receiver = Receiver()

    def works(_number: int) -> int:
        with another(means) as own:
            dispatcher = worker(own, receiver, threads=8)
            while len(receiver.taken) < EVENTS:
                dispatcher.round()
                dispatcher._wait(0.01)
            dispatcher._finish()
            return dispatcher.tried

    with ThreadPoolExecutor(4) as threads:
        tried = list(threads.map(works, range(4)))

    assert Counter(receiver.taken) == dict.fromkeys(of, 1)
    assert all(names == sorted(names) for names in lanes(receiver.taken, of).values())
    assert sum(tried) == EVENTS
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(delivery_attempts)).scalar_one() == EVENTS


# ------------------------------------------------------------------------------------------------------------- deaths
class Killed(BaseException):
    """A process that is struck dead: nothing of ours catches it."""


POINTS = (
    "service.storage.deliveries.alone",
    "service.storage.deliveries.unfanned",
    "service.storage.deliveries.add",
    "service.storage.deliveries.count_on",
    "service.storage.deliveries.fanned",
    "service.storage.deliveries.due",
    "service.storage.deliveries.claim",
    "service.storage.deliveries.events",
    "service.flows.dispatch.letter",
    "service.storage.deliveries.record",
    "service.storage.deliveries.went_through",
)


@pytest.mark.parametrize("after", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("point", POINTS)
def test_whoever_dies_anywhere_leaves_nothing_out_and_nothing_out_of_order(means, database, monkeypatch, point, after):
    subscribe(database, "ward")
    sender = Sender(means)
    receiver, clock = Receiver(), Clock()
    for number, value in enumerate(["11.9", "13.5", "9.8"]):
        sender.send(panel(calcium(value), on=number))
    _die_at(monkeypatch, point, after=after)

    _run_until_dead(worker(means, receiver, clock))
    monkeypatch.undo()
    clock.now += dispatch.LEASE + timedelta(seconds=1)
    worker(means, receiver, clock).once()

    with database.reading() as connection:
        put = [row.id for row in connection.execute(select(outbox.c.id).order_by(outbox.c.seq))]
        raised = connection.execute(select(func.count()).select_from(flags)).scalar_one()
    # At least once: what was taken twice was taken under the same id, and before anything behind it.
    assert list(dict.fromkeys(receiver.taken)) == put
    assert len(put) == raised + 1 == 3
    assert {row.state for row in rows(database)} == {"sent"}


def _die_at(monkeypatch, point: str, *, after: bool) -> None:
    place, _, name = point.rpartition(".")
    module = __import__(place, fromlist=[name])
    real = getattr(module, name)

    def dies(*given, **more):
        if after:
            real(*given, **more)
        raise Killed

    monkeypatch.setattr(module, name, dies)


def _run_until_dead(dispatcher: Dispatcher) -> None:
    send, dead = dispatcher._send, threading.Event()

    def sends(task) -> None:
        try:
            send(task)
        except Killed:
            dead.set()  # a thread dies with its process: what it was sending never comes back

    dispatcher._send = sends
    with pytest.raises(Killed):
        _go_round(dispatcher, dead)
    dispatcher._threads.shutdown(wait=True)


def _go_round(dispatcher: Dispatcher, dead: threading.Event) -> None:
    for _ in range(50):
        dispatcher.round()
        dispatcher._wait(0.01)
        if dead.is_set():
            raise Killed
