"""From claim to settled: at least once, in the order of each lane, whatever receivers and dispatchers do."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from service.delivery.outcome import Later, Outcome, Refused, Sent
from service.domain import retries
from service.domain.events import Event
from service.domain.subscriptions import TEST_TYPE, Format, Payload, SubscriptionState
from service.flows import dispatch
from service.flows.dispatch import LEASE, Done, Forsaken, Room, Shown, Task
from service.storage import delivery_clock, subscriptions
from tests.flows.build import NOW, Sender, calcium, panel
from tests.flows.telling import fan_all_out, put_out, rows, set_state, subscribe

ROOM = Room(most=100, each=100)
SHOWN = Shown(
    flag=lambda view: {"id": view.flag.id}, resource=lambda _connection, view: {"id": view.flag.id}, source="urn:us"
)
SENT = Sent(status=204)
DOWN = Later(why="no connection")


def event(number: int, *, episode: str | None = None) -> Event:
    return Event(
        id=f"evt_{number}", type="lab.flag.raised", at=NOW, patient="pat_1", episode=episode or f"eps_{number}", data={}
    )


@pytest.fixture
def waiting(means, database):
    """Puts events out and fans them out to one subscription; answers it."""

    def put(*events: Event):
        ward = subscribe(database, "ward")
        put_out(database, *events)
        fan_all_out(means)
        return ward

    return put


def claimed(means, *, now: datetime = NOW, by: str = "dsp_1", room: Room = ROOM) -> list[Task]:
    return dispatch.gather(means, dispatch.claim(means, by=by, room=room, now=now), SHOWN)


def settle(means, tasks: Sequence[Task], outcome: Outcome, *, now: datetime = NOW) -> frozenset[str]:
    done = [Done(task=task, at=now, milliseconds=1, outcome=outcome) for task in tasks]
    return dispatch.settle(means, done, now=now)


def names(tasks: Sequence[Task]) -> list[str]:
    return [task.event.id for task in tasks]


def states(database) -> list[tuple[str, str, int]]:
    return [(row.event_id, row.state, row.attempts) for row in rows(database)]


# -------------------------------------------------------------------------------------------------------------- order
def test_of_a_lane_only_the_oldest_is_sent_and_the_next_when_it_went_through(means, database, waiting):
    waiting(event(1, episode="eps_a"), event(2, episode="eps_a"), event(3, episode="eps_b"))

    first = claimed(means)
    meanwhile = claimed(means)
    settle(means, first, SENT)

    assert (names(first), names(meanwhile), names(claimed(means))) == (["evt_1", "evt_3"], [], ["evt_2"])


def test_what_failed_holds_back_its_own_lane_only(means, database, waiting):
    waiting(event(1, episode="eps_a"), event(2, episode="eps_a"), event(3, episode="eps_b"))
    one, other = claimed(means)

    settle(means, [one], DOWN)
    settle(means, [other], SENT)

    assert names(claimed(means, now=NOW + timedelta(seconds=4))) == []
    assert names(claimed(means, now=NOW + timedelta(seconds=10))) == ["evt_1"]


def test_what_is_refused_for_good_does_not_hold_up_what_comes_after_it(means, database, waiting):
    waiting(event(1, episode="eps_a"), event(2, episode="eps_a"))

    settle(means, claimed(means), Refused(why="the receiver refused it", status=422))

    assert names(claimed(means)) == ["evt_2"]
    first = rows(database)[0]
    assert (first.state, first.status, first.why) == ("failed", 422, "the receiver refused it")


def test_the_lane_of_one_receiver_does_not_hold_up_another_receiver(means, database, waiting):
    ward = waiting(event(1, episode="eps_a"))
    subscribe(database, "pager")
    put_out(database, event(2, episode="eps_a"))
    fan_all_out(means)
    first = claimed(means)

    settle(means, [task for task in first if task.subscription.id == ward.id], DOWN)

    assert {(task.subscription.name, task.event.id) for task in first} == {("ward", "evt_1"), ("pager", "evt_2")}


# ------------------------------------------------------------------------------------------------------------ retries
def test_a_message_is_tried_ten_times_over_three_days_and_then_kept_as_failed(means, database, waiting):
    waiting(event(1))
    now, tried = NOW, []

    while tasks := claimed(means, now=now):
        tried.append(now)
        settle(means, tasks, DOWN, now=now)
        now = rows(database)[0].next_at

    waits = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert len(tried) == retries.TRIES == 10
    assert all(planned <= wait <= planned * 1.2 for planned, wait in zip(retries.SCHEDULE[1:], waits, strict=True))
    assert timedelta(days=3) < tried[-1] - tried[0] < timedelta(days=4)
    assert states(database) == [("evt_1", "failed", 10)]


def test_a_receiver_is_given_the_time_that_it_asks_for(means, database, waiting):
    waiting(event(1))

    settle(means, claimed(means), replace(DOWN, status=429, after=timedelta(minutes=10)))

    assert claimed(means, now=NOW + timedelta(minutes=9)) == []
    assert names(claimed(means, now=NOW + timedelta(minutes=10))) == ["evt_1"]


def test_a_receiver_that_is_down_is_asked_with_one_message_and_gets_the_rest_when_it_is_back(means, database, waiting):
    waiting(*(event(number) for number in range(1, 6)))
    soon = NOW + timedelta(seconds=6)
    settle(means, claimed(means), DOWN)

    probe = claimed(means, now=soon)
    settle(means, probe, SENT, now=soon)

    assert len(probe) == 1
    assert len(claimed(means, now=soon + timedelta(seconds=1))) == 4


def test_the_longer_a_receiver_is_down_the_longer_it_is_left_alone(means, database, waiting):
    ward = waiting(*(event(number) for number in range(1, 12)))
    now, holds = NOW, []

    for _ in range(8):
        settle(means, claimed(means, now=now, room=Room(most=1, each=1)), DOWN, now=now)
        with database.reading() as connection:
            until = subscriptions.find(connection, ward.id).hold_until
        holds.append((until - now).total_seconds())
        now = until

    assert holds == [0, 2, 10, 30, 60, 120, 300, 300]


def test_a_receiver_that_is_gone_gets_nothing_more_until_somebody_resumes_it(means, database, waiting):
    ward = waiting(event(1), event(2, episode="eps_1"))
    later = NOW + timedelta(days=2)

    settle(means, claimed(means), Refused(why="the receiver is gone", status=410, gone=True))

    with database.reading() as connection:
        found = subscriptions.find(connection, ward.id)
    assert (found.state, found.why) == (SubscriptionState.DISABLED, "the receiver is gone")
    assert claimed(means, now=later) == []
    set_state(database, ward, SubscriptionState.ACTIVE)
    assert names(claimed(means, now=later)) == ["evt_1"]


def test_nothing_is_sent_to_who_has_paused(means, database, waiting):
    ward = waiting(event(1))
    set_state(database, ward, SubscriptionState.PAUSED)

    assert claimed(means) == []


def test_every_attempt_is_taken_down_with_what_the_receiver_said(means, database, waiting):
    waiting(event(1))
    settle(means, claimed(means), replace(DOWN, status=500, answer="oh"))
    later = NOW + timedelta(seconds=10)

    settle(means, claimed(means, now=later), SENT, now=later)

    (row,) = rows(database)
    with database.reading() as connection:
        tried = connection.exec_driver_sql(
            "SELECT number, outcome, status, why, answer FROM delivery_attempts ORDER BY number"
        ).all()
    assert (row.state, row.attempts, row.status, row.why, row.claim) == ("sent", 2, 204, None, None)
    assert [tuple(one) for one in tried] == [(1, "later", 500, "no connection", "oh"), (2, "sent", 204, None, None)]


# ----------------------------------------------------------------------------------------------------------- fairness
def test_a_receiver_has_at_most_its_share_under_way(means, database, waiting):
    waiting(*(event(number) for number in range(1, 9)))

    first = claimed(means, room=Room(most=100, each=3))
    further = claimed(means, room=Room(most=100, each=3, under_way={"sub_ward": 3}))

    assert (len(first), len(further)) == (3, 0)


def test_what_waits_for_many_receivers_is_shared_out_as_far_as_there_is_room(means, database, waiting):
    waiting(event(1))
    for name in ("a", "b", "c"):
        subscribe(database, name)
    put_out(database, *(event(number) for number in range(2, 6)))
    fan_all_out(means)

    busy = {f"sub_{name}": 1 for name in ("ward", "a", "b", "c")}
    assert len(claimed(means, room=Room(most=3, each=2, under_way=busy))) == 3


# ---------------------------------------------------------------------------------------------------- who loses a claim
def test_what_a_dispatcher_has_claimed_is_not_anothers_until_the_claim_lapses(means, database, waiting):
    waiting(event(1))
    mine = claimed(means, by="dsp_1")

    early = claimed(means, by="dsp_2", now=NOW + LEASE - timedelta(seconds=1))
    late = claimed(means, by="dsp_2", now=NOW + LEASE)

    assert (names(mine), names(early), names(late)) == (["evt_1"], [], ["evt_1"])


def test_a_claim_that_is_prolonged_does_not_lapse(means, database, waiting):
    waiting(event(1))
    (mine,) = claimed(means, by="dsp_1")

    dispatch.prolong(means, [mine.claimed.id], by="dsp_1", now=NOW + timedelta(seconds=20))

    assert claimed(means, by="dsp_2", now=NOW + LEASE) == []


def test_what_a_dispatcher_lets_go_another_has_at_once(means, database, waiting):
    waiting(event(1))
    (mine,) = claimed(means, by="dsp_1")

    dispatch.give_up(means, [mine.claimed.id], by="dsp_1")

    assert names(claimed(means, by="dsp_2")) == ["evt_1"]


def test_who_has_lost_a_claim_changes_nothing_any_more(means, database, waiting):
    waiting(event(1))
    late = NOW + LEASE
    mine = claimed(means, by="dsp_1")
    other = claimed(means, by="dsp_2", now=late)

    held = settle(means, mine, DOWN, now=late)
    others = settle(means, other, SENT, now=late)

    assert (held, others) == (frozenset(), frozenset({other[0].claimed.id}))
    assert states(database) == [("evt_1", "sent", 1)]


# -------------------------------------------------------------------------------------------------------------- clock
def test_a_clock_that_goes_back_makes_nothing_wait_longer(means, database, waiting):
    waiting(event(1), event(2))
    settle(means, claimed(means, room=Room(most=1, each=1)), DOWN)
    back = NOW - timedelta(hours=6)

    before = claimed(means, now=back)
    mended = dispatch.mend_clock(means, now=back)

    assert (before, mended) == ([], 2)
    # One of them is tried first, as the receiver has failed.
    assert names(claimed(means, now=back)) == ["evt_1"]


def test_claims_of_a_clock_that_went_back_are_free_again_when_nobody_prolongs_them(means, database, waiting):
    waiting(event(1))
    claimed(means, by="dsp_1")
    back, forsaken = NOW - timedelta(hours=6), Forsaken()
    dispatch.mend_clock(means, now=back)

    ended = [forsaken.look(means, now=back, at=at) for at in (1_000, 1_015, 1_030, 1_031, 1_046)]

    assert ended == [0, 0, 0, 1, 0]
    assert names(claimed(means, by="dsp_2", now=back)) == ["evt_1"]


def test_who_is_behind_takes_nothing_from_who_holds_it_however_the_clocks_differ(means, database, waiting):
    waiting(event(1))
    (mine,) = claimed(means, by="dsp_1")
    behind, forsaken = NOW - timedelta(hours=6), Forsaken()

    for second in range(0, 120, 10):
        dispatch.mend_clock(means, now=behind + timedelta(seconds=second))
        dispatch.prolong(means, [mine.claimed.id], by="dsp_1", now=NOW + timedelta(seconds=second))
        forsaken.look(means, now=behind + timedelta(seconds=second), at=second)
        assert claimed(means, by="dsp_2", now=behind + timedelta(seconds=second)) == []

    assert settle(means, [mine], SENT) == frozenset({mine.claimed.id})


def test_a_claim_that_is_prolonged_at_the_last_moment_is_not_ended(means, database, waiting):
    waiting(event(1))
    (mine,) = claimed(means, by="dsp_1")
    with database.reading() as connection:
        seen = delivery_clock.held_beyond(connection, NOW - timedelta(hours=6))
    dispatch.prolong(means, [mine.claimed.id], by="dsp_1", now=NOW + timedelta(seconds=10))

    with database.transaction() as connection:
        ended = delivery_clock.end(connection, seen)

    assert (len(seen), ended) == (1, 0)


def test_clocks_that_differ_by_seconds_take_nothing_from_each_other(means, database, waiting):
    waiting(event(1), event(2))
    first = claimed(means, by="dsp_1", room=Room(most=1, each=1))
    settle(means, first, DOWN)
    claimed(means, by="dsp_1", now=NOW + timedelta(seconds=3))
    behind = NOW - timedelta(seconds=20)

    dispatch.mend_clock(means, now=behind)

    assert claimed(means, by="dsp_2", now=behind) == []


def test_a_clock_that_leaps_ahead_sends_what_is_due_by_it_and_keeps_the_count(means, database, waiting):
    waiting(event(1))
    settle(means, claimed(means), DOWN)
    ahead = NOW + timedelta(days=30)

    settle(means, claimed(means, now=ahead), DOWN, now=ahead)

    assert states(database) == [("evt_1", "waiting", 2)]


# ------------------------------------------------------------------------------------------------------------- gather
def test_a_test_takes_no_number_from_the_events(means, database):
    subscribe(database, "ward", format=Format.FHIR)
    subscribe(database, "other", format=Format.FHIR)
    trials = [replace(event(number), type=TEST_TYPE, only_for="sub_ward") for number in (1, 2, 5)]
    put_out(database, trials[0], trials[1], event(3), event(4))
    fan_all_out(means)
    put_out(database, trials[2], event(6))
    fan_all_out(means)

    told = {}
    for task in claimed(means):
        said = json.loads(dispatch.letter(task, source="urn:us", now=NOW).body)["entry"][0]["resource"]["parameter"]
        count = next(one["valueString"] for one in said if one["name"] == "events-since-subscription-start")
        told[task.subscription.name, task.event.id] = int(count)

    mine = [told["ward", f"evt_{number}"] for number in range(1, 7)]
    assert mine == [0, 0, 1, 2, 2, 3]
    assert [told["other", f"evt_{number}"] for number in (3, 4, 6)] == [1, 2, 3]
    assert [row.number for row in rows(database) if row.subscription_id == "sub_ward"] == [1, 2, 3, 4, 5, 6]


def test_in_full_a_flag_goes_out_as_it_is_shown(means, database):
    with_all = subscribe(database, "ward", payload=Payload.FULL)
    receipt = Sender(means).send(panel(calcium("13.5")))
    fan_all_out(means)

    (task,) = claimed(means)

    assert task.subscription.id == with_all.id
    assert task.flag == {"id": receipt.flags[0].flag.id}


def test_what_was_erased_meanwhile_is_not_sent(means, database, waiting):
    waiting(event(1))
    found = dispatch.claim(means, by="dsp_1", room=ROOM, now=NOW)
    with database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM outbox")

    assert dispatch.gather(means, found, SHOWN) == []


def test_the_letter_carries_the_id_of_the_event_whenever_it_is_sent(means, database, waiting):
    waiting(event(1))
    first = claimed(means)
    settle(means, first, DOWN)
    later = NOW + timedelta(seconds=10)
    again = claimed(means, now=later)

    letters = [
        dispatch.letter(first[0], source="urn:us", now=NOW),
        dispatch.letter(again[0], source="urn:us", now=later),
    ]

    assert [letter.id for letter in letters] == ["evt_1", "evt_1"]
    assert letters[0].body == letters[1].body
    assert [letter.at for letter in letters] == [NOW, later]
