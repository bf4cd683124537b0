"""The one way to the database: whole transactions, readings of one moment, and honest words when it is not there."""

import sqlite3
import threading

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from service.domain.errors import NotFound, Unavailable
from service.flows import keys as key_flow
from service.storage import database as database_module
from service.storage import keys, schema
from service.storage.database import Database
from service.storage.tables import api_keys, inbox
from tests.flows.build import NOW, Sender, calcium, panel, row_counts

MESSAGE = {"received_at": NOW, "source": "lab", "content_type": "text/plain", "body": b"\x00\xff"}


def add(connection, name):
    connection.execute(insert(inbox).values(id=name, **MESSAGE))


def add_and(database, then):
    with database.transaction() as connection:
        add(connection, "1")
        then(connection)


def end_sessions(postgres, database):
    name = database.engine.url.database
    postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608  ours


def names(database):
    with database.reading() as connection:
        return sorted(connection.execute(select(inbox.c.id)).scalars())


def test_a_transaction_keeps_everything_when_its_block_ends(database):
    with database.transaction() as connection:
        add(connection, "1")
        add(connection, "2")

    assert names(database) == ["1", "2"]


def test_a_transaction_keeps_nothing_when_its_block_raises(database):
    with pytest.raises(KeyError):
        add_and(database, lambda _: {}["missing"])

    assert names(database) == []


def test_a_transaction_keeps_nothing_when_its_last_statement_is_refused(database):
    with pytest.raises(IntegrityError):
        add_and(database, lambda connection: add(connection, "1"))

    assert names(database) == []


def test_bytes_come_back_as_they_were(database):
    with database.transaction() as connection:
        add(connection, "1")

    with database.reading() as connection:
        assert connection.execute(select(inbox.c.body)).scalar_one() == b"\x00\xff"


def test_a_reading_sees_one_moment(database):
    with database.reading() as connection:
        before = connection.execute(select(inbox.c.id)).all()
        with database.transaction() as other:
            add(other, "1")
        after = connection.execute(select(inbox.c.id)).all()

    assert (before, after) == ([], [])
    assert names(database) == ["1"]


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_reading_cannot_write(database):
    with pytest.raises(Unavailable, match="cannot be written"), database.reading() as connection:
        add(connection, "1")


def test_a_database_that_answers_passes_the_check(database):
    database.check()


@pytest.mark.parametrize(
    "address", ["postgresql+psycopg://nobody@127.0.0.1:1/none", "sqlite:////proc/no-such-folder-here.db"]
)
def test_a_database_that_is_not_there_is_unavailable(address):
    gone = Database.open(address, timeout=1)

    for use in (gone.check, lambda: schema.present(gone), lambda: schema.upgrade(gone)):
        with pytest.raises(Unavailable) as told:
            use()
        assert "127.0.0.1" not in str(told.value)

    gone.close()


def test_a_database_to_which_no_step_was_taken_is_unavailable_and_says_why(bare_address):
    database = Database.open(bare_address)

    with pytest.raises(Unavailable, match="step"):
        key_flow.listed(database)

    database.close()


def test_a_wrong_statement_is_not_excused(database):
    with pytest.raises(DBAPIError), database.reading() as connection:
        connection.execute(text("SELEKT 1"))


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_server_that_was_restarted_is_found_again_by_who_was_idle(bare_address, postgres, monkeypatch):
    monkeypatch.setattr(database_module, "_IDLE", 0.0)
    database = Database.open(bare_address)
    schema.upgrade(database)

    end_sessions(postgres, database)

    assert names(database) == []
    database.close()


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_server_that_was_restarted_fails_once_for_who_was_busy(bare_address, postgres, monkeypatch):
    monkeypatch.setattr(database_module, "_IDLE", 60.0)
    database = Database.open(bare_address)
    schema.upgrade(database)

    end_sessions(postgres, database)

    with pytest.raises(Unavailable):
        names(database)
    assert names(database) == []
    database.close()


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_server_that_goes_away_in_the_middle_keeps_nothing_and_is_unavailable(bare_address, postgres):
    database = Database.open(bare_address)
    schema.upgrade(database)

    def end_and_go_on(connection):
        end_sessions(postgres, database)
        add(connection, "2")

    with pytest.raises(Unavailable):
        add_and(database, end_and_go_on)

    assert names(database) == []
    database.close()


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_locked_file_is_said_to_be_busy(address):
    holder = sqlite3.connect(address.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    database = Database.open(address, timeout=1)

    with pytest.raises(Unavailable, match="busy"), database.transaction() as connection:
        add(connection, "1")
    assert names(database) == []  # readers do not wait

    holder.close()
    database.close()


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_row_that_somebody_else_holds_too_long_is_said_to_be_busy(database, address, means):
    Sender(means).send(panel(calcium("9.9")))
    impatient = Database.open(address, timeout=1)

    with database.transaction() as connection:
        connection.execute(text("SELECT 1 FROM patients FOR UPDATE"))
        with pytest.raises(Unavailable, match="busy"):
            Sender(type(means)(database=impatient, catalogue=means.catalogue)).send(panel(calcium("11.9"), on=1))

    impatient.close()
    assert row_counts(database)["results"] == 1


def test_when_every_connection_is_in_use_it_says_so(address):
    small = Database.open(address, pool_size=1, timeout=1)

    with small.reading(), pytest.raises(Unavailable, match="in use"):
        small.check()

    small.close()


def test_two_writers_of_different_patients_both_get_through(means):
    sender = Sender(means)
    threads = [
        threading.Thread(target=sender.send, args=(panel(calcium("11.9"), patient={"id": str(number)}),))
        for number in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert row_counts(means.database)["patients"] == 4


def test_a_key_is_kept_as_a_digest_and_never_in_plain(database, address, tmp_path, kind):
    secret = key_flow.add(database, name="lab", scopes=["panels:write"], now=NOW)

    with database.reading() as connection:
        (row,) = connection.execute(select(api_keys))
    assert secret not in str(row)
    assert secret.removeprefix(keys.PREFIX) not in str(row)
    assert len(row.digest) == 64
    if kind == "sqlite":
        database.close()
        assert all(secret[4:].encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_key_is_found_by_itself_alone(database):
    secret = key_flow.add(database, name="lab", scopes=["panels:write", "flags:read"], source="lab-1", now=NOW, days=2)

    with database.reading() as connection:
        found = keys.find(connection, secret)
        assert keys.find(connection, secret + "x") is None
        assert keys.find(connection, "") is None

    assert found is not None
    assert (found.name, found.source, found.scopes) == ("lab", "lab-1", ("panels:write", "flags:read"))
    assert found.may("flags:read")
    assert not found.may("rules:read")


def test_no_two_keys_are_alike(database):
    secrets = {key_flow.add(database, name=str(number), scopes=["admin"], now=NOW) for number in range(5)}

    assert len(secrets) == 5
    assert all(len(secret) >= 40 for secret in secrets)


def test_a_key_of_an_unknown_name_cannot_be_revoked(database):
    with pytest.raises(NotFound):
        key_flow.revoke(database, "nobody", NOW)


def test_the_list_of_keys_shows_every_key_ever_made(database):
    key_flow.add(database, name="lab", scopes=["admin"], now=NOW)
    key_flow.add(database, name="lab", scopes=["admin"], now=NOW, replace=True)

    assert [(key.name, key.revoked_at is None) for key in key_flow.listed(database)] in (
        [("lab", False), ("lab", True)],
        [("lab", True), ("lab", False)],
    )
