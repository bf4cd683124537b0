"""What is said of a verdict: the value as sent, the limit and its origin, what would change it, what was assumed."""

import json
from typing import Any

import pytest

from service.domain.errors import Ambiguous, BadCatalogue, BadInput, Fault, LabAlertsError, NotFound, Unavailable
from service.domain.kinds import kind_of
from service.domain.verdicts import Reason, Verdict
from tests.domain.build import BOOK, NOON, held, judged, verdict_on, who


def verdict(words: str, *sent: str, **more: Any) -> Verdict:
    facts, at = who(words)
    analyte, value, unit = sent
    return verdict_on(held(analyte, value, unit, **at, **more), facts)


def explained(words: str, *sent: str, **more: Any) -> dict[str, Any]:
    found = verdict(words, *sent, **more)
    assert found.explanation is not None
    return dict(found.explanation)


WHY = {
    ("man 40 y", "calcium", "11.55", "mg/dL"): "11.55 mg/dL is above 11.5 mg/dL",
    ("man 40 y", "calcium", "2.70", "mmol/L"): (
        "2.70 mmol/L is above 2.6 mmol/L, the upper limit for adults 18 years and over"
    ),
    ("woman 40 y", "alkaline_phosphatase", "300", "U/L"): (
        "300 U/L is above 260 U/L (2.5 times the upper limit for women 19 years and over, 104 U/L)"
    ),
    ("woman 30 y", "hemoglobin", "9.9", "g/dL"): "9.9 g/dL is below 10 g/dL",
    ("woman 30 y", "hemoglobin", "7.4", "mmol/L"): (
        "7.4 mmol/L (11.92473 g/dL) is below 12 g/dL, the lower limit for women 15 years and over"
    ),
    ("woman 30 y", "platelets", "<5", "K/uL"): "<5 K/uL is below 25 K/uL",
    ("man 40 y", "calcium", "9.5", "mg/dL"): (
        "9.5 mg/dL is not above 10.4 mg/dL, the upper limit for adults 18 years and over"
    ),
    ("man 40 y", "calcium", "8", "mg/dL"): (
        "8 mg/dL is below 8.8 mg/dL, the lower limit for adults 18 years and over; "
        "blood-findings-1 judges only high values of calcium"
    ),
    ("person 40 y", "hemoglobin", "12.5", "g/dL"): (
        "12.5 g/dL lies between the lower limit for men 15 years and over (13 g/dL) "
        "and the lower limit for women 15 years and over (12 g/dL)"
    ),
    ("man 40 y", "platelets", "<200", "10*9/L"): (
        "<200 10*9/L may lie on either side of 150 10*9/L, the lower limit for adults 18 years and over"
    ),
    ("man 40 y", "calcium", "100", "mg/dL"): (
        "100 mg/dL is outside what calcium of a living patient can be (2 to 25 mg/dL)"
    ),
}


@pytest.mark.parametrize("sent", WHY, ids=" ".join)
def test_why(sent: tuple[str, str, str, str]) -> None:
    words, *rest = sent

    assert verdict(words, *rest).why == WHY[sent]


HINTS = {
    ("man 40 y", "platelets", "150", "10^3/mL"): "accepted units: 10*9/L, 10*3/uL",
    ("person 40 y", "hemoglobin", "12.5", "g/dL"): "send patient.sex, or the laboratory's reference_range",
    ("man", "calcium", "11", "mg/dL"): "send patient.birth_date, or",
    ("person", "calcium", "11", "mg/dL"): "send patient.sex and patient.birth_date, or",
    ("woman 30 y, pregnant", "hemoglobin", "10.7", "g/dL"): "send patient.trimester, or",
    ("woman 30 y, pregnant", "alkaline_phosphatase", "200", "U/L"): "send the laboratory's reference_range",
    ("man 40 y", "calcium", "100", "mg/dL"): "held for review: check the unit and the sample",
    ("man 40 y", "platelets", "<200", "10*9/L"): "send the value itself if it is known",
}


@pytest.mark.parametrize("sent", HINTS, ids=" ".join)
def test_what_would_help(sent: tuple[str, str, str, str]) -> None:
    words, *rest = sent

    assert (verdict(words, *rest).hint or "").startswith(HINTS[sent])


def test_a_flag_holds_everything_that_made_it() -> None:
    found = explained("man 40 y", "calcium", "2.95", "mmol/L", range_="8.5 to 10.2 mg/dL")

    assert found["value"] == {
        "comparator": None,
        "sent": "2.95",
        "unit": "mmol/L",
        "converted": "11.82301",
        "canonical_unit": "mg/dL",
        "factor": "4.0078",
    }
    assert (found["limit"]["value"], found["limit"]["origin"]) == ("10.2 mg/dL", "laboratory")
    assert found["threshold"] == {"value": "2.9 mmol/L", "multiple_of_limit": None}
    assert found["rule"]["row"] == 2
    assert found["rule"]["checksum"] == BOOK.rulesets["blood-findings-1"].checksum
    assert found["rule"]["sources"][0]["title"].startswith("NCI, Common Terminology Criteria")
    assert found["assumptions"] == []
    assert found["candidates"] == []


def test_a_limit_of_the_catalogue_names_its_people_and_its_source() -> None:
    limit = explained("woman 40 y", "alkaline_phosphatase", "300", "U/L")["limit"]

    assert (limit["origin"], limit["population"]) == ("catalogue", "women 19 years and over")
    assert limit["source"]["title"].startswith("Mayo Clinic Laboratories")


def test_what_would_change_the_answer() -> None:
    assert explained("man 40 y", "calcium", "12", "mg/dL")["would_change"] == [
        "above 12.5 mg/dL: severe (CTCAE v5.0 grade 3)",
        "11.5 mg/dL or below: mild (CTCAE v5.0 grade 1)",
        "10.4 mg/dL or below: no flag",
    ]
    assert explained("woman 30 y", "hemoglobin", "6", "g/dL")["would_change"] == [
        "7 g/dL or above: severe (CTCAE v5.0 grade 3)",
        "8 g/dL or above: moderate (CTCAE v5.0 grade 2)",
        "10 g/dL or above: mild (CTCAE v5.0 grade 1)",
        "12 g/dL or above: no flag",
    ]


def test_what_would_change_the_answer_for_a_newborn_leaves_out_what_cannot_be() -> None:
    """Her limit of 11.8 lies beyond the first cut-off, so that there is no mild value."""
    assert explained("girl 20 d", "calcium", "11.9", "mg/dL")["would_change"] == [
        "above 12.5 mg/dL: severe (CTCAE v5.0 grade 3)",
        "11.8 mg/dL or below: no flag",
    ]


@pytest.mark.parametrize(
    ("words", "assumed"),
    [
        ("man 40 y", []),
        ("woman 70 y", []),
        ("woman 30 y", ["pregnancy not stated: limits for people who are not pregnant were used"]),
        ("man", ["age not known: the value lies beyond the limit of everybody this may be"]),
    ],
)
def test_what_was_assumed(words: str, assumed: list[str]) -> None:
    assert explained(words, "calcium", "15", "mg/dL")["assumptions"] == assumed


def test_an_explanation_is_plain_data() -> None:
    found = explained("person", "hemoglobin", "5", "g/dL")

    assert json.loads(json.dumps(found)) == found


def test_a_name_that_is_nearly_known_is_suggested() -> None:
    unmapped = held(None, "9", "g/dL")
    named = held(
        None,
        "9",
        "g/dL",
        result=unmapped.result.__class__(
            pointer="/results/0",
            analyte="hemoglobine",
            text="9",
            number=None,
            unit="g/dL",
        ),
    )

    assert verdict_on(named).hint == "did you mean 'hemoglobin'?"
    assert verdict_on(unmapped).why == "no analyte has the code none"


# ------------------------------------------------------------------------------------------- albumin-corrected calcium
def context(calcium: tuple[str, str], *others: Any) -> Any:
    one = held("calcium", *calcium, age_years=40)
    shown = judged(one, *others).verdicts[one.key].context
    return shown and shown["albumin_corrected_calcium"]


def albumin(value: str, unit: str = "g/L", key: str = "alb") -> Any:
    return held("albumin", value, unit, key=key)


@pytest.mark.parametrize(
    ("calcium", "sent", "value"),
    [
        (("9.5", "mg/dL"), albumin("30"), "10.30 mg/dL"),  # 9.5 + 0.8 x (4.0 - 3.0)
        (("9.5", "mg/dL"), albumin("3.0", "g/dL"), "10.30 mg/dL"),
        (("95", "mg/L"), albumin("30"), "10.30 mg/dL"),
        (("2.40", "mmol/L"), albumin("30"), "2.60 mmol/L"),  # 2.40 + 0.02 x (40 - 30)
        (("4.80", "meq/L"), albumin("30"), "2.60 mmol/L"),
        (("10.6", "mg/dL"), albumin("50"), "9.80 mg/dL"),
    ],
)
def test_corrected_calcium_is_shown_by_the_conventional_formula(calcium: Any, sent: Any, value: str) -> None:
    shown = context(calcium, sent)

    assert f"{shown['value']} {shown['unit']}" == value
    assert "shown for information; no flag is raised or silenced by it" in shown["caveats"]


def test_a_low_albumin_makes_it_unreliable() -> None:
    assert not context(("9.5", "mg/dL"), albumin("25"))["caveats"][0].startswith("unreliable")
    assert context(("9.5", "mg/dL"), albumin("24.9"))["caveats"][0] == "unreliable at albumin below 25 g/L"


@pytest.mark.parametrize(
    "others",
    [
        [],
        [albumin("30", key="a"), albumin("31", key="b")],
        [albumin("<30")],
        [albumin("3")],
        [albumin("30"), held("calcium_corrected", "9.9", "mg/dL")],
        [albumin("30"), held("calcium_ionized", "1.2", "mmol/L")],
    ],
    ids=["no albumin", "two albumins", "comparator", "implausible albumin", "corrected already", "ionized is there"],
)
def test_it_is_not_shown_where_it_would_be_a_guess(others: list[Any]) -> None:
    assert context(("9.5", "mg/dL"), *others) is None


# --------------------------------------------------------------------------------------------------------------- errors
def test_what_can_be_mended_and_what_was_withdrawn() -> None:
    assert Reason.UNIT_UNKNOWN.mendable
    assert not Reason.BETWEEN_LIMITS.mendable
    assert [one for one in Reason if one.withdrawn] == [Reason.CANCELLED, Reason.ENTERED_IN_ERROR]


def test_the_text_of_an_error_holds_no_value() -> None:
    fault = Fault(
        pointer="/results/0/value", code="not-a-number", detail="4711 is no number", value="4711", hint="send 4711"
    )
    errors = [
        BadInput([fault]),
        NotFound("flag"),
        Ambiguous("patient", ["a", "b"]),
        Unavailable("the database is busy"),
        BadCatalogue("gap", file="f.toml", place="rule", row=2),
    ]

    assert all(isinstance(error, LabAlertsError) for error in errors)
    assert [str(error) for error in errors] == [
        "invalid-panel: not-a-number",
        "no such flag",
        "several patients have this name",
        "the database is busy",
        "f.toml: rule: row 2: gap",
    ]
    assert "4711" not in repr(fault)


def test_no_object_shows_a_value_or_a_person() -> None:
    facts, _ = who("woman 30 y")
    one = held("hemoglobin", "8.71", "g/dL", range_="11.93 to 15.97")

    shown = repr([facts, one, judged(one, facts=facts), kind_of(one, facts, on=NOON.date(), rulebook=BOOK)])

    for secret in ("8.71", "11.93", "15.97", "1996", "female"):
        assert secret not in shown
