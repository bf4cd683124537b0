"""Values of every type, reference ranges and times: what is read, what stays text, and what is refused."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from service.domain.panels import SentRange
from service.formats.fhir.reader import parse, read_resource
from service.formats.fhir.written import number_in, range_in
from tests.formats.fhir.build import (
    BASE,
    NOW,
    bundle,
    concept,
    faults,
    known,
    notices,
    observation,
    only,
    panel_of,
    patient,
    quantity,
    read,
    results,
)

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def valued(**value):
    return observation(**{"valueQuantity": None, **value})


READ = [
    # The value, and what is read: text, number, upper, comparator, unit, and why it is absent.
    ({"valueQuantity": quantity(11.9)}, ("11.9", "11.9", None, "", "mg/dL", None)),
    ({"valueQuantity": quantity(5, comparator="<")}, ("5", "5", None, "<", "mg/dL", None)),
    ({"valueQuantity": {"value": 5, "unit": "grams"}}, ("5", "5", None, "", "grams", None)),
    ({"valueQuantity": {"value": 5, "code": "g"}}, ("5", "5", None, "", "g", None)),
    ({"valueQuantity": {"value": 5, "unit": "g", "code": "1", "system": "urn:mdc"}}, ("5", "5", None, "", "g", None)),
    ({"valueQuantity": {"value": 5}}, ("5", "5", None, "", "", None)),
    ({"valueQuantity": {"unit": "g"}}, ("", None, None, "", "g", "unknown")),
    (
        {"valueQuantity": {"_value": {"extension": [{"url": ABSENT, "valueCode": "masked"}]}}},
        ("", None, None, "", "", "masked"),
    ),
    ({"valueInteger": 5}, ("5", "5", None, "", "", None)),
    ({"valueString": "<5"}, ("5", "5", None, "<", "", None)),
    ({"valueString": " 5.2 "}, ("5.2", "5.2", None, "", "", None)),
    ({"valueString": "5,2"}, ("5,2", None, None, "", "", None)),
    ({"valueString": "unable to report"}, ("unable to report", None, None, "", "", None)),
    ({"valueRange": {"low": quantity(3), "high": quantity(4)}}, ("3-4", "3", "4", "", "mg/dL", None)),
    ({"valueRange": {"low": quantity(3)}}, ("3", "3", None, ">=", "mg/dL", None)),
    ({"valueRange": {"high": quantity(4)}}, ("4", "4", None, "<=", "mg/dL", None)),
    ({"valueRange": {"low": quantity(3), "high": quantity(4, "g/L")}}, ("3-4", None, None, "", "", None)),
    ({"valueCodeableConcept": {"text": "positive"}}, ("positive", None, None, "", "", None)),
    ({"valueCodeableConcept": concept("10828004", "http://snomed.info/sct")}, ("10828004", None, None, "", "", None)),
    ({"valueBoolean": False}, ("false", None, None, "", "", None)),
    ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}}, ("1:128", None, None, "", "", None)),
    ({"valueSampledData": {"data": "1 2"}}, ("sampled data", None, None, "", "", None)),
    ({"valueTime": "08:00:00"}, ("08:00:00", None, None, "", "", None)),
    ({"valueDateTime": "2026-11"}, ("2026-11", None, None, "", "", None)),
    ({"valuePeriod": {"start": "2026", "end": "2027"}}, ("2026/2027", None, None, "", "", None)),
    ({"dataAbsentReason": concept("error")}, ("", None, None, "", "", "error")),
    ({"dataAbsentReason": {"text": "clotted"}}, ("", None, None, "", "", "clotted")),
    ({"_valueString": {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}}, ("", None, None, "", "", "unknown")),
    ({}, ("", None, None, "", "", "unknown")),
]


@pytest.mark.parametrize(("value", "expected"), READ)
def test_every_type_of_value_is_read(value, expected):
    found = only(valued(**value))

    number, upper = (None if one is None else str(one) for one in (found.number, found.upper))
    assert (found.text, number, upper, found.comparator, found.unit, found.absent) == expected


@pytest.mark.parametrize("text", ["3.50", "1e2", "0.0", "-1", "179.23347621031567"])
def test_a_number_keeps_its_digits(text):
    body = f'{{"valueQuantity": {{"value": {text}}}}}'.encode()
    found = results_of(valued() | parse(body))

    assert found.text == text
    assert found.number == Decimal(text)


def results_of(value):
    (panel,) = read_resource(value, now=NOW, base=BASE, known=known).reading.panels
    return panel.results[0]


REFUSED = [
    ({"valueQuantity": quantity("11.9")}, "valueQuantity.value", "structure"),
    ({"valueQuantity": quantity(5, comparator="ad")}, "valueQuantity.comparator", "code-invalid"),
    ({"valueQuantity": "5"}, "valueQuantity", "structure"),
    ({"valueQuantity": quantity(1e245)}, "valueQuantity.value", "number-out-of-range"),
    ({"valueQuantity": quantity(5), "valueString": "5"}, "", "structure"),
    ({"valueQuantity": quantity(5), "dataAbsentReason": concept("error")}, "", "invariant"),
    ({"valueAttachment": {}}, "valueAttachment", "structure"),
    ({"valueInteger": 5.5}, "valueInteger", "value"),
    ({"valueInteger": "5"}, "valueInteger", "structure"),
    ({"valueString": 5}, "valueString", "structure"),
    ({"valueString": " "}, "valueString", "value"),
    ({"valueBoolean": "true"}, "valueBoolean", "structure"),
    ({"valueRange": {"low": quantity(5), "high": quantity(4)}}, "valueRange", "invariant"),
]


@pytest.mark.parametrize(("value", "place", "code"), REFUSED)
def test_a_value_that_cannot_be_is_refused_with_its_place(value, place, code):
    assert faults(valued(**value)) == [(f"Observation.{place}".rstrip("."), code)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5.2", ("", "5.2")), ("< 5", ("<", "5")), ("≥5", (">=", "5")), ("-1", ("", "-1")), (".5", ("", ".5"))],
)
def test_a_number_in_a_text_is_read(text, expected):
    found = number_in(text)

    assert found[:2] == expected


@pytest.mark.parametrize("text", ["5,2", "5 mg/dL", "<>5", "5-6", "1:128", "++", "٥", "1 000", ""])
def test_a_text_that_is_no_number_stays_text(text):
    assert number_in(text) is None


RANGES = [
    ("8.6-10.3", ("8.6", "10.3", None)),
    ("8.6 – 10.3 mg/dL", ("8.6", "10.3", "mg/dL")),
    ("8.6 to 10.3", ("8.6", "10.3", None)),
    ("-2 - 3", ("-2", "3", None)),
    ("<5", (None, "5", None)),
    ("<= 5 U/L", (None, "5", "U/L")),
    (">5", ("5", None, None)),
    ("≥ 40", ("40", None, None)),
    ("150-400 10*9/L", ("150", "400", "10*9/L")),
]


@pytest.mark.parametrize(("text", "expected"), RANGES)
def test_a_range_in_a_text_is_read(text, expected):
    low, high, unit = range_in(text)

    assert (low and str(low), high and str(high), unit) == expected


@pytest.mark.parametrize(
    "text", ["NEGATIVE", "10.3-8.6", "8,6-10,3", "8.6-10.3-12", "5", "up to 5", "1-2 3", "<5 or >9"]
)
def test_a_text_that_may_mean_several_ranges_is_not_read(text):
    assert range_in(text) is None


def ranged(*ranges, **of_patient):
    """The reference range that is found for somebody who comes with a Bundle."""
    (found,) = results(read(bundle("collection", patient(**of_patient), observation(referenceRange=list(ranges)))))
    return found.range


ONE = {"low": quantity(8.6), "high": quantity(10.3)}
OTHER = {"low": quantity(8), "high": quantity(9)}
THE_ONE = SentRange(low=Decimal("8.6"), high=Decimal("10.3"))
GENDER = "http://hl7.org/fhir/administrative-gender"
MEANING = "http://terminology.hl7.org/CodeSystem/referencerange-meaning"


def years(low=None, high=None):
    sides = {"low": low, "high": high}
    return {"age": {side: quantity(number, "a") for side, number in sides.items() if number is not None}}


CHOSEN = [
    [ONE],
    [{"text": "8.6-10.3"}],
    [{**ONE, "text": "words beside numbers"}],
    [ONE, {**OTHER, "type": concept("critical", MEANING)}],
    [{**ONE, "type": concept("normal", MEANING)}, {**OTHER, "type": concept("luteal", MEANING)}],
    [{**ONE, "appliesTo": [concept("female", GENDER)]}, {**OTHER, "appliesTo": [concept("male", GENDER)]}],
    [
        {**ONE, "appliesTo": [{"text": "Female"}]},
        {**OTHER, "appliesTo": [concept("248153007", "http://snomed.info/sct")]},
    ],
    [{**ONE, **years(18, 120)}, {**OTHER, **years(high=17)}],
    [{**ONE, **years(low=58)}, {**OTHER, **years(high=57)}],
    [{**ONE, **years(high=58)}, {**OTHER, **years(low=59)}],
    [ONE, ONE],
    [ONE, {"text": "8.6 - 10.3"}],
]


@pytest.mark.parametrize("ranges", CHOSEN)
def test_the_range_that_is_for_the_patient_is_chosen(ranges):
    # She is 58 at the collection.
    assert ranged(*ranges) == THE_ONE


UNCLEAR = [
    [ONE, OTHER],
    [{"text": "NEGATIVE"}],
    [{**ONE, "appliesTo": [{"text": "Apache"}]}],
    [{**ONE, "type": concept("luteal", MEANING)}],
    [{**ONE, "age": {"low": quantity(0.5, "a")}}],
    [{**ONE, "age": {"low": quantity(5, "h")}}],
    [{**ONE, **years(18, 58)}, {**OTHER, **years(58)}],
    [{"low": quantity(8.6), "high": quantity(1, "g/L")}],
    [{"low": quantity(9), "high": quantity(8)}],
    [{"high": quantity(9, comparator="<")}],
]


@pytest.mark.parametrize("ranges", UNCLEAR)
def test_a_range_of_which_it_cannot_be_told_is_unclear(ranges):
    found = ranged(*ranges)

    assert found.unclear
    assert (found.low, found.high) == (None, None)


def test_a_range_for_one_sex_is_unclear_where_the_sex_is_not_known():
    assert ranged({**ONE, "appliesTo": [concept("female", GENDER)]}, gender=None).unclear


def test_a_range_for_others_is_not_used_and_that_is_told():
    sent = bundle(
        "collection", patient(), observation(referenceRange=[{**ONE, "appliesTo": [concept("male", GENDER)]}])
    )

    assert results(read(sent))[0].range is None
    assert notices(sent) == ["range-not-for-patient"]


def test_only_critical_limits_are_no_reference_range():
    assert ranged({**ONE, "type": concept("critical", MEANING)}) is None


def test_a_range_in_another_unit_says_so():
    assert ranged({"high": quantity(2.6, "mmol/L")}) == SentRange(high=Decimal("2.6"), unit="mmol/L")


TIMES = [
    ({"effectiveDateTime": "2026-11-01T08:00:00+01:00"}, datetime(2026, 11, 1, 7, tzinfo=UTC), []),
    ({"effectiveDateTime": "2026-11-01T08:00:00.1234567Z"}, datetime(2026, 11, 1, 8, 0, 0, 123456, UTC), []),
    ({"effectiveDateTime": "2026-11-01"}, datetime(2026, 11, 1, tzinfo=UTC), ["time-partial"]),
    ({"effectiveDateTime": "2026-11"}, datetime(2026, 11, 1, tzinfo=UTC), ["time-partial"]),
    ({"effectiveDateTime": "2026"}, datetime(2026, 1, 1, tzinfo=UTC), ["time-partial"]),
    ({"effectiveInstant": "2026-11-01T08:00:00Z"}, datetime(2026, 11, 1, 8, tzinfo=UTC), []),
    (
        {"effectivePeriod": {"start": "2026-11-01T08:00:00Z", "end": "2026-11-02"}},
        datetime(2026, 11, 1, 8, tzinfo=UTC),
        [],
    ),
    (
        {"effectivePeriod": {"end": "2026-11-02T08:00:00Z"}},
        datetime(2026, 11, 2, 8, tzinfo=UTC),
        ["time-from-end"],
    ),
    (
        {"effectiveTiming": {"event": ["2026-11-02T08:00:00Z", "2026-11-01T08:00:00Z"]}},
        datetime(2026, 11, 1, 8, tzinfo=UTC),
        [],
    ),
    (
        {"effectiveTiming": {"repeat": {"boundsPeriod": {"start": "2026-11-01T08:00:00Z"}}}},
        datetime(2026, 11, 1, 8, tzinfo=UTC),
        [],
    ),
    (
        {"effectiveTiming": {"code": {"text": "BID"}}},
        datetime(2026, 11, 1, 9, tzinfo=UTC),
        ["time-unused", "time-from-issued"],
    ),
    ({}, datetime(2026, 11, 1, 9, tzinfo=UTC), ["time-from-issued"]),
]


@pytest.mark.parametrize(("times", "expected", "told"), TIMES)
def test_the_time_of_collection_is_found(times, expected, told):
    sent = observation(effectiveDateTime=None) | times

    assert panel_of(sent).collected_at == expected
    assert notices(sent) == told


NO_TIMES = [
    ("2026-11-01T08:00:00", "time-without-offset"),
    ("2026-02-30", "time-invalid"),
    ("2026-13", "time-invalid"),
    ("yesterday", "time-invalid"),
    ("1849-12-31", "time-invalid"),
    ("2026-12-24", "time-in-future"),
    ("0001-01-01T00:00:00+14:00", "time-invalid"),
    (2026, "structure"),
]


@pytest.mark.parametrize(("time", "code"), NO_TIMES)
def test_a_time_that_cannot_be_is_refused(time, code):
    assert faults(observation(effectiveDateTime=time)) == [("Observation.effectiveDateTime", code)]


def test_without_any_time_an_observation_is_refused():
    assert faults(observation(effectiveDateTime=None, issued=None)) == [("Observation.effective", "required")]


def test_the_time_of_the_specimen_comes_before_that_of_the_issue():
    tube = {"resourceType": "Specimen", "id": "s", "collection": {"collectedDateTime": "2026-10-31T08:00:00Z"}}
    sent = observation(effectiveDateTime=None, specimen={"reference": "#s"}, contained=[tube])

    assert panel_of(sent).collected_at == datetime(2026, 10, 31, 8, tzinfo=UTC)
    assert notices(sent) == ["time-from-specimen"]


def test_without_issued_the_last_update_tells_versions_apart():
    sent = observation(issued=None, meta={"versionId": "3", "lastUpdated": "2026-11-01T11:00:00Z"})

    assert panel_of(sent).issued_at == datetime(2026, 11, 1, 11, tzinfo=UTC)


def test_where_the_sex_is_not_known_a_range_for_everybody_does_not_decide_over_one_for_a_sex():
    for_women = {**OTHER, "appliesTo": [concept("female", GENDER)]}

    assert ranged(ONE, for_women, gender=None).unclear
    assert ranged(ONE, {**OTHER, **years(high=17)}, birthDate=None).unclear
