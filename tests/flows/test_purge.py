"""What a purge takes and what it leaves, on both databases, alone and beside an intake."""

import threading
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import insert, select, update
from structlog.testing import capture_logs

from service.domain.errors import Unavailable
from service.flows import purge as purging
from service.flows.fan_out import fan_out
from service.flows.purge import foreseen, limits, purge
from service.flows.replay import replay_all
from service.storage import redelivery
from service.storage.database import Database
from service.storage.tables import idempotency_keys, inbox
from service.storage.tables_delivery import deliveries, delivery_attempts, subscriptions
from tests.flows.build import NOW, WOMAN, Sender, alp, calcium, hemoglobin, kept, panel, row_counts
from tests.flows.test_erase import subscription

YEAR = limits(keep_inbox_days=365, now=NOW)
LONG_AGO = -500  # days before the first of November


@pytest.fixture
def sender(means):
    return Sender(means)


@pytest.fixture
def old(sender):
    """Five messages that are older than a year, and one of today."""
    for number in range(5):
        sender.send(panel(calcium("11.9"), on=LONG_AGO + number), at=days_ago(400 - number))
    sender.send(panel(hemoglobin("9.1"), on=9), at=NOW)


def days_ago(days):
    return NOW - timedelta(days=days)


def remember(database, *keys, until):
    given = {"client": "key_1", "route": "/v1/panels", "fingerprint": "f", "status": 201, "headers": {}}
    rows = [{**given, "key": key, "body": b"12345", "created_at": days_ago(9), "expires_at": until} for key in keys]
    with database.transaction() as connection:
        connection.execute(insert(idempotency_keys), rows)


def at_once(database, of):
    return purge(database, of, rest=lambda _: None)


NOTHING = {"messages": 0, "answers": 0, "deliveries": 0, "audit": 0}


def went(shares):
    return {share.kind: share.rows for share in shares}


def received(database):
    with database.reading() as connection:
        return list(connection.execute(select(inbox.c.received_at).order_by(inbox.c.received_at)).scalars())


def remembered(database):
    with database.reading() as connection:
        return sorted(connection.execute(select(idempotency_keys.c.key)).scalars())


def test_messages_go_when_they_are_older_than_was_said_and_newer_ones_stay(sender, database):
    for days in (400, 366, 365, 364, 0):
        sender.send(panel(calcium("11.9"), on=LONG_AGO + days / 1000), at=days_ago(days))

    shares = at_once(database, YEAR)

    assert went(shares) == NOTHING | {"messages": 2, "answers": 0}
    assert received(database) == [days_ago(days) for days in (365, 364, 0)]


def test_answers_go_when_their_time_is_over(database):
    remember(database, "a", "b", until=NOW - timedelta(seconds=1))
    remember(database, "c", until=NOW)
    remember(database, "d", until=NOW + timedelta(hours=1))

    _, answers, *_ = at_once(database, limits(keep_inbox_days=0, now=NOW))

    assert (answers.rows, answers.bytes) == (2, 10)
    assert remembered(database) == ["c", "d"]


def test_what_was_sent_to_whom_goes_when_it_is_done_and_old_and_what_waits_stays(sender, means, database):
    with database.transaction() as connection:
        connection.execute(insert(subscriptions).values(**subscription()))
    for days in (9, 1):
        sender.send(panel(calcium("11.9"), hemoglobin("7.7"), on=-days), at=days_ago(days))
        fan_out(means, now=days_ago(days))
    with database.transaction() as connection:
        first = connection.execute(select(deliveries.c.id).order_by(deliveries.c.number).limit(1)).scalar_one()
        done = deliveries.update().where(deliveries.c.id != first)
        connection.execute(done.values(state="sent", done_at=NOW))
        for name in connection.execute(select(deliveries.c.id)).scalars():
            tried = {"delivery_id": name, "number": 1, "at": NOW, "outcome": "sent", "milliseconds": 3}
            connection.execute(insert(delivery_attempts).values(**tried))
    before = row_counts(database)["deliveries"]

    of = limits(keep_inbox_days=0, keep_deliveries_days=5, now=NOW)
    expected, shares = foreseen(database, of), at_once(database, of)

    gone = went(shares)["deliveries"]
    with database.reading() as connection:
        left = connection.execute(select(deliveries.c.id, deliveries.c.created_at)).all()
        attempts = set(connection.execute(select(delivery_attempts.c.delivery_id)).scalars())
    assert expected == shares
    assert gone >= 1
    assert len(left) == before - gone
    assert {name for name, made in left if made < days_ago(5)} == {first}
    assert attempts == {name for name, _ in left}


@pytest.mark.usefixtures("old")
def test_with_no_days_messages_are_kept_for_ever(database):
    messages, *_ = at_once(database, limits(keep_inbox_days=0, now=NOW))

    assert (messages.before, messages.rows, messages.oldest) == (None, 0, None)
    assert len(received(database)) == 6


@pytest.mark.usefixtures("old")
def test_what_is_foreseen_is_what_goes(database):
    remember(database, "a", "b", until=days_ago(1))

    expected = foreseen(database, YEAR)
    done = at_once(database, YEAR)

    messages, answers, *_ = done
    assert done == expected
    assert (messages.rows, messages.oldest, messages.newest) == (5, days_ago(400), days_ago(396))
    assert (answers.rows, answers.oldest, answers.newest) == (2, days_ago(1), days_ago(1))
    assert messages.bytes > 5 * 100


@pytest.mark.usefixtures("old")
def test_what_is_foreseen_is_still_there(database):
    remember(database, "a", until=days_ago(1))
    before = kept(database)

    foreseen(database, YEAR)

    assert kept(database) == before


@pytest.mark.usefixtures("old")
def test_nothing_else_goes(doors, database):
    remember(database, "a", until=days_ago(1))
    doors.key("flags:read", days=1)
    before = kept(database)

    at_once(database, limits(keep_inbox_days=1, now=NOW + timedelta(days=9_999)))

    after = kept(database)
    assert (after.pop("inbox"), after.pop("idempotency_keys")) == ([], [])
    assert after == {name: rows for name, rows in before.items() if name in after}
    assert min(len(after[name]) for name in ("patients", "panels", "results", "verdicts", "flags", "api_keys")) >= 1


@pytest.mark.parametrize("rows", [2, 5, 6, 1])
def test_rows_of_one_moment_are_all_foreseen_and_go_however_many_go_at_a_time(sender, database, monkeypatch, rows):
    monkeypatch.setattr(purging, "CHUNK_ROWS", rows)
    for number in range(5):
        sender.send(panel(calcium("11.9"), on=LONG_AGO + number), at=days_ago(400))
    remember(database, *"vwxyz", until=days_ago(2))

    expected = foreseen(database, YEAR)
    shares = at_once(database, YEAR)

    assert went(shares) == NOTHING | {"messages": 5, "answers": 5}
    assert expected == shares
    assert (received(database), remembered(database)) == ([], [])


@pytest.mark.usefixtures("old")
def test_few_bytes_go_at_a_time_and_a_large_message_goes_too(database, monkeypatch):
    monkeypatch.setattr(purging, "CHUNK_BYTES", 1)
    rests = []

    messages, *_ = purge(database, YEAR, rest=rests.append)

    assert messages.rows == 5
    assert len(rests) == 4
    assert len(received(database)) == 1


@pytest.mark.usefixtures("old")
def test_a_purge_that_broke_off_leaves_the_newer_ones_and_goes_on_the_next_time(database, monkeypatch):
    monkeypatch.setattr(purging, "CHUNK_ROWS", 2)

    def break_off(_):
        raise Unavailable("the database is busy")

    with capture_logs() as logged, pytest.raises(Unavailable):
        purge(database, YEAR, rest=break_off)
    left = received(database)
    again = at_once(database, YEAR)

    assert [(line["kind"], line["rows"]) for line in logged] == [("messages", 2)]
    assert left == [days_ago(days) for days in (398, 397, 396, 0)]
    assert went(again) == NOTHING | {"messages": 3, "answers": 0}


def test_an_answer_whose_key_is_used_again_in_the_meantime_stays(database, monkeypatch):
    monkeypatch.setattr(purging, "CHUNK_ROWS", 1)
    remember(database, "a", until=days_ago(3))
    remember(database, "b", until=days_ago(2))

    def use_again(_):
        with database.transaction() as connection:
            renewed = update(idempotency_keys).where(idempotency_keys.c.key == "b")
            connection.execute(renewed.values(expires_at=NOW + timedelta(days=1)))

    shares = purge(database, YEAR, rest=use_again)

    assert went(shares) == NOTHING | {"messages": 0, "answers": 1}
    assert remembered(database) == ["b"]


def test_the_log_has_counts_only(old, database):
    with capture_logs() as logged:
        messages, *_ = at_once(database, YEAR)

    assert logged == [
        {"event": "purged", "log_level": "info", "kind": "messages", "rows": 5, "bytes": messages.bytes},
        *(
            {"event": "purged", "log_level": "info", "kind": kind, "rows": 0, "bytes": 0}
            for kind in ("answers", "deliveries", "audit")
        ),
    ]


@pytest.fixture
def done(sender, means, database):
    """Two deliveries of nine days ago that went through, each with its attempt; answers their ids."""
    with database.transaction() as connection:
        connection.execute(insert(subscriptions).values(**subscription()))
    sender.send(panel(calcium("11.9"), hemoglobin("7.7"), on=-9), at=days_ago(9))
    fan_out(means, now=days_ago(9))
    with database.transaction() as connection:
        connection.execute(update(deliveries).values(state="sent", attempts=1, done_at=NOW))
        names = list(connection.execute(select(deliveries.c.id).order_by(deliveries.c.id)).scalars())
        tried = {"number": 1, "at": NOW, "outcome": "sent", "milliseconds": 3}
        connection.execute(insert(delivery_attempts), [{"delivery_id": name, **tried} for name in names])
    return names


DELIVERIES = limits(keep_inbox_days=0, keep_deliveries_days=5, now=NOW)


def attempted(database):
    with database.reading() as connection:
        return sorted(connection.execute(select(delivery_attempts.c.delivery_id)).scalars())


def test_a_delivery_that_is_replayed_meanwhile_keeps_its_attempts(done, database, monkeypatch):
    monkeypatch.setattr(purging, "CHUNK_ROWS", len(done) - 1)  # the last one was found, and is to go next

    def replay(_):
        with database.transaction() as connection:
            redelivery.again(connection, done[-1], now=NOW)

    shares = purge(database, DELIVERIES, rest=replay)

    assert went(shares)["deliveries"] == len(done) - 1
    assert attempted(database) == done[-1:]


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_delivery_that_is_being_replayed_is_left_alone_and_nobody_waits(done, database, address):
    other = Database.open(address)
    with other.transaction() as connection:
        redelivery.again(connection, done[0], now=NOW)
        shares = at_once(database, DELIVERIES)
    other.close()

    assert went(shares)["deliveries"] == len(done) - 1
    assert attempted(database) == done[:1]


@pytest.mark.usefixtures("old")
def test_two_purges_at_once_take_each_message_once(database, monkeypatch):
    monkeypatch.setattr(purging, "CHUNK_ROWS", 1)
    shares = []
    both = [threading.Thread(target=lambda: shares.append(at_once(database, YEAR)[0])) for _ in range(2)]

    for one in both:
        one.start()
    for one in both:
        one.join()

    assert sum(share.rows for share in shares) == 5
    assert len(shares) == 2
    assert len(received(database)) == 1


def test_messages_are_taken_in_while_older_ones_go(sender, database, monkeypatch):
    monkeypatch.setattr(purging, "CHUNK_ROWS", 1)
    for number in range(20):
        sender.send(panel(calcium("11.9"), on=LONG_AGO + number / 100), at=days_ago(400))
    numbers, sent, stop = count(), [], threading.Event()

    def go_on_sending():
        while not stop.is_set():
            patient = {**WOMAN, "id": f"new-{next(numbers)}"}
            sent.append(sender.send(panel(hemoglobin("9.1"), patient=patient)).id)

    sending = threading.Thread(target=go_on_sending)
    sending.start()
    while not sent:
        stop.wait(0.01)
    try:
        messages, *_ = at_once(database, YEAR)
    finally:
        stop.set()
        sending.join()

    assert messages.rows == 20
    assert received(database) == [NOW] * len(sent)
    assert row_counts(database)["panels"] == 20 + len(sent)


@pytest.mark.parametrize("kind", ["sqlite"])
def test_the_bytes_are_gone_from_the_file(sender, database, tmp_path):
    sender.send(panel(calcium("11.9", note="SHIBBOLETH " * 90), on=LONG_AGO), at=days_ago(400))
    database.close()
    before = (tmp_path / "lab-alerts.db").read_bytes().count(b"SHIBBOLETH")

    at_once(database, YEAR)
    database.close()

    assert before == 180  # in the message, and in the result that stays
    assert (tmp_path / "lab-alerts.db").read_bytes().count(b"SHIBBOLETH") == 90


VIEWS = (
    "/v1/flags",
    "/v1/flags/{flag}",
    "/v1/panels/{panel}",
    "/v1/patients/88204113/flags",
    "/v1/patients/88204113/timeline",
    "/v1/patients/88204113/episodes",
)


def test_everything_still_answers_the_same(client, database):
    receipt = client.post("/v1/panels", json=panel(calcium("11.9"), hemoglobin("9.1"))).json
    named = {"flag": receipt["flags"][0]["id"], "panel": receipt["id"]}
    before = [client.get(view.format(**named)).json for view in VIEWS]

    at_once(database, limits(keep_inbox_days=1, now=NOW + timedelta(days=2)))

    assert row_counts(database)["inbox"] == 0
    assert [client.get(view.format(**named)).json for view in VIEWS] == before
    again = client.get(f"/v1/flags/{named['flag']}/replay").json
    assert (again["equal"], again["facts"]["as_of"]) == (True, "raised")


def test_a_flag_is_judged_again_on_the_facts_of_then_without_its_message(sender, means, database):
    unknown = {"id": "1", "authority": "a", "birth_date": "1968-03-14"}
    sender.send(panel(alp("110"), on=LONG_AGO, patient={**unknown, "sex": "female"}), at=days_ago(400))
    sender.send(panel(hemoglobin("14"), on=LONG_AGO + 1, patient={**unknown, "sex": "male"}), at=days_ago(399))
    with_messages = [(one.equal, one.facts_then) for one in replay_all(means)]

    at_once(database, YEAR)

    assert with_messages == [(True, True)]
    assert [(one.equal, one.facts_then) for one in replay_all(means)] == [(True, True)]


def test_a_panel_that_is_sent_again_after_its_message_went_is_still_a_duplicate(sender, database):
    sent = panel(calcium("11.9"), on=LONG_AGO)
    first = sender.send(sent, at=days_ago(400))
    at_once(database, YEAR)

    again = sender.send(sent)

    assert (again.id, again.duplicate) == (first.id, True)
    assert row_counts(database)["inbox"] == 0
