"""Escalation when several look at the same moment, its policy, and the walls that the database itself puts up."""

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from service.domain.errors import BadInput, Stale
from service.domain.escalation import Policy
from service.domain.rules import Severity
from service.domain.subscriptions import SubscriptionState
from service.flows import escalation as flow
from service.flows.escalation import escalate
from service.flows.means import Means
from service.storage import escalation as rows
from service.storage.database import Database
from service.storage.tables import patients
from service.storage.tables_watch import escalation_policy, escalations
from tests.flows.acting import ACK, PATEL, Ward
from tests.flows.build import NOW, WOMAN, calcium, panel
from tests.flows.subscribing import at_once
from tests.flows.telling import set_state
from tests.flows.watching import CRITICAL, MINUTE, THREE, overdue, policy_of, staffed, taken


@pytest.fixture
def staff(database):
    return staffed(database)


@pytest.fixture
def ward(means, staff):
    flow.set_policy(THREE, means, by=PATEL, now=NOW)
    return Ward(means)


# ------------------------------------------------------------------------------------------------------- at once
@pytest.fixture
def others(address, means):
    """Call it for means of another process, on the same database."""
    opened = []

    def another():
        opened.append(Database.open(address, timeout=10))
        return Means(database=opened[-1], catalogue=means.catalogue)

    yield another
    for one in opened:
        one.close()


def test_dispatchers_that_look_at_the_same_moment_take_each_step_once(ward, others, database):
    people = 12
    for number in range(people):
        ward.sender.send(panel(calcium(CRITICAL), patient={**WOMAN, "id": f"p-{number}"}), at=NOW)
    dispatchers = [others() for _ in range(3)]

    first = at_once(*(lambda one=one: escalate(one, now=NOW + 31 * MINUTE) for one in dispatchers))
    rest = escalate(ward.means, now=NOW + 31 * MINUTE)

    assert sum(first) + rest == 2 * people
    assert sorted(overdue(database)) == [("doctor", 31)] * people + [("nurse", 31)] * people


def test_dispatchers_that_see_at_the_same_moment_that_it_reached_nobody_pass_it_over_once(
    ward, staff, others, database
):
    people = 12
    for number in range(people):
        ward.sender.send(panel(calcium(CRITICAL), patient={**WOMAN, "id": f"p-{number}"}), at=NOW)
    escalate(ward.means, now=NOW + 15 * MINUTE)
    set_state(database, staff["nurse"], SubscriptionState.DISABLED)
    dispatchers = [others() for _ in range(3)]

    first = at_once(*(lambda one=one: escalate(one, now=NOW + 16 * MINUTE) for one in dispatchers))
    rest = escalate(ward.means, now=NOW + 16 * MINUTE)

    assert sum(first) + rest == people
    assert taken(database) == [(1, "passed_over")] * people + [(2, "told")] * people


@pytest.mark.parametrize("round_", range(5))
def test_nothing_is_overdue_after_it_was_acknowledged(ward, others, database, round_):
    ward.sender.send(panel(calcium(CRITICAL)), at=NOW)
    ward.now, name = NOW + 15 * MINUTE, ward.episode().id
    other = others()

    at_once(lambda: ward.do(ACK, name=name), lambda: escalate(other, now=NOW + 15 * MINUTE))
    escalate(ward.means, now=NOW + 16 * MINUTE)

    types = [one.rpartition(".")[2] for one in ward.told()]
    assert types in (["raised", "acknowledged"], ["raised", "overdue", "acknowledged"])


# SQLite has one writer, who is waited for.
@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_patient_about_whom_somebody_writes_is_left_for_the_next_round(ward, others, database):
    ward.sender.send(panel(calcium(CRITICAL)), at=NOW)
    other = others()

    with database.transaction() as connection:
        connection.execute(select(patients.c.id).with_for_update())
        meanwhile = escalate(other, now=NOW + 15 * MINUTE)

    assert (meanwhile, escalate(other, now=NOW + 15 * MINUTE)) == (0, 1)


def test_an_event_without_its_step_is_never_kept(ward, database, monkeypatch):
    ward.sender.send(panel(calcium(CRITICAL)), at=NOW)

    def fail(*_):
        raise RuntimeError("struck")

    monkeypatch.setattr(flow.outbox, "keep", fail)
    with pytest.raises(RuntimeError, match="struck"):
        escalate(ward.means, now=NOW + 15 * MINUTE)
    monkeypatch.undo()

    assert (taken(database), overdue(database)) == ([], [])
    assert escalate(ward.means, now=NOW + 15 * MINUTE) == 1


# ---------------------------------------------------------------------------------------------------------- policy
def test_every_version_of_the_policy_is_kept_and_the_same_again_is_none(means, staff, database):
    first = flow.set_policy(THREE, means, by=PATEL, now=NOW)
    again = flow.set_policy(THREE, means, by=PATEL, now=NOW + MINUTE)
    off = flow.set_policy(Policy(), means, by=PATEL, now=NOW + MINUTE)

    assert [one.kept.version for one in (first, again, off)] == [1, 1, 2]
    with database.reading() as connection:
        assert [len(row.steps) for row in connection.execute(select(escalation_policy))] == [3, 0]


def test_a_policy_that_says_nothing_can_be_the_first_one(means):
    assert flow.set_policy(Policy(), means, by=PATEL, now=NOW).kept.version == 1


def test_a_policy_names_subscriptions_that_there_are(means, staff, database):
    set_state(database, staff["doctor"], SubscriptionState.DELETED)
    wanted = policy_of(("nurse", 1), ("doctor", 2), ("nobody", 3))

    with pytest.raises(BadInput) as refused:
        flow.set_policy(wanted, means, by=PATEL, now=NOW)

    assert [one.pointer for one in refused.value.faults] == ["/steps/1/subscription", "/steps/2/subscription"]


def test_of_two_who_set_it_from_the_same_version_one_is_refused(means, staff, others):
    def setting(of, minutes):
        def run():
            try:
                wanted = policy_of(("nurse", minutes))
                return flow.set_policy(wanted, of, by=PATEL, now=NOW, wish=lambda version: version == 0)
            except Stale as stale:
                return stale

        return run

    found = at_once(setting(means, 10), setting(others(), 20))

    assert sorted(type(one).__name__ for one in found) == ["Shown", "Stale"]


# ------------------------------------------------------------------------------------------------------------ walls
STEP = {"since_id": "evt_1", "step": 1, "state": "passed_over", "policy": 1, "subscription_id": "s", "at": NOW}


@pytest.mark.parametrize(
    "wrong",
    [{"step": 0}, {"step": 6}, {"state": "gone"}, {"state": "told"}, {"event_id": "evt_2"}, {"policy": 9}],
    ids=str,
)
def test_the_database_refuses_steps_that_cannot_be(ward, database, wrong):
    ward.sender.send(panel(calcium(CRITICAL)), at=NOW)
    row = ward.episode()
    whole = STEP | {"patient_id": row.patient_id, "episode_id": row.id}

    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(insert(escalations).values(whole | wrong))

    with database.transaction() as connection:
        connection.execute(insert(escalations).values(whole))
    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(insert(escalations).values(whole))


def test_who_waits_is_found_by_the_index_of_those_who_wait(database):
    statement = rows._waiting(frozenset({"critical"}))
    asked = str(statement.compile(dialect=database.engine.dialect, compile_kwargs={"literal_binds": True}))
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "

    with database.reading() as connection:
        if database.dialect == "postgresql":  # which reads a table whole that has no more than a page
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = [str(row[-1]) for row in connection.exec_driver_sql(explain + asked.replace("%", "%%"))]

    # PostgreSQL may take another index of a table that holds nothing; SQLite goes by the statement alone.
    wanted = {"ix_episodes_waiting"} | ({"ix_outbox_patient", "id=?"} if database.dialect == "sqlite" else set())
    assert [one for one in wanted if not any(one in line for line in plan)] == []
    assert [line for line in plan if "Seq Scan" in line or line.startswith("SCAN outbox")] == []


def test_an_erased_patient_is_no_longer_waited_for(ward, database):
    ward.sender.send(panel(calcium(CRITICAL)), at=NOW)
    with database.reading() as connection:
        (seen,) = rows.waiting(connection, [Severity.CRITICAL], now=NOW)

    with database.transaction() as connection:
        held = rows.held(connection, seen.patient), rows.held(connection, "pat_nobody")

    assert held == (True, False)
