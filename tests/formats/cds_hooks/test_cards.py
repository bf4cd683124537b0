"""Cards as written: short enough, urgent enough, and nothing of them left to chance."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.rules import Finding, Severity
from service.formats.cds_hooks import cards
from service.formats.cds_hooks.advice import Found, Unjudged
from tests.formats.fhir.build import NOW

VALUE = {"comparator": None, "sent": "11.4", "unit": "mg/dL"}
FOUND = Found(
    finding=Finding.HYPERCALCEMIA,
    severity=Severity.MILD,
    peak=Severity.MILD,
    analyte="calcium",
    ruleset="blood-findings-1",
    why="11.4 mg/dL is above 10.3 mg/dL",
    explanation={"value": VALUE, "limit": {"value": "10.3 mg/dL"}, "rule": {"rule": "hypercalcemia-total"}},
    collected_at=NOW,
    opened_at=NOW,
)


def found(**value):
    return replace(FOUND, explanation={**FOUND.explanation, "value": {**VALUE, **value}})


def written(one):
    return cards.of_finding(one, uuid="u", address="https://alerts.example", intended_use="Not a diagnosis.")


def listing(*unjudged):
    return cards.of_unjudged(unjudged, uuid="u", address="https://alerts.example", intended_use="Not a diagnosis.")


@pytest.mark.parametrize(
    ("severity", "indicator"),
    [("info", "info"), ("mild", "warning"), ("moderate", "warning"), ("severe", "warning"), ("critical", "critical")],
)
def test_only_what_laboratories_report_at_once_interrupts(severity, indicator):
    assert cards.indicator(replace(FOUND, severity=Severity(severity))) == indicator
    assert cards.indicator(replace(FOUND, severity=Severity(severity), cleared_at=NOW)) == "info"


def test_the_unit_of_the_limit_is_said_where_it_is_another_one():
    other = replace(FOUND, explanation={**FOUND.explanation, "limit": {"value": "2.60 mmol/L"}})

    assert cards.summary(other) == "Possible hypercalcemia: calcium 11.4 mg/dL (limit 2.60 mmol/L), 20 Nov 2026"


def test_a_summary_that_would_be_too_long_leaves_out_the_limit_and_keeps_the_day():
    told = cards.summary(found(unit="mg/dL of something " * 9))

    assert len(told) == cards.MAX_SUMMARY
    assert told.startswith("Possible hypercalcemia: calcium 11.4 mg/dL")
    assert "…" in told
    assert told.endswith(", 20 Nov 2026")


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_summary_is_one_short_line_whatever_was_sent(sent, unit):
    told = cards.summary(found(sent=sent, unit=unit))

    assert len(told) < 140
    assert len(told.splitlines()) == 1
    assert told.endswith(", 20 Nov 2026")


@given(st.lists(st.builds(Unjudged, about=st.text(min_size=1, max_size=80), why=st.text(max_size=80)), min_size=1))
def test_what_could_not_be_judged_is_listed_line_by_line(unjudged):
    card = listing(*unjudged)

    assert len(card["summary"]) < 140
    lines = [line for line in card["detail"].splitlines() if line.startswith("- ")]
    assert len(lines) == min(len(unjudged), cards.MAX_LINES + 1)


def test_a_long_list_says_how_much_is_left_out():
    card = listing(*(Unjudged(about=f"thing {number}", why="odd") for number in range(25)))

    assert "- thing 19: odd\n- and 5 more\n" in card["detail"]


def test_what_was_assumed_and_both_scales_are_said():
    told = replace(
        FOUND, grade="CTCAE v5.0 grade 1", classification="WHO 2024 mild",
        explanation={**FOUND.explanation, "assumptions": ["of any age", "not pregnant"]},
    )  # fmt: skip

    detail = written(told)["detail"]

    assert "**Severity:** mild (CTCAE v5.0 grade 1; WHO 2024 mild)." in detail
    assert "**Assumed:** of any age; not pregnant." in detail


def test_no_value_is_in_the_picture_of_what_there_is_to_say():
    assert "11.4" not in repr(FOUND)
