"""Feedback as read: what was done, why, and every malformed entry with its place."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import BadInput
from service.formats import strict_json
from service.formats.cds_hooks.feedback import Reason, read_feedback

CARD = "4e0a3a1e-3283-4575-ab82-028d55fe2719"
SYSTEM = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"
AT = "2026-03-02T10:05:31Z"


def overridden(**changed):
    reason = {"reason": {"system": SYSTEM, "code": "action-completed"}, "userComment": "seen on ward"}
    whole = {"card": CARD, "outcome": "overridden", "overrideReason": reason, "outcomeTimestamp": AT, **changed}
    return {name: one for name, one in whole.items() if one is not None}


def accepted(*suggestions, **changed):
    listed = [{"id": one} for one in suggestions]
    whole = {"card": CARD, "outcome": "accepted", "acceptedSuggestions": listed, "outcomeTimestamp": AT, **changed}
    return {name: one for name, one in whole.items() if one is not None}


def read(*entries):
    return read_feedback(strict_json.parse(json.dumps({"feedback": entries}).encode()))


def faults(value):
    try:
        read_feedback(strict_json.parse(json.dumps(value).encode()))
    except BadInput as refused:
        return [(one.pointer, one.code) for one in refused.faults]
    return []


def test_an_overridden_card_has_its_reason_and_comment():
    (found,) = read(overridden())

    assert (found.card, found.outcome, found.at) == (CARD, "overridden", datetime(2026, 3, 2, 10, 5, 31, tzinfo=UTC))
    assert found.reason == Reason(system=SYSTEM, code="action-completed", listed=True)
    assert found.comment == "seen on ward"
    assert "seen on ward" not in repr(found)


def test_a_card_may_be_overridden_without_a_reason():
    (found,) = read(overridden(overrideReason=None))

    assert (found.reason, found.comment) == (None, None)


@pytest.mark.parametrize(
    "reason", [{"code": "action-completed"}, {"system": "urn:mine", "code": "x"}, {"system": SYSTEM, "code": "other"}]
)
def test_a_reason_that_the_card_did_not_offer_is_taken_and_marked(reason):
    (found,) = read(overridden(overrideReason={"reason": reason}))

    assert found.reason == Reason(system=reason.get("system"), code=reason["code"], listed=False)


def test_an_empty_comment_beside_a_reason_is_none():
    (found,) = read(overridden(overrideReason={"reason": {"code": "x"}, "userComment": ""}))

    assert found.comment is None


def test_each_accepted_suggestion_is_a_statement_of_its_own():
    found = read(accepted("a", "b", "a"), overridden())

    assert [(one.place, one.outcome, one.suggestion) for one in found] == [
        ("feedback[0]", "accepted", "a"),
        ("feedback[0]", "accepted", "b"),
        ("feedback[1]", "overridden", ""),
    ]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({}, [("card", "required"), ("outcome", "required"), ("outcomeTimestamp", "required")]),
        (overridden(card="4"), [("card", "value")]),
        (overridden(outcome="seen"), [("outcome", "value")]),
        (overridden(outcomeTimestamp="2026-03-02T10:05:31"), [("outcomeTimestamp", "value")]),
        (overridden(outcomeTimestamp="2026-02-30T10:05:31Z"), [("outcomeTimestamp", "value")]),
        (overridden(outcomeTimestamp="0001-01-01T00:00:00+10:00"), [("outcomeTimestamp", "value")]),
        (overridden(outcomeTimestamp="today"), [("outcomeTimestamp", "value")]),
        (overridden(overrideReason={}), [("overrideReason", "required")]),
        (overridden(overrideReason={"userComment": ""}), [("overrideReason", "required")]),
        (overridden(overrideReason={"reason": {}}), [("overrideReason.reason.code", "required")]),
        (overridden(overrideReason=[]), [("overrideReason", "structure")]),
        (accepted(), [("acceptedSuggestions", "required")]),
        (accepted(acceptedSuggestions=None), [("acceptedSuggestions", "required")]),
        (accepted(acceptedSuggestions=[{}]), [("acceptedSuggestions[0].id", "required")]),
        (accepted("x" * 256), [("acceptedSuggestions[0].id", "value")]),
    ],
)
def test_a_malformed_entry_is_told_with_its_place(entry, expected):
    told = faults({"feedback": [overridden(), entry]})

    assert told == [(f"feedback[1].{place}", code) for place, code in expected]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], [("", "structure")]),
        ({}, [("feedback", "required")]),
        ({"feedback": {}}, [("feedback", "structure")]),
        ({"feedback": [1]}, [("feedback[0]", "structure")]),
        ({"feedback": [overridden()] * 1001}, [("feedback", "too-many")]),
    ],
)
def test_what_is_no_feedback_is_refused(value, expected):
    assert faults(value) == expected


values = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.just({}), max_size=1) | st.just({"id": 1})


@given(st.dictionaries(st.sampled_from([*overridden(), "acceptedSuggestions"]), values))
def test_whatever_stands_there_it_is_read_or_refused(changed):
    faults({"feedback": [{**overridden(), **changed}]})
