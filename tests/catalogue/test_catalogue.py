"""What the catalogue holds: codes, limits and notes, against the lists that it must agree with."""

import re
from decimal import Decimal

import pytest

from service.catalogue.load import load
from service.catalogue.notes import Note
from service.domain.analytes import Analyte
from service.domain.people import NOT_PREGNANT
from service.domain.rules import Finding, Severity

CATALOGUE = load("blood-findings-1")
ANALYTES = CATALOGUE.rulebook.analytes

CODES = {
    "calcium": "17861-6 2000-8 35246-8 49765-1 1996-8 42593-4 42857-3",
    "calcium_corrected": "29265-6 46099-8 18281-6 34907-6 35258-3 47597-0",
    "calcium_ionized": "1995-0 12180-6 17863-2 17864-0 1994-3 47596-2 38230-9 34581-9 41645-3 41644-6 19072-8 57333-7",
    "albumin": "1751-7 54347-0 61151-7 61152-5 62235-7 62234-0 2862-1",
    "alkaline_phosphatase": "6768-6 1783-0",
    "hemoglobin": "718-7 20509-6 55782-7 59260-0 30313-1 30350-3 30352-9 93846-4",
    "platelets": "777-3 26515-7 778-1 49497-1 97995-5 74464-9",
}
# Look alike, and are something else: ratio, urine, spinal fluid, isoenzymes, HbA1c, free and cord hemoglobin, indices,
# plasma and cord platelets, volume and width, hematocrit, panels, an estimate of ionized calcium.
DECOYS = """
    13444-5 9318-7 76480-3 1747-5 1746-7 1779-8 1777-2 17838-4 24332-9 59789-8 4548-4 17856-6 25433-4 35183-3 5794-3
    726-0 54289-4 61180-6 40719-7 30354-5 30353-7 26516-5 13056-7 74775-8 47284-5 55802-3 28542-9 32623-1 32207-3
    51633-6 48386-7 96354-6 9317-9 4544-3 20570-8 789-8 26453-1 110885-1 58410-2 57021-8 24323-8 51990-0 13959-2
"""


@pytest.mark.parametrize("key", CODES)
def test_the_codes_of_an_analyte(key: str) -> None:
    for code in CODES[key].split():
        found = ANALYTES.coded(code)
        assert found is not None, code
        assert found.key == key, code


@pytest.mark.parametrize("code", DECOYS.split())
def test_a_decoy_is_no_analyte(code: str) -> None:
    assert ANALYTES.coded(code) is None


@pytest.mark.parametrize("analyte", ANALYTES.all, ids=lambda one: one.key)
def test_every_code_is_a_loinc_number_with_its_name(analyte: Analyte) -> None:
    for code, name in analyte.loinc.items():
        digits, check = code.split("-")
        assert int(check) == loinc_check_digit(digits), code
        assert " in " in name


def loinc_check_digit(digits: str) -> int:
    """The check digit of a LOINC number (mod 10, as the LOINC users' guide gives it)."""
    odd = str(2 * int(digits[::-1][::2][::-1]))
    even = digits[::-1][1::2][::-1]
    total = sum(int(one) for one in even + odd)
    return -total % 10


def test_names_are_found_whatever_their_case() -> None:
    for name, key in (
        ("HGB", "hemoglobin"),
        (" Plt ", "platelets"),
        ("alk phos", "alkaline_phosphatase"),
        ("iCa", "calcium_ionized"),
    ):
        found = ANALYTES.named(name)
        assert found is not None
        assert found.key == key


def test_a_misspelled_name_has_a_neighbor() -> None:
    assert ANALYTES.nearest("haemoglobine") == "hemoglobin"
    assert ANALYTES.nearest("sodium chloride infusion") is None


def test_corrected_calcium_is_held_to_the_limits_of_total_calcium() -> None:
    total, corrected = (
        {
            (interval.population.sexes, interval.population.start, interval.population.end, one["mg/dL"], one["mmol/L"])
            for interval in ANALYTES[key].intervals
            if interval.population.states >= NOT_PREGNANT
            for one in (interval.low, interval.high)
            if one is not None
        }
        for key in ("calcium", "calcium_corrected")
    )
    assert total == corrected


def test_albumin_of_adults() -> None:
    adults = next(one for one in ANALYTES["albumin"].intervals if one.population.label.startswith("adults"))

    assert adults.low is not None
    assert adults.high is not None
    assert (adults.low["g/L"], adults.high["g/L"]) == (Decimal(35), Decimal(50))


def test_an_unknown_key_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        ANALYTES["sodium"]
    with pytest.raises(KeyError):
        ANALYTES["calcium"].units["furlong"]


def test_the_precedence_of_the_calciums() -> None:
    ruleset = CATALOGUE.rulebook.rulesets["blood-findings-1"]

    assert ruleset.precedence[Finding.HYPERCALCEMIA] == ("calcium_ionized", "calcium_corrected", "calcium")


def test_every_finding_has_its_notes() -> None:
    ruleset = CATALOGUE.rulebook.rulesets["blood-findings-1"]
    for rule in ruleset.graded:
        for row in rule.rows:
            assert CATALOGUE.note(rule.finding, row.severity).finding is rule.finding
    assert CATALOGUE.note(Finding.PATTERN, Severity.INFO).sources


@pytest.mark.parametrize("note", CATALOGUE.notes.values(), ids=lambda note: f"{note.finding} {note.severity}")
def test_a_note_speaks_of_a_clinician_and_names_no_diagnosis(note: Note) -> None:
    text = note.text

    assert "clinician" in text
    assert not re.search(r"\byou have\b|\bdiagnosis is\b|\bhaemo|\banaemia\b", text, re.IGNORECASE)
    assert len({note.id for note in CATALOGUE.notes.values()}) == len(CATALOGUE.notes)


def test_the_words_that_go_with_every_answer() -> None:
    assert "not" in CATALOGUE.intended_use
    assert "Regenstrief" in CATALOGUE.loinc_notice
