"""A call as read: everything that is wrong with it at once, each with its place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import BadInput
from service.formats import strict_json
from service.formats.cds_hooks.call import read_call
from service.formats.cds_hooks.services import SERVICES, discovery
from tests.api.cds.speak import INSTANCE, SERVER, asked, context

ACCESS = {
    "access_token": "some-opaque-token",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "user/Patient.read",
    "subject": "cds-service",
}


def read(value, service="lab-flags"):
    return read_call(strict_json.parse(json.dumps(value).encode()), SERVICES[service])


def faults(value, service="lab-flags"):
    try:
        read(value, service)
    except BadInput as refused:
        return [(one.pointer, one.code) for one in refused.faults]
    return []


def test_what_is_refused_is_a_call():
    with pytest.raises(BadInput) as refused:
        read({})

    assert refused.value.kind == "invalid-cds-hooks"


@pytest.mark.parametrize("service", list(SERVICES))
def test_a_whole_call_of_each_hook_is_read(service):
    found = read(asked(service), service)

    assert (found.instance, found.patient_id, found.server) == (INSTANCE, "p-1", SERVER)
    assert set(found.prefetch) == {"patient", "labs"}


def test_what_may_be_left_out_may_be_left_out():
    found = read({"hook": "patient-view", "hookInstance": INSTANCE.upper(), "context": context()})

    assert (found.instance, found.server, found.prefetch) == (INSTANCE, None, {})


def test_a_base_with_a_slash_at_its_end_is_the_same_base():
    assert read(asked(fhirServer=f"{SERVER}/")).server == SERVER


def test_members_that_nobody_asks_for_are_not_looked_at():
    assert faults(asked(extension={"odd": 1}, context=context(more=[1]))) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"hook": None}, [("hook", "required")]),
        ({"hook": 1}, [("hook", "structure")]),
        ({"hook": "order-sign"}, [("hook", "value")]),
        ({"hookInstance": None}, [("hookInstance", "required")]),
        ({"hookInstance": "1"}, [("hookInstance", "value")]),
        ({"hookInstance": f"{{{INSTANCE}}}"}, [("hookInstance", "value")]),
        ({"context": None}, [("context", "required")]),
        ({"context": []}, [("context", "structure")]),
        ({"context": {}}, [("context.userId", "required"), ("context.patientId", "required")]),
        ({"context": context(userId="doc-1")}, [("context.userId", "value")]),
        ({"context": context(patientId="Patient/p-1")}, [("context.patientId", "value")]),
        ({"context": context(patientId="")}, [("context.patientId", "value")]),
        ({"prefetch": 1}, [("prefetch", "structure")]),
        ({"fhirServer": "ftp://ehr"}, [("fhirServer", "value")]),
        ({"fhirServer": None, "fhirAuthorization": ACCESS}, [("fhirServer", "required")]),
        ({"fhirAuthorization": "token"}, [("fhirAuthorization", "structure")]),
        ({"fhirAuthorization": {**ACCESS, "token_type": "Basic"}}, [("fhirAuthorization.token_type", "value")]),
        ({"fhirAuthorization": {**ACCESS, "expires_in": "300"}}, [("fhirAuthorization.expires_in", "structure")]),
        (
            {"fhirAuthorization": {}},
            [
                (f"fhirAuthorization.{name}", "required")
                for name in ("access_token", "scope", "subject", "token_type", "expires_in")
            ],
        ),
    ],
)
def test_each_fault_is_told_with_its_place(changed, expected):
    value = {**asked(), **changed}

    assert faults({name: one for name, one in value.items() if one is not None}) == expected


@pytest.mark.parametrize(
    ("service", "changed", "expected"),
    [
        ("lab-flags-encounter-start", {"encounterId": None}, [("context.encounterId", "required")]),
        ("lab-flags-encounter-start", {"encounterId": "e/1"}, [("context.encounterId", "value")]),
        ("lab-flags-order-select", {"selections": None}, [("context.selections", "required")]),
        ("lab-flags-order-select", {"selections": "x"}, [("context.selections", "structure")]),
        ("lab-flags-order-select", {"draftOrders": None}, [("context.draftOrders", "required")]),
        ("lab-flags-order-sign", {"draftOrders": []}, [("context.draftOrders", "structure")]),
    ],
)
def test_each_hook_needs_its_own_context(service, changed, expected):
    assert faults(asked(service, context=context(service, **changed)), service) == expected


def test_all_faults_are_told_at_once():
    told = faults({"hook": "x", "hookInstance": 1, "fhirServer": "no"})

    assert [place for place, _ in told] == ["hook", "hookInstance", "context", "fhirServer"]


def test_nothing_of_a_patient_or_a_token_is_in_the_picture_of_a_call():
    found = read(asked(fhirAuthorization=ACCESS, context=context(patientId="secret-id")))

    assert "secret-id" not in repr(found)
    assert "some-opaque-token" not in repr(found)
    assert "88204113" not in repr(found)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*asked(), "fhirAuthorization"]), values), st.sampled_from(list(SERVICES)))
def test_whatever_stands_there_it_is_read_or_refused(changed, service):
    faults({**asked(service), **changed}, service)


@given(values)
def test_whatever_is_no_call_is_refused(value):
    assert faults(value)


def test_the_discovery_document_asks_for_what_can_be_judged_by_plain_search():
    found = discovery(["17861-6", "718-7"], version="2.0.0")["services"]

    assert [(one["hook"], one["id"]) for one in found] == [
        ("patient-view", "lab-flags"),
        ("order-select", "lab-flags-order-select"),
        ("order-sign", "lab-flags-order-sign"),
        ("encounter-start", "lab-flags-encounter-start"),
    ]
    assert all(one["title"] and one["description"] and one["version"] == "2.0.0" for one in found)
    assert found[0]["prefetch"] == {
        "patient": "Patient/{{context.patientId}}",
        "labs": (
            "Observation?patient={{context.patientId}}&category=laboratory"
            "&code=http://loinc.org|17861-6,http://loinc.org|718-7&_sort=-date&_count=50"
        ),
    }
