"""The queue between a request and the chain: nobody waits for it, it has an end, and what finds no room is counted."""

import threading

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from service.domain.audit import Entry
from service.flows.audit import verify
from service.flows.trail import AT_ONCE, Trail
from service.storage.database import Database
from service.storage.tables_audit import audit
from tests.flows.build import NOW


def entry(number=0):
    return Entry(at=NOW, action=f"a{number}", outcome="200")


def actions(database):
    with database.reading() as connection:
        return list(connection.execute(select(audit.c.action).order_by(audit.c.place)).scalars())


@pytest.fixture
def lost():
    return []


@pytest.fixture
def trail(database, lost):
    """A queue of ten that is written only when a test says so."""
    return Trail(lambda: database, lost=lost.append, most=10, alone=False)


@pytest.fixture
def away(address):
    """A database that cannot be written: it has no tables."""
    found = Database.open("sqlite://" if address.startswith("sqlite") else f"{address}_that_is_not_there", timeout=1)
    yield found
    found.close()


def test_what_is_put_is_written_in_its_order(trail, database):
    for number in range(5):
        trail.put(entry(number))

    assert trail.flush()
    assert actions(database) == ["a0", "a1", "a2", "a3", "a4"]
    assert trail.waiting == 0


def test_more_than_fits_in_one_transaction_is_written_in_several(database, lost):
    trail = Trail(lambda: database, lost=lost.append, alone=False)
    for number in range(AT_ONCE + 1):
        trail.put(entry(number))

    trail.flush()

    assert (verify(database).entries, lost) == (AT_ONCE + 1, [])


def test_while_the_database_is_away_entries_wait_and_are_written_later(database, away, lost):
    of = [away]
    trail = Trail(lambda: of[0], lost=lost.append, alone=False)
    trail.put(entry(1))

    with capture_logs() as logged:
        first, second = trail.flush(), trail.flush()
    trail.put(entry(2))
    of[0] = database

    assert (first, second) == (False, False)
    assert [line["event"] for line in logged] == ["audit not written"]  # once a minute
    assert trail.flush()
    assert (actions(database), lost) == (["a1", "a2"], [])


def test_the_queue_has_an_end_and_what_finds_no_room_is_counted(trail, database, lost):
    for number in range(13):
        trail.put(entry(number))

    trail.flush()

    assert lost == [1, 1, 1]
    assert actions(database) == [f"a{number}" for number in range(10)]


def test_what_is_being_written_takes_room_too(away, lost):
    trail = Trail(lambda: away, lost=lost.append, most=3, alone=False)
    for number in range(3):
        trail.put(entry(number))
    trail.flush()

    trail.put(entry(3))

    assert (trail.waiting, lost) == (3, [1])


def test_entries_are_written_by_themselves(database, lost):
    trail = Trail(lambda: database, lost=lost.append)
    trail.put(entry(1))

    written = threading.Event()
    while trail.waiting:
        written.wait(0.01)

    assert actions(database) == ["a1"]
    trail.close()


def test_no_thread_is_there_before_the_first_entry(database, lost):
    before = threading.active_count()

    Trail(lambda: database, lost=lost.append)

    assert threading.active_count() == before


def test_what_waits_at_the_end_is_written(database, lost):
    trail = Trail(lambda: database, lost=lost.append)
    trail.put(entry(1))

    trail.close()

    assert (actions(database), lost) == (["a1"], [])


def test_what_cannot_be_written_at_the_end_is_counted_and_said(away, lost):
    trail = Trail(lambda: away, lost=lost.append, alone=False)
    trail.put(entry(1))

    with capture_logs() as logged:
        trail.close()

    assert lost == [1]
    assert {"event": "audit entries lost at the end", "log_level": "error", "entries": 1} in logged


def test_many_threads_put_what_all_is_written_once(database, lost):
    trail = Trail(lambda: database, lost=lost.append)
    putting = [
        threading.Thread(target=lambda at=at: [trail.put(entry(at * 100 + number)) for number in range(100)])
        for at in range(4)
    ]

    for one in putting:
        one.start()
    for one in putting:
        one.join()
    trail.close()

    assert sorted(actions(database)) == sorted(f"a{number}" for number in range(400))
    assert verify(database).broken is None


def test_a_chain_that_lacks_its_head_is_not_written_to_and_nothing_is_lost_yet(trail, database, lost):
    trail.put(entry(1))
    trail.flush()
    with database.transaction() as connection:
        connection.execute(text("DELETE FROM audit_head"))

    trail.put(entry(2))

    assert not trail.flush()
    assert (trail.waiting, lost) == (1, [])


@pytest.fixture
def refuse(database):
    """Call it to have the database refuse an action, for a reason of its own."""
    mine, lite = "a_refusal_of_its_own", database.dialect == "sqlite"
    trigger = f"CREATE TRIGGER {mine} BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no') WHERE new.action = "

    def run(statement):
        with database.transaction() as connection:
            connection.exec_driver_sql(statement)

    def start(action):
        constraint = f"ALTER TABLE audit ADD CONSTRAINT {mine} CHECK (action <> '{action}')"
        run(f"{trigger} '{action}'; END" if lite else constraint)

    yield start
    run(f"DROP TRIGGER {mine}" if lite else f"ALTER TABLE audit DROP CONSTRAINT {mine}")


@pytest.mark.parametrize("refused", [0, 3, 6])
def test_an_entry_that_the_database_refuses_stands_there_bare_and_the_others_are_written(
    trail, database, lost, refuse, refused
):
    refuse(f"a{refused}")
    for number in range(7):
        trail.put(entry(number))

    with capture_logs() as logged:
        assert trail.flush()

    expected = ["unwritable" if number == refused else f"a{number}" for number in range(7)]
    assert (actions(database), lost, trail.waiting) == (expected, [], 0)
    assert verify(database).broken is None
    assert [(line["event"], line["why"]) for line in logged] == [("audit entry refused", "IntegrityError")]


ODD = {
    "nul": ({"actor": "key\0"}, {"actor": "key\ufffd"}),
    "half-a-character": ({"action": "GET \ud83d"}, {"action": "GET \ufffd"}),
    "too-long": ({"subject": "x" * 3_000}, {"subject": "x" * 500}),
    "kind-that-is-none": ({"kind": "alien"}, {"kind": "system"}),
    "kind-of-nobody": ({"actor": None}, {"actor": "unknown"}),
    "detail-no-json": ({"detail": {"odd": object(), "n": 1}}, {"detail": {"n": 1}}),
    "detail-nan": ({"detail": {"odd": float("nan"), "n": 1}}, {"detail": {"n": 1}}),
    "detail-nul": ({"detail": {"odd": ["\0"], "n": 1}}, {"detail": {"n": 1}}),
    "detail-half-a-character": ({"detail": {"\udfff": 1, "n": 1}}, {"detail": {"n": 1}}),
    "detail-too-deep": ({"detail": {"odd": [[[[[1]]]]], "n": 1}}, {"detail": {"n": 1}}),
    "detail-too-large-a-number": ({"detail": {"odd": 10**30, "n": 1}}, {"detail": {"n": 1}}),
    "detail-too-long": ({"detail": {"odd": "x" * 5_000, "more": "x" * 5_000}}, {"detail": {}}),
}


@pytest.mark.parametrize(("given", "expected"), ODD.values(), ids=ODD)
def test_what_cannot_be_written_of_an_entry_is_replaced_and_that_is_said(trail, database, lost, given, expected):
    trail.put(entry(1))
    whole = {"kind": "key", "actor": "key_1", "action": "a2", "subject": "pat_1", "outcome": "200", "detail": {}}
    trail.put(Entry(at=NOW, **{**whole, **given}))
    trail.put(entry(3))

    with capture_logs() as logged:
        assert trail.flush()

    (name,) = given
    wanted = {**whole, **expected}
    wanted["detail"] = {**wanted["detail"], "mended": [name]}
    with database.reading() as connection:
        row = connection.execute(select(audit).where(audit.c.place == 2)).one()._asdict()
    assert {key: row[key] for key in wanted} == wanted
    assert (verify(database).entries, verify(database).broken, lost) == (3, None, [])
    assert [(line["event"], line["fields"]) for line in logged] == [("audit entry mended", [name])]
