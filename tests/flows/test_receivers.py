"""Receivers that are away, come back, are changed, or are told late; and none that keeps the others waiting."""

from dataclasses import replace
from datetime import timedelta

import pytest

from service.delivery.outcome import Later, Refused, Sent
from service.domain.events import Event
from service.domain.subscriptions import Channel, Format, Payload, SubscriptionState
from service.flows.dispatch import Room
from service.storage import subscriptions
from tests.flows.build import NOW, Sender, calcium, panel
from tests.flows.telling import fan_all_out, put_out, rows, subscribe
from tests.flows.test_dispatch import DOWN, SENT, claimed, event, names, settle


@pytest.fixture
def waiting(means, database):
    """Puts events out and fans them out to one subscription; answers it."""

    def put(*events: Event):
        ward = subscribe(database, "ward")
        put_out(database, *events)
        fan_all_out(means)
        return ward

    return put


def test_when_a_receiver_is_back_what_would_be_tried_much_later_follows_at_once(means, database, waiting):
    waiting(*(event(number) for number in range(1, 5)))
    now = NOW
    for _ in range(4):
        settle(means, claimed(means, now=now, room=Room(most=1, each=1)), DOWN, now=now)
        now += timedelta(minutes=6)

    settle(means, claimed(means, now=now, room=Room(most=1, each=1)), SENT, now=now)

    assert {row.next_at <= now for row in rows(database) if row.state == "waiting"} == {True}


def test_one_message_that_is_never_taken_is_not_tried_more_often_for_the_others(means, database, waiting):
    waiting(event(1), event(2))
    one, other = claimed(means)
    settle(means, [one], DOWN)

    settle(means, [other], SENT)

    assert rows(database)[0].next_at > NOW


def test_what_a_short_absence_has_hit_twice_follows_soon(means, database, waiting):
    waiting(event(1))
    for second in (0, 7):
        now = NOW + timedelta(seconds=second)
        settle(means, claimed(means, now=now), DOWN, now=now)
    put_out(database, event(2))
    fan_all_out(means)

    now = NOW + timedelta(seconds=10)
    settle(means, claimed(means, now=now), SENT, now=now)

    hit = rows(database)[0]
    assert (hit.state, hit.tries, hit.next_at) == ("waiting", 2, now + timedelta(seconds=20))


HOUR = timedelta(hours=1)
BUSY = Later(why="busy", status=429, after=HOUR)


@pytest.mark.parametrize("begun", [-3, -1])
def test_a_receiver_that_asks_for_time_gets_it_whatever_else_it_has_taken_meanwhile(means, database, waiting, begun):
    waiting(*(event(number) for number in range(1, 4)))
    one, other = claimed(means, room=Room(most=2, each=2))
    settle(means, [one], BUSY, now=NOW)
    settle(means, [other], SENT, now=NOW + timedelta(seconds=begun))

    assert claimed(means, now=NOW + HOUR - timedelta(seconds=1)) == []
    assert claimed(means, now=NOW + HOUR * 1.3) != []


def test_a_message_that_only_came_too_soon_has_all_its_tries_left(means, database, waiting):
    waiting(event(1))

    settle(means, claimed(means), Later(why="busy", status=429))

    (row,) = rows(database)
    assert (row.tries, row.attempts) == (0, 1)
    assert NOW + timedelta(seconds=5) <= row.next_at <= NOW + timedelta(seconds=6)


def test_of_a_receiver_that_takes_nothing_every_try_counts_whatever_it_says(means, database, waiting):
    waiting(event(1))
    now = NOW
    for _ in range(3):
        settle(means, claimed(means, now=now), Later(why="busy", status=429), now=now)
        now += HOUR

    assert [row.tries for row in rows(database)] == [2]


@pytest.mark.parametrize(
    "outcome",
    [
        Refused(why="gone", status=410, gone=True),
        Refused(why="no", status=400),
        Later(why="x", after=timedelta(days=1)),
    ],
    ids=["gone", "refused", "later"],
)
def test_what_the_endpoint_of_before_has_said_is_not_the_new_ones_fault(means, database, waiting, outcome):
    ward = waiting(event(1))
    under_way = claimed(means)
    with database.transaction() as connection:
        found = subscriptions.find(connection, ward.id)
        subscriptions.change(connection, replace(found, endpoint="https://new.example/"), now=NOW)

    settle(means, under_way, outcome)

    with database.reading() as connection:
        found = subscriptions.find(connection, ward.id)
    assert (found.state, found.failures, found.hold_until) == (SubscriptionState.ACTIVE, 0, None)
    assert names(claimed(means, now=NOW + timedelta(seconds=7))) == ["evt_1"]


def test_an_answer_is_not_kept_where_it_may_repeat_a_flag_in_full(means, database):
    subscribe(database, "ward", payload=Payload.FULL)
    Sender(means).send(panel(calcium("13.5")))
    fan_all_out(means)

    settle(means, claimed(means), Sent(status=200, answer="88204113 13.5"))

    with database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT answer FROM delivery_attempts").scalars().all()
    assert kept == [None]


@pytest.mark.parametrize(
    "receiver",
    [
        {"channel": Channel.PAGER, "format": Format.PAGERDUTY, "endpoint": "https://pager.example/"},
        {"channel": Channel.WEBHOOK, "format": Format.NATIVE},
    ],
    ids=["pager", "webhook"],
)
def test_whoever_is_told_late_hears_how_it_is_now(means, database, receiver):
    subscribe(database, "ward", types=("lab.flag.raised",), **receiver)
    sender = Sender(means)
    sender.send(panel(calcium("13.5"), on=0))
    fan_all_out(means)
    settle(means, claimed(means), DOWN)

    sender.send(panel(calcium("9.8"), on=1))
    (again,) = claimed(means, now=NOW + timedelta(seconds=10))

    assert (again.event.data["episode_state"], again.event.data["flag_state"]) == ("resolved", "resolved")


def test_what_is_told_of_a_flag_stays_in_order_when_the_flag_goes_to_another_episode(means, database):
    subscribe(database, "ward")
    sender, now, told = Sender(means), NOW, []
    for day, value in ((1, "13.5"), (5, "13.6")):
        sender.send(panel(calcium(value, id=f"C{day}"), on=day))
    fan_all_out(means)
    for _ in range(3):
        settle(means, claimed(means, now=now), DOWN, now=now)
        now += timedelta(minutes=6)

    sender.send(panel(calcium("9.8", id="C3"), on=3))
    sender.send(panel(calcium("13.5", id="C1", status="entered-in-error"), on=1))
    fan_all_out(means, now=now)
    now += timedelta(hours=4)
    while tasks := claimed(means, now=now, room=Room(most=1, each=1)):
        told += [task.event for task in tasks]
        settle(means, tasks, SENT, now=now)

    wrong = next(one.flag for one in told if one.type == "lab.flag.withdrawn")
    words = [one.type.rpartition(".")[2] for one in told if one.flag == wrong]
    assert (words[0], words[-1]) == ("raised", "withdrawn")


def test_a_receiver_to_which_nothing_is_under_way_has_a_turn_however_much_others_have(means, database, waiting):
    waiting(event(1), event(2))

    assert len(claimed(means, room=Room(most=0, each=96, under_way={"sub_other": 128}))) == 2
