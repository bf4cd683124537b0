"""What only some formats say of a result: a range instead of a value, no value at all, a range that is unclear."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.identity import fingerprint
from service.domain.panels import Code, Panel, Patient, SentRange, Status
from service.domain.quantities import Measured
from service.domain.verdicts import Outcome, Reason
from tests.domain.build import NOON, held, judged, result, verdict_on, who

WOMAN, _ = who("woman 50 y")
PANEL = Panel(patient=Patient(identifier="p"), collected_at=NOON, results=())


def between(analyte, low, high, unit):
    sent = replace(result(low, unit), text=f"{low}-{high}", upper=Decimal(high))
    return held(analyte, low, unit, result=sent)


# Platelets: below 150 thrombocytopenia; mild to 75, moderate to 50, severe to 25, then critical (CTCAE v5.0).
@pytest.mark.parametrize(
    ("low", "high", "outcome", "severity"),
    [
        ("10", "20", "flagged", "critical"),
        ("30", "40", "flagged", "severe"),
        ("10", "40", "flagged", "severe"),  # at least that
        ("80", "149", "flagged", "mild"),
        ("140", "160", "not_judged", None),
        ("150", "160", "clear", None),
        ("160", "400", "clear", None),
    ],
)
def test_what_lies_between_two_numbers_is_judged_where_all_of_it_ends_alike(low, high, outcome, severity):
    found = verdict_on(between("platelets", low, high, "10*9/L"), WOMAN)

    assert (found.outcome, found.severity) == (outcome, severity)
    assert found.at_least == ((low, high) == ("10", "40"))


def test_both_ends_of_a_range_are_explained_as_sent_and_converted():
    found = verdict_on(between("platelets", "10000", "20000", "/uL"), WOMAN)

    assert found.why.startswith("10000-20000 /uL")
    assert found.explanation["value"]["converted"] == "10 to 20"


NUMBERS = st.decimals(0, 50, places=1)


@given(low=NUMBERS, high=NUMBERS, limit=NUMBERS, within=st.decimals(0, 1, places=2))
def test_a_range_answers_only_what_is_so_for_every_number_in_it(low, high, limit, within):
    low, high = sorted((low, high))
    measured = Measured(number=low, upper=high)
    one = Measured(number=low + (high - low) * within)

    assert measured.above(limit) in (one.above(limit), None)
    assert measured.below(limit) in (one.below(limit), None)


@given(low=NUMBERS, high=NUMBERS, limit=NUMBERS)
def test_a_range_leaves_open_only_what_its_ends_disagree_on(low, high, limit):
    low, high = sorted((low, high))
    ends = (Measured(number=low), Measured(number=high))

    assert (Measured(number=low, upper=high).above(limit) is None) == (len({one.above(limit) for one in ends}) == 2)


def test_an_absent_value_is_not_judged_and_says_why():
    sent = replace(result("1", ""), text="", number=None, absent="not-performed")

    found = verdict_on(held("calcium", "1", "", result=sent))

    assert (found.outcome, found.reason) == (Outcome.NOT_JUDGED, Reason.VALUE_ABSENT)
    assert found.why == "there is no value of calcium: not-performed"


def test_an_absent_value_is_not_taken_for_one_like_it_that_was_there():
    one = held("calcium", "9.5", "mg/dL")
    other = replace(one, key="b", result=replace(one.result, absent="unknown"))

    found = judged(one, other, facts=WOMAN).verdicts

    assert [found[key].outcome for key in (one.key, "b")] == ["clear", "not_judged"]


def test_an_unclear_range_keeps_a_result_from_being_judged_by_another_one():
    unclear = replace(result("9.5", "mg/dL"), range=SentRange(unclear="three ranges fit this patient"))

    found = verdict_on(held("calcium", "9.5", "mg/dL", result=unclear), WOMAN)

    assert (found.reason, found.why) == (Reason.RANGE_UNUSABLE, "three ranges fit this patient")


def test_every_code_that_was_tried_is_said():
    codes = (Code(code="X", system="urn:local"), Code(code="8302-2"))
    sent = replace(result("1", "g"), code=codes[0], other_codes=codes[1:])

    found = verdict_on(held(None, "1", "g", result=sent))

    assert found.why == "no analyte has the code X of urn:local, 8302-2 of http://loinc.org"


@pytest.mark.parametrize(
    "change",
    [
        {"other_codes": (Code(code="1", system="urn:x"),)},
        {"upper": Decimal("9.9")},
        {"absent": "unknown"},
        {"interpretation": ("H",)},
        {"promotes": True},
        {"range": SentRange(unclear="several")},
        {"status": Status.CORRECTED},
    ],
)
def test_whatever_is_said_otherwise_is_another_content(change):
    sent = result("9.5", "mg/dL")

    assert fingerprint(PANEL, replace(sent, **change)) != fingerprint(PANEL, sent)
