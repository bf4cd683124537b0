"""What becomes of what is on its way: paused, deleted, tried out, sent once more; and how a subscription is doing."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from service.domain.errors import NotFound
from service.domain.subscriptions import Filter
from service.flows import subscriptions as flow
from service.formats.subscription_asked import Again
from service.storage import deliveries
from service.storage.tables_delivery import deliveries as delivery_rows
from service.storage.tables_delivery import subscriptions as subscription_rows
from tests.flows.build import NOW
from tests.flows.subscribing import HOOK, at_once, end, event, held, made, on_their_way
from tests.flows.telling import fan_all_out, put_out, told_by

LATER = NOW + timedelta(hours=1)


# -------------------------------------------------------------------------------------------------------------- states
def disabled(database, one):
    with database.transaction() as connection:
        deliveries.disable(connection, one.id, why="gone (410)", now=NOW)


# (how it is, what is done, how it is then)
STATES = [
    ("active", flow.pause, "paused"),
    ("active", flow.resume, "active"),
    ("paused", flow.pause, "paused"),
    ("paused", flow.resume, "active"),
    ("disabled", flow.pause, "disabled"),
    ("disabled", flow.resume, "active"),
]


@pytest.mark.parametrize(("before", "work", "after"), STATES, ids=[f"{row[0]} {row[1].__name__}" for row in STATES])
def test_states(means, database, before, work, after):
    one = made(means).subscription
    {"active": lambda: None, "paused": lambda: flow.pause(one.id, means, now=NOW)}.get(
        before, lambda: disabled(database, one)
    )()

    work(one.id, means, now=LATER)

    now = held(database, one)
    assert now.state == after
    assert (now.why is None) == (after != "disabled")


@pytest.mark.parametrize("state", ["active", "paused"])
def test_what_comes_about_meanwhile_waits(means, database, state):
    one = made(means).subscription
    {"active": flow.resume, "paused": flow.pause}[state](one.id, means, now=NOW)

    put_out(database, event(1))
    fan_all_out(means)

    assert [row[0] for row in on_their_way(database)] == ["waiting"]


def test_a_deleted_one_keeps_no_secret_and_drops_what_waits(means, database):
    one = made(means, endpoint=f"{HOOK}?token=T0KEN").subscription
    put_out(database, event(1), event(2))
    fan_all_out(means)
    end(database, "sent", event_id="evt_1")

    flow.delete(one.id, means, now=LATER)
    put_out(database, event(3))
    fan_all_out(means)

    assert [row[0] for row in on_their_way(database)] == ["sent", "dropped"]
    with database.reading() as connection:
        row = connection.execute(select(subscription_rows)).one()
    assert (row.state, row.secret, row.old_secret, row.credential, row.endpoint) == (
        "deleted",
        None,
        None,
        None,
        f"{HOOK}?…",
    )
    with pytest.raises(NotFound):
        flow.shown(one.id, means)


def test_nothing_is_left_waiting_for_one_that_is_deleted_while_others_fan_out(means, database):
    one = made(means).subscription
    put_out(database, *[event(number) for number in range(50)])

    at_once(lambda: fan_all_out(means), lambda: flow.delete(one.id, means, now=LATER))
    fan_all_out(means)

    assert {row[0] for row in on_their_way(database)} <= {"dropped"}


@pytest.mark.parametrize(
    "work",
    [
        flow.shown,
        lambda name, means: flow.pause(name, means, now=NOW),
        lambda name, means: flow.resume(name, means, now=NOW),
        lambda name, means: flow.rotate(name, means, now=NOW),
        lambda name, means: flow.delete(name, means, now=NOW),
        lambda name, means: flow.send_test(name, means, now=NOW),
        lambda name, means: flow.change(name, means, read=lambda _: {}, now=NOW),
        lambda name, means: flow.replay_failed(name, Again(failed_since=NOW, dry_run=False), means, now=NOW),
        lambda name, means: flow.replay_failed(name, Again(failed_since=NOW, dry_run=True), means, now=NOW),
    ],
    ids=["shown", "pause", "resume", "rotate", "delete", "test", "change", "replay", "counted"],
)
def test_nothing_can_be_done_to_a_deleted_one(means, work):
    one = made(means).subscription
    flow.delete(one.id, means, now=NOW)

    with pytest.raises(NotFound):
        work(one.id, means)


# ---------------------------------------------------------------------------------------------------------- sent again
def test_a_test_event_is_for_this_one_alone_and_whatever_it_asks_for(means, database):
    one = made(means, "a", filter=Filter(findings=("anemia",))).subscription
    made(means, "b")

    flow.send_test(one.id, means, now=NOW)
    fan_all_out(means)

    assert told_by(database) == {one.id.removeprefix("sub_"): ["test"]}


def three_failed(means, database):
    """Three that were given up, one hour after the other, and one that went through."""
    one = made(means).subscription
    put_out(database, *[event(number) for number in range(4)])
    fan_all_out(means)
    for hours in range(3):
        end(database, "failed", at=NOW + timedelta(hours=hours), event_id=f"evt_{hours}")
    end(database, "sent")
    return one


@pytest.mark.parametrize(("since", "count"), [(-1, 3), (0, 3), (1, 2), (2, 1), (3, 0)])
def test_what_has_failed_since_a_time_is_sent_once_more_under_the_same_ids(means, database, since, count):
    one = three_failed(means, database)
    wanted = NOW + timedelta(hours=since)

    would = flow.replay_failed(one.id, Again(failed_since=wanted, dry_run=True), means, now=LATER)
    untouched = on_their_way(database)
    done = flow.replay_failed(one.id, Again(failed_since=wanted, dry_run=False), means, now=LATER)

    assert (would.count, done.count) == (count, count)
    assert [row[0] for row in untouched] == ["failed", "failed", "failed", "sent"]
    again = [("waiting", 0, 10, f"evt_{number}") for number in range(3)[3 - count :]]
    assert [row for row in on_their_way(database) if row[0] == "waiting"] == again


def test_two_replays_at_once_count_each_delivery_once(means, database):
    one = three_failed(means, database)

    done = at_once(
        *[lambda: flow.replay_failed(one.id, Again(failed_since=NOW, dry_run=False), means, now=LATER).count] * 2
    )

    assert sorted(done) == [0, 3]


def delivery(database, event_id):
    with database.reading() as connection:
        return connection.execute(select(delivery_rows).where(delivery_rows.c.event_id == event_id)).one()


@pytest.mark.parametrize("which", ["evt_0", "evt_3"], ids=["failed", "sent"])
def test_one_delivery_is_sent_once_more(means, database, which):
    three_failed(means, database)

    flow.replay_one(delivery(database, which).id, means, now=LATER)

    row = delivery(database, which)
    assert (row.state, row.tries, row.attempts, row.next_at, row.done_at) == ("waiting", 0, 10, LATER, None)
    assert sum(one[0] == "waiting" for one in on_their_way(database)) == 1


def test_one_that_waits_for_its_next_try_is_tried_at_once(means, database):
    made(means)
    put_out(database, event(1))
    fan_all_out(means, now=LATER)

    flow.replay_one(delivery(database, "evt_1").id, means, now=NOW)

    assert delivery(database, "evt_1").next_at == NOW


def test_one_that_is_being_sent_is_left_to_whoever_sends_it(means, database):
    one = made(means).subscription
    put_out(database, event(1))
    fan_all_out(means)
    with database.transaction() as connection:
        deliveries.claim(connection, one.id, by="dsp_1", now=NOW, until=LATER, most=1)

    flow.replay_one(delivery(database, "evt_1").id, means, now=NOW)

    assert delivery(database, "evt_1").claim == "dsp_1"


def test_the_deliveries_of_a_deleted_one_are_not_sent_again(means, database):
    one = three_failed(means, database)
    flow.delete(one.id, means, now=LATER)

    with pytest.raises(NotFound):
        flow.replay_one(delivery(database, "evt_0").id, means, now=LATER)

    assert [row[0] for row in on_their_way(database)] == ["failed", "failed", "failed", "sent"]


# -------------------------------------------------------------------------------------------------------------- health
def test_how_it_is_doing_is_counted_for_each_by_itself(means, database):
    one = three_failed(means, database)
    other = made(means, "other").subscription
    put_out(database, event(8), event(9))
    fan_all_out(means, now=LATER)

    found = {shown.subscription.name: shown.health for shown in flow.listed(means)}

    mine, others = found["ward"], found["other"]
    assert (mine.waiting, mine.failed, mine.last_failed_at) == (2, 3, NOW + timedelta(hours=2))
    assert (mine.last_sent_at, mine.oldest_waiting_at) == (NOW, LATER)
    assert (others.waiting, others.failed, others.last_sent_at, others.last_failed_at) == (2, 0, None, None)
    assert flow.shown(one.id, means).health == mine
    assert flow.shown(other.id, means).health == others


def test_one_that_was_never_told_anything_is_doing_well(means):
    one = made(means).subscription

    health = flow.shown(one.id, means).health

    assert (health.waiting, health.failed, health.oldest_waiting_at, health.last_sent_at) == (0, 0, None, None)
