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


def test_a_pager_that_is_told_late_hears_how_the_episode_is_now(means, database):
    pager = {"channel": Channel.PAGER, "format": Format.PAGERDUTY, "endpoint": "https://pager.example/"}
    subscribe(database, "pager", types=("lab.flag.raised",), **pager)
    sender = Sender(means)
    sender.send(panel(calcium("13.5"), on=0))
    fan_all_out(means)
    settle(means, claimed(means), DOWN)

    sender.send(panel(calcium("9.8"), on=1))
    (again,) = claimed(means, now=NOW + timedelta(seconds=10))

    assert again.event.data["episode_state"] == "resolved"


def test_a_receiver_to_which_nothing_is_under_way_has_a_turn_however_much_others_have(means, database, waiting):
    waiting(event(1), event(2))

    assert len(claimed(means, room=Room(most=0, each=96, under_way={"sub_other": 128}))) == 2
