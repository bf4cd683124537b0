"""The native format: every fault of shape is named with its place, and nothing is converted by hope."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from service.domain.errors import BadInput
from service.domain.panels import Status
from service.formats import native
from tests.flows.build import NOW, calcium, encoded, panel


def read(sent):
    return native.read(sent if isinstance(sent, bytes) else encoded(sent), now=NOW)


def refusal(sent):
    with pytest.raises(BadInput) as refused:
        read(sent)
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


def changed(place, value):
    """A valid panel with another value at one place."""
    sent = panel(calcium("11.9", reference_range={"low": "8.6", "high": "10.3"}))
    *way, last = place.strip("/").split("/")
    holder = sent
    for step in way:
        holder = holder[int(step) if step.isdigit() else step]
    holder[last] = value
    return sent


# Stands for a JSON number of 5,000 digits, which Python itself would not write.
HUGE = "#huge#"

HOSTILE = [
    # (place, value, the code of the fault that is expected there)
    ("/patient", None, "null"),
    ("/patient", "88204113", "type"),
    ("/patient", [], "type"),
    ("/patient", {}, "/patient/id required"),
    ("/patient/id", 88204113, "type"),
    ("/patient/id", None, "null"),
    ("/patient/id", "", "empty"),
    ("/patient/id", " \t", "empty"),
    ("/patient/id", "x" * 1001, "too-long"),
    ("/patient/id", ["1"], "type"),
    ("/patient/authority", 1, "type"),
    ("/patient/sex", "f", "not-a-choice"),
    ("/patient/sex", "Female", "not-a-choice"),
    ("/patient/sex", True, "type"),
    ("/patient/birth_date", "14.03.1968", "date-invalid"),
    ("/patient/birth_date", "1968-02-30", "date-invalid"),
    ("/patient/birth_date", "1968-3-14", "date-invalid"),
    ("/patient/birth_date", "1849-12-31", "date-invalid"),
    ("/patient/birth_date", "1968-03-14T00:00:00Z", "date-invalid"),
    ("/patient/birth_date", 19680314, "date-invalid"),
    ("/patient/birth_date", "١٩٦٨-٠٣-١٤", "date-invalid"),
    ("/patient/pregnant", "yes", "type"),
    ("/patient/pregnant", 1, "type"),
    ("/patient/trimester", 0, "out-of-range"),
    ("/patient/trimester", 4, "out-of-range"),
    ("/patient/trimester", "2", "type"),
    ("/patient/trimester", 2.0, "type"),
    ("/patient/trimester", True, "type"),
    ("/patient/age_years", -1, "out-of-range"),
    ("/patient/age_years", 131, "out-of-range"),
    ("/patient/age_years", HUGE, "type"),
    ("/patient/nmae", "x", "unknown-field"),
    ("/collected_at", None, "null"),
    ("/collected_at", 1793606400, "type"),
    ("/collected_at", "2026-11-01", "time-invalid"),
    ("/collected_at", "2026-11-01T08:00:00", "time-without-offset"),
    ("/collected_at", "2026-11-01 08:00:00Z", "time-invalid"),
    ("/collected_at", "2026-11-01T08:00:60Z", "time-invalid"),
    ("/collected_at", "2026-11-31T08:00:00Z", "time-invalid"),
    ("/collected_at", "2026-11-01T08:00:00+24:00", "time-invalid"),
    ("/collected_at", "2026-11-01T08:00:00+1:00", "time-invalid"),
    ("/collected_at", "0001-01-01T00:00:00+14:00", "time-invalid"),
    ("/collected_at", "9999-12-31T23:59:59-14:00", "time-invalid"),
    ("/collected_at", "1849-12-31T23:59:59Z", "time-invalid"),
    ("/collected_at", "20261101T080000Z", "time-invalid"),
    ("/collected_at", (NOW + timedelta(hours=25)).isoformat(), "time-in-future"),
    ("/issued_at", (NOW + timedelta(days=400)).isoformat(), "time-in-future"),
    ("/issued_at", "tomorrow", "time-invalid"),
    ("/status", "done", "not-a-choice"),
    ("/status", "FINAL", "not-a-choice"),
    ("/accession", 2026, "type"),
    ("/accession", "", "empty"),
    ("/note", {}, "type"),
    ("/results", None, "null"),
    ("/results", [], "empty"),
    ("/results", {}, "type"),
    ("/results", "calcium", "type"),
    ("/results", [1], "/results/0 type"),
    ("/results", [None], "/results/0 null"),
    ("/results", [[]], "/results/0 type"),
    ("/results", [{}] * 201, "too-many"),
    ("/results/0/analyte", 5, "type"),
    ("/results/0/analyte", None, "required"),
    ("/results/0/analyte", "", "empty"),
    ("/results/0/code", 17861, "type"),
    ("/results/0/code", {"code": "17861-6"}, "type"),
    ("/results/0/code", {"system": "x", "code": None}, "null"),
    ("/results/0/code", {"system": "", "code": "1"}, "empty"),
    ("/results/0/code", {"system": "x", "code": "y", "display": "z"}, "type"),
    ("/results/0/code", [], "type"),
    ("/results/0/value", None, "null"),
    ("/results/0/value", True, "type"),
    ("/results/0/value", [11.9], "type"),
    ("/results/0/value", {"number": 11.9}, "type"),
    ("/results/0/value", "", "number-invalid"),
    ("/results/0/value", "NaN", "number-invalid"),
    ("/results/0/value", "Infinity", "number-invalid"),
    ("/results/0/value", "11,9", "number-invalid"),
    ("/results/0/value", "1_0", "number-invalid"),
    ("/results/0/value", "0x10", "number-invalid"),
    ("/results/0/value", "<5", "number-invalid"),
    ("/results/0/value", "11.9 mg/dL", "number-invalid"),
    ("/results/0/value", "١١", "number-invalid"),
    ("/results/0/value", "1e400", "number-out-of-range"),
    ("/results/0/value", "1e99999", "number-invalid"),
    ("/results/0/value", "9" * 31, "number-out-of-range"),
    ("/results/0/value", "9" * 5000, "number-invalid"),
    ("/results/0/value", HUGE, "number-invalid"),
    ("/results/0/comparator", "", "empty"),
    ("/results/0/comparator", 5, "type"),
    ("/results/0/unit", None, "null"),
    ("/results/0/unit", 1, "type"),
    ("/results/0/unit", " ", "empty"),
    ("/results/0/status", "corected", "not-a-choice"),
    ("/results/0/reference_range", "8.6-10.3", "type"),
    ("/results/0/reference_range", [], "type"),
    ("/results/0/reference_range/low", "", "number-invalid"),
    ("/results/0/reference_range/low", "11", "/results/0/reference_range/high range-inverted"),
    ("/results/0/reference_range/hihg", "11", "unknown-field"),
    ("/results/0/vallue", "1", "unknown-field"),
    ("/results/0/_schema", "1", "unknown-field"),
    ("/_schema", {}, "unknown-field"),
    ("/patients", {}, "unknown-field"),
]


@pytest.mark.parametrize(("place", "value", "expected"), HOSTILE, ids=lambda one: ascii(one)[:40])
def test_a_value_that_is_not_what_it_should_be_is_refused_at_its_place(place, value, expected):
    where, _, code = expected.rpartition(" ")

    sent = json.dumps(changed(place, value)).replace(f'"{HUGE}"', "9" * 5000)

    assert refusal(sent.encode()) == [(where or place, code)]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1E+31", "0." + "0" * 40 + "1"])
def test_a_json_number_that_is_too_large_or_too_small_is_refused(number):
    body = json.dumps(changed("/results/0/value", "#")).replace('"#"', number)

    assert refusal(body.encode()) in ([("/results/0/value", "number-out-of-range")],
                                      [("/results/0/value", "number-invalid")])  # fmt: skip


SUGGESTED = [
    ("/patinet", "did you mean 'patient'?"),
    ("/patient/birthdate", "did you mean 'birth_date'?"),
    ("/results/0/vallue", "did you mean 'value'?"),
    ("/results/0/reference_range/hgih", "did you mean 'high'?"),
    ("/results/0/reference_range/zzz", "known: low, high, unit"),
    ("/collectedAt", "did you mean 'collected_at'?"),
]


@pytest.mark.parametrize(("place", "hint"), SUGGESTED)
def test_an_unknown_field_is_named_with_the_nearest_known_one(place, hint):
    with pytest.raises(BadInput) as refused:
        read(changed(place, "x"))

    assert [(fault.pointer, fault.hint) for fault in refused.value.faults] == [(place, hint)]


def test_every_fault_is_named_at_once():
    sent = {
        "patient": {"sex": "f", "birth_date": "x", "pregnant": False, "trimester": 2},
        "collected_at": "2026-11-01T08:00:00",
        "issued_at": "2027-12-01T08:00:00Z",
        "results": [{"value": "x"}, 5, {"code": "1", "value": "1", "unit": "g/L", "extra": 1}],
        "extra": 1,
    }

    assert set(refusal(sent)) == {
        ("/patient/id", "required"),
        ("/patient/sex", "not-a-choice"),
        ("/patient/birth_date", "date-invalid"),
        ("/patient/trimester", "contradiction"),
        ("/collected_at", "time-without-offset"),
        ("/issued_at", "time-in-future"),
        ("/results/0/value", "number-invalid"),
        ("/results/0/unit", "required"),
        ("/results/0/analyte", "required"),
        ("/results/1", "type"),
        ("/results/2/extra", "unknown-field"),
        ("/extra", "unknown-field"),
    }


@pytest.mark.parametrize("sent", [None, True, 1, "x", [], [panel(calcium("9"))]])
def test_a_message_that_is_no_object_is_refused_as_a_whole(sent):
    assert refusal(sent) == [("", "type")]


def test_an_empty_object_says_everything_that_is_required():
    assert refusal({}) == [("/patient", "required"), ("/collected_at", "required"), ("/results", "required")]


def test_a_panel_of_unknown_fields_only_is_refused_at_once():
    sent = {**panel(calcium("9")), **{f"valu{number}": 1 for number in range(50_000)}}

    faults = refusal(sent)

    assert len(faults) == 1001
    assert faults[-1] == ("", "too-many-faults")


def test_what_stood_there_is_shown_back_shortened():
    with pytest.raises(BadInput) as refused:
        read(changed("/status", "x" * 500))

    (fault,) = refused.value.faults
    assert fault.value == "x" * 100 + "…"


def test_nothing_that_was_sent_is_in_the_text_of_the_refusal():
    with pytest.raises(BadInput) as refused:
        read(changed("/patient/birth_date", "Beeblebrox"))

    assert "Beeblebrox" not in str(refused.value)
    assert "Beeblebrox" not in repr(refused.value.faults)


@pytest.mark.parametrize("text", ["3.50", "0.0", "-0", "+1.5", ".5", "5.", "1e2", "1E-2", "011.9"])
def test_a_decimal_in_quotes_keeps_its_text(text):
    (found,) = read(panel(calcium(text))).results

    assert (found.text, found.number) == (text, Decimal(text))


@pytest.mark.parametrize("text", ["3.50", "0.0", "-0", "1e2", "1E-2", "11.900"])
def test_a_json_number_keeps_its_text(text):
    body = json.dumps(panel(calcium("#"))).replace('"#"', text)

    (found,) = read(body.encode()).results

    assert (found.text, found.number) == (text, Decimal(text))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01T08:00:00Z", datetime(2026, 11, 1, 8, tzinfo=UTC)),
        ("2026-11-01t08:00:00z", datetime(2026, 11, 1, 8, tzinfo=UTC)),
        ("2026-11-01T08:00Z", datetime(2026, 11, 1, 8, tzinfo=UTC)),
        ("2026-11-01T08:00:00.123456789Z", datetime(2026, 11, 1, 8, 0, 0, 123456, tzinfo=UTC)),
        ("2026-11-01T08:00:00+05:30", datetime(2026, 11, 1, 2, 30, tzinfo=UTC)),
        ("2026-11-01T08:00:00-00:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_in_utc(text, moment):
    found = read(panel(calcium("9"), collected_at=text)).collected_at

    assert (found, found.tzinfo) == (moment, UTC)


def test_a_clock_that_is_hours_ahead_is_forgiven():
    read(panel(calcium("9"), collected_at=(NOW + timedelta(hours=23)).isoformat()))


@pytest.mark.parametrize("name", ["authority", "sex", "birth_date", "name", "pregnant", "trimester", "age_years"])
def test_null_says_nothing_of_the_patient(name):
    assert read(changed(f"/patient/{name}", None)) == read(without(changed(f"/patient/{name}", None), name))


def without(sent, name):
    return {**sent, "patient": {key: value for key, value in sent["patient"].items() if key != name}}


def test_trimester_contradicts_not_pregnant_and_only_that():
    assert refusal(changed("/patient/trimester", 2) | {"patient": {"id": "1", "pregnant": False, "trimester": 2}}) == [
        ("/patient/trimester", "contradiction")
    ]
    assert read(changed("/patient/trimester", 2)).trimester == 2


@pytest.mark.parametrize(
    ("of_panel", "of_result", "expected"),
    [
        (None, None, Status.FINAL),
        ("preliminary", None, Status.PRELIMINARY),
        (None, "corrected", Status.CORRECTED),
        ("preliminary", "final", Status.PRELIMINARY),
        ("final", "entered-in-error", Status.ENTERED_IN_ERROR),
        ("cancelled", "final", Status.CANCELLED),
    ],
)
def test_the_stricter_status_of_panel_and_result_counts(of_panel, of_result, expected):
    (found,) = read(panel(calcium("9", status=of_result), status=of_panel)).results

    assert found.status is expected


@pytest.mark.parametrize("sent", [{}, {"low": None, "high": None}, {"unit": "mg/dL"}, None])
def test_a_range_without_limits_is_none(sent):
    (found,) = read(panel(calcium("9", reference_range=sent))).results

    assert found.range is None


def test_two_hundred_results_are_read():
    assert len(read(panel(*[calcium("9", id=str(number)) for number in range(200)])).results) == 200


def test_faults_of_meaning_are_left_to_the_judgement():
    (found,) = read(panel({"analyte": "nonsense", "value": "1", "unit": "", "comparator": "about"})).results

    assert (found.analyte, found.unit, found.comparator) == ("nonsense", "", "about")
