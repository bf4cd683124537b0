"""Feeds: silence is told once, ended once, and whoever looks at the same time."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from service.domain.errors import NotFound
from service.flows import feeds as flow
from service.flows.feeds import watch_feeds
from service.flows.incoming import order
from service.flows.intake import take_in
from service.flows.means import Means
from service.formats import native
from service.storage import feeds as rows
from service.storage.database import Database
from service.storage.panels import TRIAL, Message
from service.storage.tables import outbox, panels, patients
from service.storage.tables_watch import feeds
from tests.flows.acting import PATEL
from tests.flows.build import NOW, Sender, calcium, encoded, panel
from tests.flows.subscribing import at_once
from tests.flows.telling import fan_all_out, subscribe, told_by

MINUTE = timedelta(minutes=1)


def expect(means, minutes=60, *, source="lab-1", at=0):
    return flow.expect(source, minutes, means, by=PATEL, now=NOW + at * MINUTE)


class Laboratory:
    """A source that sends another panel each time."""

    def __init__(self, means, source="lab-1"):
        self.sender, self.sent = Sender(means, source=source), 0

    def send(self, minute):
        self.sent += 1
        self.sender.send(panel(calcium("9.5"), on=self.sent / 1440), at=NOW + minute * MINUTE)


@pytest.fixture
def laboratory(means):
    return Laboratory(means)


def told(database, source="lab-1"):
    """What was told of a feed, with the minute of it."""
    statement = select(outbox).where(outbox.c.type.startswith("lab.feed.")).order_by(outbox.c.seq)
    with database.reading() as connection:
        found = [row for row in connection.execute(statement) if row.data["source"] == source]
    return [f"{row.type.rpartition('.')[2]} {int((row.at - NOW).total_seconds() // 60)}" for row in found]


def data(database):
    statement = select(outbox.c.data).where(outbox.c.type.startswith("lab.feed.")).order_by(outbox.c.seq)
    with database.reading() as connection:
        return list(connection.execute(statement).scalars())


# A feed is expected every 60 minutes, from minute 0 on. When results come, and what is done -> what is told, of five
# hours looked at minute by minute.
FEEDS = {
    "never heard": ((), {}, "silent 61"),
    "heard in time": (range(0, 300, 50), {}, ""),
    "heard just in time": ((60, 120, 180, 240), {}, ""),
    "heard once": ((10,), {}, "silent 71"),
    "late, and back": ((10, 90, 140, 195, 250), {}, "silent 71, resumed 90"),
    "twice": ((10, 100, 220, 270), {}, "silent 71, resumed 100, silent 161, resumed 220"),
    "expected more rarely": ((10,), {100: 200}, "silent 71, resumed 100, silent 211"),
    "expected more often": ((10, 50, 100), {60: 20}, "silent 71, resumed 100, silent 121"),
    "expected the same again": ((10,), {100: 60}, "silent 71"),
    "expected more rarely, and still late": ((10,), {100: 70}, "silent 71"),
    "not expected any more": ((10,), {100: None}, "silent 71, resumed 100"),
    "not expected any more, while it was heard": ((10,), {30: None}, ""),
    "not expected, and expected again": ((10,), {100: None, 110: 60}, "silent 71, resumed 100, silent 110"),
}


@pytest.mark.parametrize(("heard", "done", "expected"), FEEDS.values(), ids=FEEDS)
def test_the_life_of_a_feed(means, laboratory, database, heard, done, expected):
    expect(means)

    for minute in range(300):
        if minute in heard:
            laboratory.send(minute)
        if minute in done and done[minute] is None:
            flow.forget("lab-1", means, now=NOW + minute * MINUTE)
        elif minute in done:
            expect(means, done[minute], at=minute)
        watch_feeds(means, now=NOW + minute * MINUTE)

    assert ", ".join(told(database)) == expected


def test_what_is_told_says_since_when_and_for_how_long(means, laboratory, database):
    expect(means)
    laboratory.send(10)

    watch_feeds(means, now=NOW + 80 * MINUTE)
    laboratory.send(100)
    watch_feeds(means, now=NOW + 100.5 * MINUTE)

    since = (NOW + 10 * MINUTE).isoformat()
    assert data(database) == [
        {"source": "lab-1", "last_result_at": since, "expected_minutes": 60},
        {"source": "lab-1", "silent_since": since, "minutes": 90, "why": "heard"},
    ]


def test_a_feed_that_was_never_heard_has_no_last_result(means, database):
    expect(means)

    watch_feeds(means, now=NOW + 61 * MINUTE)

    assert data(database) == [{"source": "lab-1", "last_result_at": None, "expected_minutes": 60}]


@pytest.mark.parametrize(("why", "minutes"), [("not_expected", None), ("expected_otherwise", 600)])
def test_a_silence_that_ends_without_a_result_says_why(means, database, why, minutes):
    expect(means)
    watch_feeds(means, now=NOW + 61 * MINUTE)

    if minutes is None:
        flow.forget("lab-1", means, now=NOW + 62 * MINUTE)
    else:
        expect(means, minutes, at=62)

    assert data(database)[-1]["why"] == why


def test_each_feed_is_watched_by_itself_and_others_are_not(means, database):
    for number, source in enumerate(("lab-1", "lab-2", "lab-3")):
        Sender(means, source=source).send(panel(calcium("9.5"), on=number), at=NOW)
    expect(means, source="lab-1")
    expect(means, 120, source="lab-2")

    turned = watch_feeds(means, now=NOW + 61 * MINUTE)

    assert (turned, [one["source"] for one in data(database)]) == (1, ["lab-1"])


def test_whoever_subscribed_is_told_and_by_source(means, database):
    subscribe(database, "all")
    subscribe(database, "other", sources=("lab-2",))
    expect(means)

    watch_feeds(means, now=NOW + 61 * MINUTE)
    fan_all_out(means)

    assert told_by(database) == {"all": ["silent"]}


def test_a_trial_is_no_sign_of_life(means, database):
    expect(means)
    body = encoded(panel(calcium("9.5")))
    message = Message(
        body=body, content_type="application/json", source="lab-1", received_at=NOW + 50 * MINUTE, test=True
    )
    take_in(order(native.read(body, now=NOW), message, means), means)

    watch_feeds(means, now=NOW + 61 * MINUTE)

    assert told(database) == ["silent 61"]
    with database.reading() as connection:
        assert connection.execute(select(patients.c.authority)).scalar_one().startswith(TRIAL)
        assert connection.execute(select(panels.c.source)).scalar_one() == "lab-1"


def test_a_clock_that_goes_back_tells_nothing_twice(means, laboratory, database):
    expect(means)
    laboratory.send(10)

    for minute in (71, -500, 60, 71, 72, 0, 500):
        watch_feeds(means, now=NOW + minute * MINUTE)

    assert told(database) == ["silent 71"]


def test_a_result_is_a_sign_of_life_to_a_clock_that_was_ahead(means, laboratory, database):
    expect(means)
    laboratory.send(300)  # by a clock that was five hours ahead

    for minute in (10, 61, 299, 360, 361):
        watch_feeds(means, now=NOW + minute * MINUTE)

    assert told(database) == ["silent 361"]


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("look"), st.integers(-60, 600)),
        st.tuples(st.just("hear"), st.integers(0, 600)),
        st.tuples(st.just("expect"), st.integers(1, 300)),
        st.just(("forget", 0)),
    ),
    max_size=14,
)


_NUMBERS = count(1)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@settings(max_examples=40)
@given(moves=MOVES)
def test_whatever_happens_between_two_silences_there_is_an_end(means, database, moves):
    source, at = f"lab-{next(_NUMBERS)}", 0
    laboratory = Laboratory(means, source)

    for move, number in moves:
        at = number if move in ("look", "hear") else at
        if move == "look":
            watch_feeds(means, now=NOW + at * MINUTE)
        elif move == "hear":
            laboratory.send(at)
        elif move == "expect":
            expect(means, number, source=source, at=at)
        else:
            with suppress(NotFound):
                flow.forget(source, means, now=NOW + at * MINUTE)

    kinds = [one.partition(" ")[0] for one in told(database, source)]
    assert kinds == (["silent", "resumed"] * len(kinds))[: len(kinds)]


# ------------------------------------------------------------------------------------------------------- at once
@pytest.fixture
def other(address, means):
    """Means of another process, on the same database."""
    database = Database.open(address, timeout=10)
    yield Means(database=database, catalogue=means.catalogue)
    database.close()


@pytest.mark.parametrize("round_", range(3))
def test_dispatchers_that_look_at_the_same_moment_tell_it_once(means, other, database, round_):
    sources = [f"lab-{number}" for number in range(6)]
    for source in sources:
        expect(means, source=source)

    turned = at_once(*(lambda one=one: watch_feeds(one, now=NOW + 61 * MINUTE) for one in (means, other)))

    assert (sum(turned), sorted(one["source"] for one in data(database))) == (6, sources)


def test_of_two_who_found_the_same_silence_or_its_end_one_notes_it(means, database):
    seen = expect(means).feed
    with database.transaction() as connection:
        silent = [rows.fell_silent(connection, seen, now=NOW) for _ in range(2)]
        seen = rows.find(connection, "lab-1")
        heard = [rows.is_heard(connection, seen) for _ in range(2)]

    assert (silent, heard) == ([True, False], [True, False])


def test_of_two_who_expect_a_source_for_the_first_time_both_are_answered(means, other):
    done = at_once(lambda: expect(means, 10), lambda: expect(other, 20))

    assert sorted(one.new for one in done) == [False, True]
    assert flow.shown("lab-1", means).expected_minutes in (10, 20)


def test_a_silence_is_never_kept_without_its_event(means, database, monkeypatch):
    expect(means)

    def fail(*_):
        raise RuntimeError("struck")

    monkeypatch.setattr(flow.outbox, "keep", fail)
    with pytest.raises(RuntimeError, match="struck"):
        watch_feeds(means, now=NOW + 61 * MINUTE)
    monkeypatch.undo()

    assert (flow.shown("lab-1", means).silent_since, told(database)) == (None, [])
    assert watch_feeds(means, now=NOW + 61 * MINUTE) == 1


# ------------------------------------------------------------------------------------------------------------ walls
@pytest.mark.parametrize(
    "wrong",
    [{"expected_minutes": 0}, {"expected_minutes": 10_081}, {"silent_since": NOW}, {"told_at": NOW}],
    ids=str,
)
def test_the_database_refuses_feeds_that_cannot_be(database, wrong):
    whole = {"source": "lab-1", "expected_minutes": 60, "changed_at": NOW, "changed_by": "key_1"}

    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(insert(feeds).values(whole | wrong))

    with database.transaction() as connection:
        connection.execute(insert(feeds).values(whole))


@pytest.mark.parametrize("minutes", [0, 10_081])
def test_a_feed_checks_itself(means, minutes):
    feed = expect(means).feed

    with pytest.raises(ValueError, match="expected"):
        replace(feed, expected_minutes=minutes)
