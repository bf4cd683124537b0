"""Observations: codes, identity, patient, components, and what takes others back."""

from datetime import UTC, date, datetime

import pytest

from service.domain.panels import Code, Patient, Status
from service.domain.people import Sex
from tests.formats.fhir.build import (
    BASE,
    CATEGORY,
    bundle,
    concept,
    entry,
    faults,
    notices,
    observation,
    only,
    panel_of,
    patient,
    quantity,
    read,
    read_one,
    results,
)

REPLACES = "http://hl7.org/fhir/StructureDefinition/observation-replaces"
IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"


def test_every_coding_is_kept_with_loinc_first():
    codings = [{"system": "urn:local", "code": "CA"}, {"system": "http://loinc.org", "code": "17861-6"}]
    found = only(observation(code={"coding": codings, "text": "Albumin"}))

    assert found.code == Code(code="17861-6")
    assert found.other_codes == (Code(code="CA", system="urn:local"),)
    assert found.analyte is None


def test_words_alone_are_a_code_of_no_system():
    assert only(observation(code={"text": "Calcium"})).code == Code(code="Calcium", system="")


@pytest.mark.parametrize("code", [None, {}, {"coding": []}, {"coding": [{"system": "http://loinc.org"}]}])
def test_without_a_code_an_observation_is_refused(code):
    assert faults(observation(code=code)) == [("Observation.code", "required")]


@pytest.mark.parametrize("status", [one for one in Status if one is not Status.APPENDED])
def test_every_status_of_an_observation_is_read(status):
    assert only(observation(status=status.value)).status is status


@pytest.mark.parametrize(
    ("status", "code"), [("appended", "code-invalid"), ("Final", "code-invalid"), (1, "structure"), (None, "required")]
)
def test_any_other_status_is_refused(status, code):
    assert faults(observation(status=status)) == [("Observation.status", code)]


def test_siblings_of_primitives_are_put_up_with():
    extended = observation(_status={"id": "x"}, _issued={"extension": []}, _id=5)

    assert only(extended) == only(observation())


def test_interpretations_are_kept_as_codes():
    opinions = [concept("H", "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"), {"text": "odd"}]

    assert only(observation(interpretation=opinions)).interpretation == ("H", "odd")


def test_notes_stand_on_lines():
    assert only(observation(note=[{"text": "hemolyzed"}, {"text": "repeated"}])).note == "hemolyzed\nrepeated"


def test_a_long_note_is_shortened_and_that_is_told():
    sent = observation(note=[{"text": "x" * 5_000}])

    assert len(only(sent).note) == 1_000
    assert notices(sent) == ["note-shortened"]


NAMED = [
    ({}, f"{BASE}/Observation/ca-1"),
    ({"identifier": [{"system": "urn:lab", "value": "77"}]}, "urn:lab|77"),
    ({"identifier": [{"value": "77"}]}, "|77"),
    ({"identifier": [{"system": "a", "value": "1", "use": "old"}, {"system": "b", "value": "2"}]}, "b|2"),
    ({"identifier": [{"system": "a", "value": "1"}, {"system": "b", "value": "2", "use": "official"}]}, "b|2"),
    (
        {"identifier": [{"system": "a", "value": "1", "type": concept("PLAC", IDENTIFIER_TYPE)}]},
        f"{BASE}/Observation/ca-1",
    ),
    ({"id": None}, None),
]


@pytest.mark.parametrize(("how", "name"), NAMED)
def test_the_identity_is_the_business_identifier_or_else_the_id(how, name):
    assert only(observation(**how)).sender_id == name


def test_an_id_belongs_to_where_the_resource_stands():
    sent = bundle("collection", entry(observation(), url="http://other/r4/Observation/ca-1", method=None))

    assert results(read(sent))[0].sender_id == "http://other/r4/Observation/ca-1"


def test_an_accession_comes_from_the_specimen():
    tube = {"resourceType": "Specimen", "id": "s", "accessionIdentifier": {"value": "A-1"}}

    assert panel_of(observation(specimen={"reference": "#s"}, contained=[tube])).accession == "A-1"


def test_each_component_is_an_analyte_of_its_own():
    parts = [
        {"code": concept("718-7"), "valueQuantity": quantity(97, "g/L")},
        {"code": concept("777-3"), "dataAbsentReason": concept("error")},
        {"code": concept("718-7"), "valueQuantity": quantity(98, "g/L")},
    ]
    found = results(read_one(observation(code=concept("58410-2"), valueQuantity=None, component=parts)))

    assert [one.pointer for one in found] == [f"Observation.component[{place}]" for place in range(3)]
    assert [one.sender_id.partition("#")[2] for one in found] == [
        "component-718-7",
        "component-777-3",
        "component-718-7-2",
    ]
    assert [(one.text, one.absent) for one in found] == [("97", None), ("", "error"), ("98", None)]


def test_a_value_beside_components_is_a_result_too():
    part = {"code": concept("718-7"), "valueQuantity": quantity(97, "g/L")}

    assert len(results(read_one(observation(component=[part])))) == 2


def test_a_component_with_the_code_of_the_whole_excludes_its_value():
    part = {"code": concept("17861-6"), "valueQuantity": quantity(5)}

    assert faults(observation(component=[part])) == [("Observation", "invariant")]


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"implicitRules": "urn:x"}, "implicitRules"),
        ({"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}, "modifierExtension"),
        ({"modifierExtension": "x"}, "modifierExtension"),
    ],
)
def test_what_changes_the_meaning_and_is_not_understood_is_refused(more, place):
    assert faults(observation(**more)) == [(f"Observation.{place}", "not-supported")]


def test_a_component_that_is_not_understood_refuses_the_whole():
    part = {"code": concept("718-7"), "valueInteger": 1, "modifierExtension": [{"url": "urn:x"}]}

    assert faults(observation(component=[part])) == [("Observation.component[0].modifierExtension", "not-supported")]


WHO = [
    ({"reference": "Patient/7"}, Patient(identifier="7", authority=BASE)),
    ({"reference": "Patient/7/_history/2"}, Patient(identifier="7", authority=BASE)),
    ({"reference": "http://ehr/r4/Patient/7"}, Patient(identifier="7", authority="http://ehr/r4")),
    ({"identifier": {"system": "urn:mrn", "value": "7"}}, Patient(identifier="7", authority="urn:mrn")),
    ({"identifier": {"value": "7"}, "type": "Patient"}, Patient(identifier="7")),
    ({"reference": "Patient?identifier=urn:mrn|7"}, Patient(identifier="7", authority="urn:mrn")),
    (
        {"reference": "Patient/7", "identifier": {"system": "urn:mrn", "value": "8"}},
        Patient(identifier="8", authority="urn:mrn"),
    ),
]


@pytest.mark.parametrize(("subject", "who"), WHO)
def test_the_subject_is_found_however_it_is_named(subject, who):
    assert panel_of(observation(subject=subject)).patient == who


NOBODY = [
    (None, "subject", "required"),
    ({}, "subject", "required"),
    ({"display": "an oyster farm"}, "subject", "required"),
    ({"reference": "Group/7"}, "subject", "subject-not-patient"),
    ({"reference": "Location/7"}, "subject", "subject-not-patient"),
    ({"reference": "Patient/7", "type": "Device"}, "subject", "subject-not-patient"),
    ({"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}, "subject", "reference-unresolved"),
    ({"reference": "#p"}, "subject", "reference-unresolved"),
    ({"reference": 7}, "subject.reference", "structure"),
    ("Patient/7", "subject", "structure"),
]


@pytest.mark.parametrize(("subject", "place", "code"), NOBODY)
def test_what_is_no_patient_is_refused(subject, place, code):
    assert (f"Observation.{place}", code) in faults(observation(subject=subject))


def test_a_contained_patient_gives_sex_and_birth_date():
    sent = observation(subject={"reference": "#p-1"}, contained=[patient()])

    assert panel_of(sent).patient == Patient(
        identifier="88204113", authority="urn:oid:1.2.3", sex=Sex.FEMALE, born=date(1968, 3, 14)
    )


PEOPLE = [
    ({"identifier": None}, ("p-1", BASE)),
    (
        {
            "identifier": [
                {"system": "urn:ssn", "value": "1"},
                {"system": "urn:mrn", "value": "2", "type": concept("MR", IDENTIFIER_TYPE)},
            ]
        },
        ("2", "urn:mrn"),
    ),
    ({"identifier": [{"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "2"}]}, ("1", "urn:a")),
    ({"identifier": [{"value": "1"}]}, ("1", None)),
]


@pytest.mark.parametrize(("how", "who"), PEOPLE)
def test_a_patient_is_known_by_the_record_number_else_the_first_identifier(how, who):
    (panel,) = read(bundle("collection", patient(**how), observation())).reading.panels

    assert (panel.patient.identifier, panel.patient.authority) == who


def test_the_official_name_is_read():
    names = [{"use": "nickname", "text": "Ady"}, {"use": "official", "family": "Byron", "given": ["Ada", "Augusta"]}]
    (panel,) = read(bundle("collection", patient(name=names), observation())).reading.panels

    assert panel.patient.name == "Ada Augusta Byron"


def test_a_birth_date_that_is_not_complete_is_left_out_and_that_is_told():
    found = read(bundle("collection", patient(birthDate="1968-03"), observation()))

    assert found.reading.panels[0].patient.born is None
    assert [one.code for one in found.reading.notices] == ["birth-date-partial"]


@pytest.mark.parametrize(
    ("how", "place", "code"),
    [
        ({"gender": "f"}, "gender", "code-invalid"),
        ({"birthDate": "14.03.1968"}, "birthDate", "value"),
        ({"modifierExtension": [{"url": "x"}]}, "modifierExtension", "not-supported"),
        ({"identifier": None, "id": None}, "identifier", "identity-missing"),
    ],
)
def test_results_of_a_patient_who_cannot_be_used_are_refused_with_them(how, place, code):
    sent = bundle(
        "transaction",
        entry(patient(**how), url="urn:uuid:1"),
        entry(observation(subject={"reference": "urn:uuid:1"})),
    )

    assert (f"Bundle.entry[0].resource.{place}", code) in faults(sent)
    assert ("Bundle.entry[1].resource.subject", "patient-refused") in faults(sent)


VITAL = [concept("vital-signs", CATEGORY)]


@pytest.mark.parametrize(
    ("categories", "code", "taken"),
    [
        (VITAL, "8302-2", False),
        ([concept("survey", CATEGORY), concept("social-history", CATEGORY)], "72166-2", False),
        ([concept("laboratory", CATEGORY)], "2339-0", True),
        ([*VITAL, concept("laboratory", CATEGORY)], "2339-0", True),
        ([concept("hematology", "urn:local")], "2339-0", True),
        ([{"text": "vital signs"}], "2339-0", True),
        (None, "2339-0", True),
        (VITAL, "718-7", True),
    ],
)
def test_only_what_says_that_it_is_no_laboratory_result_is_ignored(categories, code, taken):
    found = read_one(observation(code, category=categories))

    assert bool(found.reading.panels) is taken
    assert [one.why for one in found.reading.ignored] == ([] if taken else ["not a laboratory result"])


def test_faults_of_what_is_ignored_are_ignored_with_it():
    assert faults(observation({}, category=VITAL, status="x", component="x")) == []


def test_a_component_that_is_judged_here_is_never_ignored():
    part = {"code": concept("718-7"), "valueQuantity": quantity(97, "g/L")}

    assert results(read_one(observation("85354-9", category=VITAL, valueQuantity=None, component=[part])))


def test_a_result_under_a_new_id_takes_back_the_old_one():
    sent = observation(id="new", extension=[{"url": REPLACES, "valueReference": {"reference": "Observation/old"}}])
    new, old = results(read_one(sent))

    assert (new.sender_id, new.status, new.text) == (f"{BASE}/Observation/new", Status.FINAL, "11.9")
    assert (old.sender_id, old.status, old.absent) == (f"{BASE}/Observation/old", Status.ENTERED_IN_ERROR, "replaced")
    assert (old.text, old.number, old.range, old.code) == ("", None, None, new.code)


def test_components_under_a_new_id_take_back_the_old_ones():
    parts = [{"code": concept("718-7"), "valueInteger": 5}]
    to = {"identifier": {"system": "urn:lab", "value": "1"}}
    sent = observation(valueQuantity=None, component=parts, extension=[{"url": REPLACES, "valueReference": to}])

    assert [one.sender_id for one in results(read_one(sent))][1:] == ["urn:lab|1#component-718-7"]


def test_a_replaced_result_that_cannot_be_told_is_refused():
    sent = observation(extension=[{"url": REPLACES, "valueReference": {"display": "the old one"}}])

    assert faults(sent) == [("Observation.extension[0].valueReference", "reference-unresolved")]


def test_the_panel_tells_when_this_version_was_issued():
    assert panel_of(observation()).issued_at == datetime(2026, 11, 1, 9, tzinfo=UTC)


def test_all_faults_are_told_at_once():
    sent = observation(status="x", subject=None, code={}, valueQuantity=quantity("5"), issued="soon")

    assert set(faults(sent)) == {
        ("Observation.status", "code-invalid"),
        ("Observation.subject", "required"),
        ("Observation.code", "required"),
        ("Observation.valueQuantity.value", "structure"),
        ("Observation.issued", "time-invalid"),
    }
