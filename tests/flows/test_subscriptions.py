"""The life of a subscription: its secrets, its name, its versions."""

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from service.domain.errors import BadInput, NotFound, Stale
from service.domain.events import Event
from service.domain.subscriptions import Channel, Filter, Format, Subscription, SubscriptionState
from service.flows import subscriptions as flow
from service.formats.subscription_asked import Again
from service.storage import deliveries, outbox, subscriptions
from service.storage.tables_delivery import deliveries as delivery_rows
from service.storage.writes import Writes
from tests.flows.build import NOW
from tests.flows.subscribing import HOOK, SOMEBODY, asked, at_once, event, held, made
from tests.flows.telling import fan_all_out, put_out, told_by

LATER = NOW + timedelta(hours=1)
OTHER = "https://other.example/hook"


# ------------------------------------------------------------------------------------------------------------- secrets
def test_a_webhook_gets_a_secret_of_32_random_bytes(means):
    first, second = made(means, "a").secret, made(means, "b").secret

    assert first != second
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32


@pytest.mark.parametrize(
    ("channel", "format_"), [(Channel.EMAIL, Format.TEXT), (Channel.PAGER, Format.ALERTMANAGER)], ids=["email", "pager"]
)
def test_what_is_not_signed_has_no_secret_and_none_to_rotate(means, channel, format_):
    found = made(means, channel=channel, format=format_)

    with pytest.raises(BadInput) as refused:
        flow.rotate(found.subscription.id, means, now=NOW)

    assert (found.secret, found.subscription.secrets_at(NOW)) == (None, ())
    assert [fault.code for fault in refused.value.faults] == ["not-of-the-channel"]


def test_no_repr_holds_a_secret_a_credential_or_an_endpoint(means):
    found = made(means, credential="R0UT1NG")
    rotated = flow.rotate(found.subscription.id, means, now=NOW)

    said = f"{asked(credential='R0UT1NG')!r} {found!r} {rotated!r}"

    assert [word for word in (found.secret, rotated.secret, "R0UT1NG", HOOK) if word in said] == []


# (hours after the first secret, which secrets sign then: the number of each, the newest first)
ROTATED = [
    ("before anything", [], 0, [0]),
    ("both sign for a day", [(0, 24)], 23.9, [1, 0]),
    ("after a day, only the new one", [(0, 24)], 24, [1]),
    ("for as long as was asked", [(0, 2)], 1.9, [1, 0]),
    ("and no longer", [(0, 2)], 2, [1]),
    ("at once", [(0, 0)], 0, [1]),
    ("once more while two are valid: the oldest goes", [(0, 24), (1, 24)], 1, [2, 1]),
    ("once more after the first has gone", [(0, 1), (5, 1)], 5.5, [2, 1]),
]


@pytest.mark.parametrize(
    ("rotations", "looked", "signing"), [row[1:] for row in ROTATED], ids=[row[0] for row in ROTATED]
)
def test_which_secrets_sign_after_rotations(means, database, rotations, looked, signing):
    first = made(means)
    secrets = [first.secret]

    for at, hours in rotations:
        now = NOW + timedelta(hours=at)
        secrets.append(flow.rotate(first.subscription.id, means, hours=hours, now=now).secret)

    found = held(database, first.subscription).secrets_at(NOW + timedelta(hours=looked))
    assert [secrets.index(one) for one in found] == signing


def test_two_rotations_at_once_both_count_and_leave_two_valid_secrets(means, database):
    one = made(means).subscription

    rotated = at_once(*[lambda: flow.rotate(one.id, means, now=NOW)] * 2)

    assert {done.secret for done in rotated} == set(held(database, one).secrets_at(NOW))
    assert held(database, one).version == 3


# ------------------------------------------------------------------------------------------------------ made and named
def test_it_is_told_from_now_on(means, database):
    put_out(database, event(1))

    one = made(means).subscription
    put_out(database, event(2))
    fan_all_out(means)

    with database.reading() as connection:
        rows = connection.execute(select(delivery_rows.c.subscription_id, delivery_rows.c.event_id))
        assert [tuple(row) for row in rows] == [(one.id, "evt_2")]


@pytest.mark.parametrize("kind", ["postgresql"])
def test_it_is_made_when_nobody_is_writing_events(means, database):
    """One whose place was given out before, and that comes to light afterward, would never be told."""
    order = []

    with ThreadPoolExecutor(1) as threads:
        with database.transaction() as connection:
            write(connection, event(1))
            making = threads.submit(lambda: (made(means), order.append("made")))
            while not making.done() and not somebody_waits(database):
                pass
            order.append("written")
        making.result()

    assert order == ["written", "made"]


def write(connection, one):
    writes = Writes()
    outbox.keep(writes, [one])
    writes.flush(connection)


def somebody_waits(database):
    with database.reading() as connection:
        return connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one() > 0


def test_there_is_one_of_each_name(means):
    made(means, "ward")

    with pytest.raises(BadInput) as refused:
        made(means, "ward")

    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/name", "name-in-use")]


def test_of_two_made_at_once_under_one_name_one_is_refused(means, database):
    def attempt():
        try:
            return made(means, "ward").subscription.name
        except BadInput as error:
            return error.faults[0].code

    done = at_once(attempt, attempt)

    assert sorted(done) == ["name-in-use", "ward"]


def test_the_name_of_a_deleted_one_is_free(means):
    flow.delete(made(means, "ward").subscription.id, means, now=NOW)

    assert made(means, "ward").subscription.name == "ward"


def test_one_can_take_the_place_of_another(means, database):
    before = made(means, "listen").subscription

    after = flow.create(asked("listen", endpoint=OTHER), means, by=SOMEBODY, now=LATER, instead=True).subscription

    with pytest.raises(NotFound):
        held(database, before)
    assert (after.endpoint, [one.subscription.id for one in flow.listed(means)]) == (OTHER, [after.id])


# ------------------------------------------------------------------------------------------------------------- changed
def test_a_change_is_a_new_version_of_the_one_that_was_wished_for(means, database):
    one = made(means).subscription

    changed = flow.change(
        one.id, means, read=lambda _: {"name": "ward 7"}, now=LATER, wish=lambda version: version == 1
    )

    assert changed == replace(one, name="ward 7", version=2, changed_at=LATER) == held(database, one)
    with pytest.raises(Stale):
        flow.change(one.id, means, read=lambda _: {"name": "x"}, now=LATER, wish=lambda version: version == 1)


def test_what_changes_nothing_is_no_new_version(means, database):
    one = made(means).subscription

    flow.change(one.id, means, read=lambda _: {"name": "ward"}, now=LATER)
    flow.resume(one.id, means, now=LATER)

    assert held(database, one) == one


def test_pausing_and_changing_at_once_both_count(means, database):
    one = made(means).subscription

    at_once(
        lambda: flow.pause(one.id, means, now=LATER),
        lambda: flow.change(one.id, means, read=lambda _: {"endpoint": OTHER}, now=LATER),
    )

    now = held(database, one)
    assert (now.state, now.endpoint, now.version) == (SubscriptionState.PAUSED, OTHER, 3)


def test_of_two_that_wish_for_the_same_version_one_is_refused(means, database):
    one = made(means).subscription

    def attempt(name):
        try:
            return flow.change(one.id, means, read=lambda _: {"name": name}, now=LATER, wish=lambda at: at == 1).name
        except Stale as stale:
            return stale.version

    done = at_once(lambda: attempt("a"), lambda: attempt("b"))

    assert sorted(map(str, done)) in (["2", "a"], ["2", "b"])
    assert held(database, one).name in done


def failed_three_times(database, one):
    with database.transaction() as connection:
        deliveries.failed_again(connection, one.id, failures=3, until=LATER, now=NOW)


@pytest.mark.parametrize(
    "work",
    [
        lambda one, means: flow.change(one.id, means, read=lambda _: {"endpoint": OTHER}, now=NOW),
        lambda one, means: flow.resume(one.id, means, now=NOW),
        lambda one, means: flow.replay_failed(one.id, Again(failed_since=NOW, dry_run=False), means, now=NOW),
    ],
    ids=["another endpoint", "resumed", "replayed"],
)
def test_a_receiver_that_failed_is_no_longer_left_alone(means, database, work):
    one = made(means).subscription
    failed_three_times(database, one)

    work(one, means)

    assert held(database, one).hold_until is None


def test_what_delivery_counts_makes_no_change_stale(means, database):
    one = made(means).subscription

    failed_three_times(database, one)
    changed = flow.change(one.id, means, read=lambda _: {"name": "x"}, now=LATER, wish=lambda version: version == 1)

    assert changed.version == 2
    assert (held(database, one).failures, held(database, one).hold_until) == (3, LATER)


def test_a_changed_filter_does_not_silence_what_is_taken_back(means, database):
    one = made(means).subscription
    put_out(database, event(1, flag="flg_1"))
    fan_all_out(means)

    flow.change(one.id, means, read=lambda _: {"filter": Filter(findings=("anemia",))}, now=LATER)
    put_out(database, event(2, flag="flg_2"), withdrawn("flg_2"), withdrawn("flg_1"))
    fan_all_out(means)

    assert told_by(database) == {one.id.removeprefix("sub_"): ["raised", "withdrawn"]}


def withdrawn(flag):
    return Event(id=f"evt_of_{flag}", type="lab.flag.withdrawn", at=NOW, episode="eps_9", flag=flag, data={})


# ---------------------------------------------------------------------------------------------------------------- rows
def test_a_subscription_comes_back_from_its_row_as_it_was(means, database):
    asked_for = Filter(
        types=("lab.flag.raised",),
        findings=("anemia",),
        severities=("severe", "critical"),
        sources=("lab-1",),
        collected_within_hours=48,
    )

    one = made(
        means, channel=Channel.PAGER, format=Format.PAGERDUTY, credential="R0UT1NG", filter=asked_for
    ).subscription

    assert held(database, one) == one
    assert isinstance(held(database, one), Subscription)
    with database.reading() as connection:
        assert subscriptions.every(connection, states=[SubscriptionState.PAUSED]) == []
        assert subscriptions.alive(connection) == [one]
