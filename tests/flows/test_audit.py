"""The chain on a real database: written by many at once, tampered with in every way, and purged."""

import hashlib
import json
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select, text, update

from service.domain.audit import BEGINNING, Entry, Mark
from service.flows.audit import lines, record, verify
from service.flows.purge import foreseen, limits, purge
from service.storage.audit import AuditFilter
from service.storage.database import Database
from service.storage.tables_audit import audit, audit_head
from tests.flows.build import NOW


def entry(number=0, **more):
    given = {"at": NOW + timedelta(minutes=number), "action": f"a{number}", "outcome": "200", "detail": {"n": number}}
    return Entry(**{**given, **more})


@pytest.fixture
def chain(database):
    """Six entries, in three transactions."""
    for number in range(0, 6, 2):
        record(database, [entry(number), entry(number + 1, kind="key", actor="key_1", subject="pat_1")])


def run(database, *statements):
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(statement)


def places(database):
    with database.reading() as connection:
        return list(connection.execute(select(audit.c.place).order_by(audit.c.place)).scalars())


def test_a_chain_that_nobody_wrote_to_is_good(database):
    found = verify(database)

    assert (found.entries, found.broken, found.last) == (0, None, Mark())


@pytest.mark.usefixtures("chain")
def test_a_chain_is_good_and_its_length_times_and_head_are_told(database):
    found = verify(database)

    assert (found.entries, found.broken) == (6, None)
    assert (found.first_at, found.last_at) == (NOW, NOW + timedelta(minutes=5))
    assert found.last.place == 6


@pytest.mark.usefixtures("chain")
def test_the_lines_that_go_out_can_be_checked_by_whoever_has_them(database):
    before = BEGINNING
    for line in lines(database, AuditFilter()):
        told = json.loads(line)
        said = told.pop("hash")
        assert told["before"] == before
        plain = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(plain.encode()).hexdigest() == said
        before = said

    assert before == verify(database).last.hash


def test_writers_at_the_same_time_make_one_chain(address, database):
    faults = []

    def write(name):
        own = Database.open(address)
        try:
            for number in range(20):
                record(own, [entry(number, action=f"{name}-{number}"), entry(number, action=f"{name}-{number}b")])
        except Exception as fault:  # noqa: BLE001  whatever it is, the test is to show it
            faults.append(fault)
        finally:
            own.close()

    threads = [threading.Thread(target=write, args=(f"t{one}",)) for one in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    found = verify(database)
    assert faults == []
    assert (found.entries, found.broken) == (160, None)
    assert places(database) == list(range(1, 161))


WRITER = """
import sys
from datetime import UTC, datetime
from service.domain.audit import Entry
from service.flows.audit import record
from service.storage.database import Database

database = Database.open(sys.argv[1])
for number in range(25):
    record(database, [Entry(at=datetime.now(UTC), action=f"{sys.argv[2]}-{number}", outcome="done")])
"""


def test_processes_at_the_same_time_make_one_chain(address, database):
    command = [sys.executable, "-c", WRITER, address]
    writers = [subprocess.Popen([*command, name]) for name in ("one", "two", "three")]  # noqa: S603  our own program

    ended = [writer.wait() for writer in writers]

    found = verify(database)
    assert ended == [0, 0, 0]
    assert (found.entries, found.broken) == (75, None)


def moved(database):
    """Swap what stands at two places, with their hashes."""
    c = audit.c
    with database.reading() as connection:
        rows = {row.place: row._asdict() for row in connection.execute(select(audit).where(c.place.in_([3, 4])))}
    run(
        database,
        delete(audit).where(c.place.in_([3, 4])),
        insert(audit).values({**rows[3], "place": 4}),
        insert(audit).values({**rows[4], "place": 3}),
    )


def sealed_anew(database):
    """Change an entry and give it the hash that belongs to it then."""
    run(database, update(audit).where(audit.c.place == 3).values(outcome="999"))
    with database.reading() as connection:
        told = json.loads(next(one for one in lines(database, AuditFilter()) if b'"place":3,' in one))
        assert connection.execute(select(audit.c.outcome).where(audit.c.place == 3)).scalar_one() == "999"
    told.pop("hash")
    plain = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    own = hashlib.sha256(plain.encode()).hexdigest()
    run(database, update(audit).where(audit.c.place == 3).values(hash=own))


def changed(**values):
    return lambda database: run(database, update(audit).where(audit.c.place == 3).values(**values))


def gone(*which):
    return lambda database: run(database, delete(audit).where(audit.c.place.in_(which)))


def more(database):
    row = {"place": 7, "at": NOW, "action": "x", "outcome": "200", "detail": {}, "before": "b", "hash": "h"}
    run(database, insert(audit).values(row))


TAMPERING = {
    "outcome": (changed(outcome="403"), 3, "the entry was changed"),
    "subject": (changed(subject="pat_2"), 3, "the entry was changed"),
    "actor": (changed(kind="key", actor="key_2"), 3, "the entry was changed"),
    "time": (changed(at=NOW), 3, "the entry was changed"),
    "detail": (changed(detail={"n": 99}), 3, "the entry was changed"),
    "before": (changed(before=BEGINNING), 3, "the entry was changed"),
    "hash": (changed(hash=BEGINNING), 3, "the entry was changed"),
    "sealed-anew": (sealed_anew, 4, "does not follow the one before"),
    "moved": (moved, 3, "the entry was changed"),
    "first-gone": (gone(1), 2, "the entries from 1 to 1 are missing"),
    "two-gone": (gone(3, 4), 5, "the entries from 3 to 4 are missing"),
    "last-gone": (gone(6), 6, "the chain should end at place 6"),
    "all-gone": (gone(1, 2, 3, 4, 5, 6), 1, "the chain should end at place 6"),
    "one-more": (more, 7, "the entry was changed"),
    "head-gone": (lambda database: run(database, delete(audit_head)), 1, "the chain should end at place 0"),
    "head-set-back": (
        lambda database: run(database, update(audit_head).values(place=5)),
        6,
        "the chain should end at place 5: the head was set back",
    ),
    "head-changed": (
        lambda database: run(database, update(audit_head).values(hash=BEGINNING)),
        6,
        "the head does not name this last entry",
    ),
}


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize(("tamper", "place", "why"), TAMPERING.values(), ids=TAMPERING)
def test_tampering_is_told_by_its_first_place(database, tamper, place, why):
    tamper(database)

    broken = verify(database).broken

    assert broken is not None
    assert (broken.place, why in broken.why) == (place, True)


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize("kind", ["sqlite"])
@pytest.mark.parametrize("column", ["at", "detail"])
def test_what_cannot_be_read_any_more_is_told_by_its_place(database, column):
    run(database, text(f"UPDATE audit SET {column} = 'nonsense' WHERE place = 3"))  # noqa: S608  our own names

    broken = verify(database).broken

    assert broken is not None
    assert (broken.place, broken.why) == (3, f"the entry cannot be read ({column})")


@pytest.mark.usefixtures("chain")
def test_an_end_that_was_cut_off_with_its_head_is_told_by_the_head_that_was_noted(database):
    noted = verify(database).last
    with database.reading() as connection:
        fourth = connection.execute(select(audit.c.hash).where(audit.c.place == 4)).scalar_one()
    run(database, delete(audit).where(audit.c.place > 4), update(audit_head).values(place=4, hash=fourth))

    alone, beside = verify(database).broken, verify(database, noted=noted).broken

    assert alone is None
    assert beside is not None
    assert (beside.place, beside.why) == (6, "the chain ends at place 4: its end was cut off")


@pytest.mark.usefixtures("chain")
def test_a_head_that_was_noted_is_found_later_on(database):
    noted = verify(database).last
    record(database, [entry(6)])

    assert verify(database, noted=noted).broken is None
    assert verify(database, noted=Mark()).broken is None
    other = verify(database, noted=Mark(place=2, hash=noted.hash)).broken
    assert other is not None
    assert other.why == "another entry stands where the noted one was"


# -------------------------------------------------------------------------------------------------------------- purge
def older_than(minutes):
    """The limits of which the audit goes that is so many minutes older than the last entry of the chain."""
    return limits(keep_inbox_days=0, keep_audit_days=1, now=NOW + timedelta(days=1, minutes=minutes))


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_a_purge_takes_the_oldest_and_leaves_a_chain_that_can_be_checked(database, monkeypatch, rows):
    monkeypatch.setattr("service.flows.purge.CHUNK_ROWS", rows)
    noted = verify(database).last

    expected = foreseen(database, older_than(3))[-1]
    done = purge(database, older_than(3), rest=lambda _: None)[-1]

    found = verify(database, noted=noted)
    assert expected == done
    assert (done.kind, done.rows) == ("audit", 3)
    assert places(database) == [4, 5, 6]
    assert (found.broken, found.entries, found.kept_after.place) == (None, 3, 3)


@pytest.mark.usefixtures("chain")
def test_after_everything_was_purged_the_chain_goes_on_where_it_ended(database):
    noted = verify(database).last

    purge(database, older_than(99), rest=lambda _: None)
    record(database, [entry(6)])

    assert places(database) == [7]
    assert verify(database, noted=noted).broken is None


@pytest.mark.usefixtures("chain")
def test_an_old_entry_behind_a_newer_one_stays_so_that_no_hole_comes_about(database):
    record(database, [entry(-999)])

    purge(database, older_than(3), rest=lambda _: None)

    assert places(database) == [4, 5, 6, 7]
    assert verify(database).broken is None


@pytest.mark.usefixtures("chain")
def test_what_is_taken_from_the_oldest_end_by_hand_shows(database):
    run(database, delete(audit).where(audit.c.place < 4))

    broken = verify(database).broken

    assert broken is not None
    assert broken.why == "the entries from 1 to 3 are missing"


@pytest.mark.usefixtures("chain")
def test_a_noted_head_that_was_purged_is_said_to_be_no_longer_kept(database):
    with database.reading() as connection:
        second = connection.execute(select(audit.c.hash).where(audit.c.place == 2)).scalar_one()
    purge(database, older_than(3), rest=lambda _: None)

    broken = verify(database, noted=Mark(place=2, hash=second)).broken

    assert broken is not None
    assert "no longer kept" in broken.why


@pytest.mark.usefixtures("chain")
def test_purges_and_writers_at_the_same_time_leave_one_chain(address, database, monkeypatch):
    monkeypatch.setattr("service.flows.purge.CHUNK_ROWS", 1)
    own = Database.open(address)
    writing = threading.Thread(target=lambda: [record(own, [entry(100 + number)]) for number in range(20)])
    purging = [threading.Thread(target=purge, args=(database, older_than(99))) for _ in range(2)]

    for one in (writing, *purging):
        one.start()
    for one in (writing, *purging):
        one.join()
    own.close()

    assert (verify(database).broken, verify(database).last.place) == (None, 26)
    assert places(database)[0] == 7
