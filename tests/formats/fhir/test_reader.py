"""What a door asks for beside Bundles: one resource, a patient, Observations that were looked up, and bytes."""

import pytest

from service.domain.errors import BadInput
from service.domain.panels import Patient
from service.formats.fhir.reader import parse, read_observations, read_patient
from tests.formats.fhir.build import BASE, NOW, bundle, faults, known, observation, patient, read_one, report, sent

HER = Patient(identifier="88204113", authority="urn:oid:1.2.3")


def looked_up(value):
    return read_observations(sent(value), HER, patient_id="p-1", now=NOW, base=BASE, known=known)


@pytest.mark.parametrize(
    ("body", "place", "code"),
    [
        (b"{", "", "json-invalid"),
        (b'{"entry": [{"id": "a", "id": "b"}]}', "entry[0].id", "key-repeated"),
        (b'{"name": [{"given": ["\\u0000"]}]}', "name[0].given[0]", "text-unusable"),
        (b'{"value": NaN}', "", "json-invalid"),
    ],
)
def test_bytes_that_are_no_json_are_refused_with_a_fhirpath(body, place, code):
    with pytest.raises(BadInput) as refused:
        parse(body)

    assert [(one.pointer, one.code) for one in refused.value.faults] == [(place, code)]


@pytest.mark.parametrize(
    ("value", "asked", "expected"),
    [
        ([], {}, [("", "structure")]),
        ({}, {}, [("resourceType", "required")]),
        ({"resourceType": 5}, {}, [("resourceType", "structure")]),
        ({"resourceType": "Claim"}, {}, [("resourceType", "type-unknown")]),
        (observation(), {"kind": "DiagnosticReport"}, [("Observation.resourceType", "value")]),
        (observation(), {"kind": "Observation", "id_": "other"}, [("Observation.id", "value")]),
        (observation(id=None), {"kind": "Observation", "id_": "other"}, [("Observation.id", "required")]),
    ],
)
def test_a_resource_that_is_not_what_the_url_says_is_refused(value, asked, expected):
    assert refused_places(value, asked) == expected


def refused_places(value, asked):
    with pytest.raises(BadInput) as refused:
        read_one(value, **asked)
    return [(one.pointer, one.code) for one in refused.value.faults]


def test_places_in_a_resource_that_came_alone_begin_with_its_type():
    found = read_one(observation(effectiveDateTime="2026-11-01", id="x"), kind="Observation", id_="x")

    assert found.reading.panels[0].results[0].pointer == "Observation"
    assert [one.place for one in found.reading.notices] == ["Observation.effectiveDateTime"]
    assert (found.kind, found.id, found.ignored) == ("Observation", "x", None)


def test_a_patient_alone_is_read():
    assert read_patient(sent(patient(gender=None, birthDate=None)), now=NOW, base=BASE) == HER


@pytest.mark.parametrize("value", [None, {}, observation(), patient(gender="f")])
def test_what_is_no_patient_is_refused(value):
    with pytest.raises(BadInput):
        read_patient(sent(value), now=NOW, base=BASE)


@pytest.mark.parametrize(
    "value",
    [
        bundle("searchset", observation()),
        [observation()],
        observation(),
        [report("#c", contained=[observation(id="c")])],
    ],
)
def test_observations_that_were_looked_up_are_given_to_the_patient(value):
    found = looked_up(value)

    assert [panel.patient for panel in found.reading.panels] == [HER]


@pytest.mark.parametrize(
    "subject", [{"reference": "Patient/other"}, {"identifier": {"value": "88204113"}}, {"reference": "Group/p-1"}, None]
)
def test_observations_of_somebody_else_are_never_taken(subject):
    found = looked_up([observation(subject=subject), observation(id="mine")])

    assert [len(one.faults) for one in found.entries] == [1, 0]
    assert len(found.reading.panels[0].results) == 1


def test_a_logical_reference_to_the_patient_is_followed():
    (panel,) = looked_up(
        [observation(subject={"identifier": {"system": "urn:oid:1.2.3", "value": "88204113"}})]
    ).reading.panels

    assert panel.patient == HER


def test_an_empty_answer_to_a_search_is_an_empty_reading():
    assert looked_up({"resourceType": "Bundle", "type": "searchset", "total": 0}).reading.panels == ()


@pytest.mark.parametrize("value", [None, 5, {"resourceType": "OperationOutcome"}])
def test_what_is_no_answer_to_a_search_is_refused(value):
    with pytest.raises(BadInput):
        looked_up(value)


def test_no_fault_repeats_what_was_sent():
    secret = "Zaphod-88204113"
    whole = observation(status=secret, subject={"reference": secret}, issued=secret, valueString=secret)

    with pytest.raises(BadInput) as refused:
        read_one(whole)

    assert len(faults(whole)) > 3
    assert not any(secret in f"{one.detail}{one.hint}{one.pointer}" for one in refused.value.faults)
