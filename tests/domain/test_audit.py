"""The seal of an entry: what it is made of, to the letter, and how a chain that was tampered with is told."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from service.domain.audit import BEGINNING, Entry, Mark, as_data, canonical, fault, seal

ENTRY = Entry(
    at=datetime(2026, 11, 20, 13, 0, 0, 250, tzinfo=timezone(timedelta(hours=1))),
    kind="key",
    actor="key_1",
    action="GET /v1/flags",
    subject="pat_1",
    request_id="r-1",
    outcome="200",
    detail={"panels": 2, "a": "ä"},
)
# Written down by hand, as the README describes it.
BYTES = (
    '{"action":"GET /v1/flags","actor":{"id":"key_1","kind":"key"},"at":"2026-11-20T12:00:00.000250Z",'
    f'"before":"{"0" * 64}","detail":{{"a":"ä","panels":2}},"outcome":"200","place":1,"request_id":"r-1",'
    '"subject":"pat_1"}'
).encode()


def test_what_is_sealed_is_canonical_json_and_the_seal_its_sha_256():
    data = as_data(ENTRY, Mark())

    assert canonical(data) == BYTES
    assert seal(data) == hashlib.sha256(BYTES).hexdigest()
    assert BEGINNING == "0" * 64


def test_nobody_is_told_as_null():
    data = as_data(replace(ENTRY, kind=None, actor=None), Mark())

    assert data["actor"] is None


def chain(*actions):
    """Entries as they are kept: what was sealed, and the hash of it."""
    last, found = Mark(), []
    for action in actions:
        data = as_data(replace(ENTRY, action=action), last)
        last = Mark(place=data["place"], hash=seal(data))
        found.append((data, last.hash))
    return found


def test_an_entry_that_follows_has_no_fault():
    (first, said), (second, next_said) = chain("a", "b")

    assert fault(first, said, after=Mark()) is None
    assert fault(second, next_said, after=Mark(place=1, hash=said)) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"at": "2026-11-20T12:00:00.000251Z"},
        {"actor": {"kind": "key", "id": "key_2"}},
        {"actor": None},
        {"action": "b"},
        {"subject": None},
        {"request_id": "r-2"},
        {"outcome": "403"},
        {"detail": {"panels": 3, "a": "ä"}},
        {"before": "1" * 64},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_whatever_is_changed_shows(changed):
    ((data, said),) = chain("a")

    assert fault({**data, **changed}, said, after=Mark()) == "the entry was changed"


def test_one_that_is_missing_shows_with_its_place():
    (_, said), _, (third, third_said) = chain("a", "b", "c")

    assert fault(third, third_said, after=Mark(place=1, hash=said)) == "the entries from 2 to 2 are missing"


def test_one_that_was_sealed_anew_does_not_let_the_next_one_follow():
    _, (second, said) = chain("a", "b")
    ((other, other_said),) = chain("x")

    assert fault(other, other_said, after=Mark()) is None
    assert "does not follow" in str(fault(second, said, after=Mark(place=1, hash=other_said)))
