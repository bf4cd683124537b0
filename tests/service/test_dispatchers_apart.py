"""What was claimed, and then changed or dropped; and dispatchers whose clocks differ."""

import threading
from collections import Counter
from datetime import timedelta

import pytest

from service.delivery.letter import Letter
from service.delivery.outcome import Outcome, Sent
from service.domain.errors import Unavailable
from service.domain.subscriptions import SubscriptionState
from service.flows import dispatch
from tests.flows.telling import put_out, rows, set_state, subscribe
from tests.service.test_dispatcher import Clock, Receiver, another, event, worker


@pytest.mark.parametrize("what", [SubscriptionState.PAUSED, SubscriptionState.DELETED])
def test_nothing_begins_to_be_sent_when_nobody_has_looked_lately_whether_it_may(means, database, monkeypatch, what):
    ward = subscribe(database, "ward")
    put_out(database, *(event(number, number) for number in range(10)))
    met, go_on = threading.Event(), threading.Event()

    def answers(_letter: Letter) -> Outcome:
        met.set()
        go_on.wait(30)
        return Sent(status=204)

    receiver = Receiver(answers)
    dispatcher = worker(means, receiver, threads=1)
    dispatcher.round()
    met.wait(30)
    set_state(database, ward, what)
    monkeypatch.setattr("service.dispatcher._FRESH", 0.0)
    go_on.set()
    while dispatcher._serving.total():  # no round comes between
        dispatcher._wait(0.01)

    assert len(receiver.taken) == 1
    monkeypatch.undo()
    dispatcher.once()
    assert len(receiver.taken) == 1
    assert Counter(row.claim for row in rows(database)) == {None: 10}


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(minutes=2), timedelta(seconds=20)], ids=str)
def test_a_dispatcher_that_starts_with_a_clock_that_is_behind_sends_nothing_that_another_sends(means, database, ahead):
    subscribe(database, "ward")
    put_out(database, *(event(number, number) for number in range(6)))
    met, go_on = threading.Event(), threading.Event()

    def answers(_letter: Letter) -> Outcome:
        met.set()
        go_on.wait(30)
        return Sent(status=204)

    first, clock, late = Receiver(answers), Clock(), Receiver()
    clock.now += ahead
    ours = worker(means, first, clock)
    ours.round()
    met.wait(30)
    with another(means) as own:
        worker(own, late).once()
    go_on.set()
    ours.once()

    assert late.taken == []
    assert Counter(first.taken) == {f"evt_{number:05}": 1 for number in range(6)}


def test_what_comes_while_a_receiver_takes_its_time_does_not_wait_for_it(means, database):
    subscribe(database, "ward")
    put_out(database, event(1, 1))
    both = threading.Barrier(2)

    def answers(_letter: Letter) -> Outcome:
        both.wait(30)
        return Sent(status=204)

    dispatcher = worker(means, Receiver(answers))
    dispatcher.round()
    put_out(database, event(2, 2))
    dispatcher.once()

    assert {row.state for row in rows(database)} == {"sent"}


def test_what_was_claimed_and_could_not_be_looked_up_is_let_go_at_once(means, database, monkeypatch):
    subscribe(database, "ward")
    put_out(database, event(1, 1))
    gather = dispatch.gather

    def away(*_given):
        raise Unavailable("the database is away")

    monkeypatch.setattr(dispatch, "gather", away)
    dispatcher = worker(means, Receiver())
    with pytest.raises(Unavailable):
        dispatcher.round()

    monkeypatch.setattr(dispatch, "gather", gather)
    dispatcher.once()

    assert [row.state for row in rows(database)] == ["sent"]
