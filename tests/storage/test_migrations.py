"""The steps of the schema: up, down and up again, all of a step or nothing, and in the shape of the tables."""

import threading

import pytest
from sqlalchemy import CheckConstraint, UniqueConstraint, inspect, text

from service.domain.events import Event
from service.domain.subscriptions import TEST_TYPE
from service.flows.means import Means
from service.storage import schema, subscriptions
from service.storage.database import Database
from service.storage.tables import metadata
from tests.flows.acting import Ward
from tests.flows.build import NOW, Sender, calcium, flag_states, panel
from tests.flows.telling import fan_all_out, put_out, rows, subscribe


@pytest.fixture
def bare(bare_address):
    database = Database.open(bare_address)
    yield database
    database.close()


def tables(database):
    return set(inspect(database.engine).get_table_names()) - {"alembic_version"}


def test_a_bare_database_is_at_no_step(bare):
    assert schema.present(bare) is None
    assert tables(bare) == set()


def test_all_steps_lead_to_the_tables_of_the_code(bare):
    schema.upgrade(bare)

    assert schema.present(bare) == schema.newest()
    assert tables(bare) == set(metadata.tables)
    assert schema.differences(bare) == []


def test_the_steps_lead_down_again_and_up_again(bare):
    schema.upgrade(bare)

    schema.downgrade(bare, "base")
    assert (schema.present(bare), tables(bare)) == (None, set())

    schema.upgrade(bare)
    assert schema.differences(bare) == []


def test_going_up_a_second_time_changes_nothing(bare, catalogue):
    schema.upgrade(bare)
    Sender(Means(database=bare, catalogue=catalogue)).send(panel(calcium("11.9")))

    schema.upgrade(bare)

    assert flag_states(bare) == [("hypercalcemia", "moderate", "open")]


def test_tests_that_were_sent_before_they_were_counted_are_counted(bare, catalogue):
    schema.upgrade(bare)
    ward = subscribe(bare, "ward")
    trial = Event(id="evt_2", type=TEST_TYPE, at=NOW, only_for=ward.id, data={})
    others = [Event(id=f"evt_{number}", type="lab.feed.silent", at=NOW, data={}) for number in (1, 3)]
    put_out(bare, others[0], trial, others[1])
    fan_all_out(Means(database=bare, catalogue=catalogue))

    schema.downgrade(bare, "0010")
    schema.upgrade(bare)

    assert [(row.number, row.tests) for row in rows(bare)] == [(1, 0), (2, 1), (3, 1)]
    with bare.reading() as connection:
        assert subscriptions.find(connection, ward.id).tests == 1


def test_what_is_acknowledged_is_open_in_the_step_before_acts_and_after_it(bare, catalogue):
    schema.upgrade(bare)
    ward = Ward(Means(database=bare, catalogue=catalogue))
    for step in ("11.9 on 0", "acknowledge", "snooze until worse"):
        ward.take(step)

    schema.downgrade(bare, "0006")
    before = flag_states(bare)
    schema.upgrade(bare)
    ward.take("acknowledge")

    assert before == [("hypercalcemia", "moderate", "open")]
    assert (ward.flags(), ward.episode().version, ward.holds().snoozed) == ("acknowledged", 2, None)


def test_constraints_are_those_of_the_code_too(bare):
    # Alembic compares columns and indexes, not checks; a check that is missing would be a wall with a hole.
    schema.upgrade(bare)
    found = inspect(bare.engine)

    for name, table in metadata.tables.items():
        wanted = {one.name for one in table.constraints if isinstance(one, CheckConstraint)}
        assert {one["name"] for one in found.get_check_constraints(name)} == wanted, name
        assert {one["name"] for one in found.get_unique_constraints(name)} == {
            one.name for one in table.constraints if isinstance(one, UniqueConstraint)
        }, name
        assert len(found.get_foreign_keys(name)) == len(table.foreign_key_constraints), name


# PostgreSQL gives checks back in words of its own.
@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_checks_say_the_same_as_in_the_code(bare):
    schema.upgrade(bare)

    for name, table in metadata.tables.items():
        kept = {one["name"]: one["sqltext"] for one in inspect(bare.engine).get_check_constraints(name)}
        wanted = {one.name: str(one.sqltext) for one in table.constraints if isinstance(one, CheckConstraint)}
        assert kept == wanted, name


def test_a_step_that_fails_leaves_the_database_as_it_was(bare, monkeypatch):
    with bare.transaction() as connection:
        connection.execute(text("CREATE TABLE outbox (id TEXT)"))

    with pytest.raises(Exception, match="outbox"):
        schema.upgrade(bare)

    assert (schema.present(bare), tables(bare)) == (None, {"outbox"})


def test_processes_that_start_together_take_turns(bare_address):
    faults = []

    def start():
        database = Database.open(bare_address)
        try:
            schema.upgrade(database)
        except Exception as fault:  # noqa: BLE001  whatever it is, the test is to show it
            faults.append(fault)
        finally:
            database.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    database = Database.open(bare_address)
    assert (faults, schema.differences(database)) == ([], [])
    database.close()
