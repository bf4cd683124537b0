"""A panel is kept as a whole or not at all, wherever the keeping of it breaks off."""

from itertools import count

import pytest
from sqlalchemy import event

from service.domain.errors import Unavailable
from service.storage import judgements, outbox, panels, patients, results
from tests.flows.build import WOMAN, Sender, alp, calcium, day, hemoglobin, kept, panel, platelets

HISTORY = (
    panel(calcium("11.0"), alp("250"), hemoglobin("9.1"), on=0),
    panel(calcium("9.9"), alp("250"), hemoglobin("9.1"), on=2),
    panel(calcium("11.9"), on=4),
)
# Joins two episodes into one, resolves another, withdraws a flag, and brings a flag, a note and a fact that are new.
CORRECTION = panel(
    calcium("13.2"), alp("90"), hemoglobin("9.1", status="entered-in-error"), platelets("20"),
    on=2, status="corrected", issued_at=day(5).isoformat(), patient={**WOMAN, "birth_date": "1968-03-15"},
)  # fmt: skip

WRITES = [
    (patients, "lock"),
    (patients, "learned"),
    (panels, "keep_message"),
    (panels, "keep_panel"),
    (results, "keep"),
    (judgements, "keep_verdicts"),
    (judgements, "keep_episodes"),
    (judgements, "merged"),
    (judgements, "keep_notes"),
    (judgements, "keep_flags"),
    (judgements, "retire_flag"),
    (judgements, "place_flags"),
    (judgements, "follow_episode"),
    (outbox, "keep"),
]


class Broken(Exception):
    pass


@pytest.fixture
def sender(means):
    sender = Sender(means)
    for sent in HISTORY:
        sender.send(sent)
    return sender


@pytest.mark.parametrize(("room", "name"), WRITES, ids=lambda one: getattr(one, "__name__", one))
def test_nothing_is_kept_when_one_step_of_the_keeping_fails(sender, database, monkeypatch, room, name):
    before = kept(database)
    real = getattr(room, name)

    def break_off(*args, **options):
        real(*args, **options)
        raise Broken

    monkeypatch.setattr(room, name, break_off)
    with pytest.raises(Broken):
        sender.send(CORRECTION)

    assert kept(database) == before


def test_nothing_is_kept_whichever_statement_fails(sender, database):
    before = kept(database)
    statements = 0

    for number in count(1):
        if not fails_at(number, sender, database):
            break
        statements = number
        assert kept(database) == before

    assert statements > len(WRITES)
    assert kept(database) != before


def fails_at(number, sender, database):
    left = iter(range(number - 1))

    def break_off(*_):
        if next(left, None) is None:
            raise Broken

    event.listen(database.engine, "before_cursor_execute", break_off)
    try:
        sender.send(CORRECTION)
    except Broken:
        return True
    finally:
        event.remove(database.engine, "before_cursor_execute", break_off)
    return False


def test_nothing_is_answered_when_the_commit_fails(sender, database):
    before = kept(database)

    def break_off(_):
        raise Broken

    event.listen(database.engine, "commit", break_off)
    with pytest.raises(Broken):
        sender.send(CORRECTION)
    event.remove(database.engine, "commit", break_off)

    assert kept(database) == before


def test_a_panel_that_could_not_be_kept_can_be_sent_again(sender, database, monkeypatch):
    def unavailable(*_):
        raise Unavailable("the database is busy")

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "keep", unavailable)
        with pytest.raises(Unavailable):
            sender.send(CORRECTION)

    again = sender.send(CORRECTION)

    assert not again.duplicate
    assert len(again.told) > 0
