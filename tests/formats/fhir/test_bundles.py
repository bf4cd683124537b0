"""Bundles: reports, references, transactions, batches and the others, and that every entry is accounted for."""

from dataclasses import replace
from itertools import permutations

import pytest

from service.domain.errors import BadInput
from service.domain.panels import Status
from service.formats.fhir.message import header_of
from tests.formats.fhir.build import (
    BASE,
    CATEGORY,
    bundle,
    concept,
    entry,
    faults,
    notices,
    observation,
    patient,
    quantity,
    read,
    read_one,
    report,
    results,
    sent,
)

URN = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
SECOND = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e1"
HEADER = {"resourceType": "MessageHeader", "id": "m-1", "eventUri": "urn:event", "source": {"endpoint": "urn:lab"}}


def panel(kind, **changed):
    """A report with a patient and a result that refer to each other by UUID."""
    return bundle(
        kind,
        entry(patient(), url=URN),
        entry(report(SECOND, subject={"reference": URN}), url="urn:uuid:2"),
        entry(observation(subject={"reference": URN}, **changed), url=SECOND),
    )


def test_a_transaction_is_read_with_its_references():
    found = read(panel("transaction"))

    assert [one.results for one in found.entries] == [(), (), ((0, 0),)]
    assert [bool(one.ignored) for one in found.entries] == [True, True, False]
    assert found.reading.panels[0].patient.identifier == "88204113"


def test_the_order_of_the_entries_does_not_matter():
    whole = panel("transaction")

    found = [
        [replace(one, pointer="") for one in results(read(whole | {"entry": list(order)}))]
        for order in permutations(whole["entry"])
    ]

    assert all(one == found[0] for one in found)
    assert len(found[0]) == 1


def test_a_transaction_is_refused_with_the_faults_of_all_entries():
    whole = bundle("transaction", observation(status="x"), observation(id="2"), observation(id="3", code={}))

    assert faults(whole) == [
        ("Bundle.entry[0].resource.status", "code-invalid"),
        ("Bundle.entry[2].resource.code", "required"),
    ]


def test_the_same_result_twice_refuses_a_transaction():
    whole = bundle("transaction", observation(), observation(valueQuantity=quantity(5)))

    assert faults(whole) == [("Bundle.entry[1].resource", "identity-repeated")]


def test_the_same_result_twice_is_two_versions_in_a_batch():
    found = read(bundle("batch", observation(), observation(valueQuantity=quantity(5))))

    assert [one.results for one in found.entries] == [((0, 0),), ((1, 0),)]


def test_two_results_that_cannot_be_told_apart_are_refused():
    found = read(bundle("batch", observation(id=None), observation(id=None)))

    assert [[one.code for one in each.faults] for each in found.entries] == [[], ["identity-repeated"]]


def test_a_bad_entry_of_a_batch_does_not_sink_the_others():
    found = read(bundle("batch", observation(status="x"), observation(id="2"), {"resourceType": "Claim"}))

    assert [len(one.faults) for one in found.entries] == [1, 0, 0]
    assert found.entries[1].results == ((0, 0),)
    assert found.entries[2].ignored == "not a laboratory result"


def test_entries_of_a_batch_may_not_name_the_new_ids_of_others():
    found = read(panel("batch"))

    codes = {fault.code for one in found.entries for fault in one.faults}
    hints = {fault.hint for one in found.entries for fault in one.faults}
    assert codes == {"not-supported"}
    assert hints == {"send what belongs together as a transaction"}
    # The Patient has an identifier, and so the result can be told whose it is.
    assert found.entries[2].results == ((0, 0),)


def test_a_patient_of_a_batch_without_an_identifier_is_a_new_id():
    found = read(
        bundle(
            "batch",
            entry(patient(identifier=None), url=URN),
            entry(observation(subject={"reference": URN})),
        )
    )

    assert [one.code for one in found.entries[1].faults] == ["not-supported"]


def test_what_is_put_in_a_batch_has_an_id_of_its_own():
    found = read(
        bundle("batch", entry(patient(), method="PUT"), entry(observation(), method="PUT"), report("Observation/ca-1"))
    )

    assert [one.code for each in found.entries for one in each.faults] == []
    assert found.reading.panels[0].patient.identifier == "88204113"


@pytest.mark.parametrize("kind", ["collection", "document", "searchset", "history"])
def test_other_bundles_are_read_entry_by_entry(kind):
    found = read(bundle(kind, observation(status="x"), observation(id="2"), patient()))

    assert [len(one.faults) for one in found.entries] == [1, 0, 0]
    assert len(results(found)) == 1


@pytest.mark.parametrize("kind", ["batch-response", "transaction-response", "subscription-notification", "Batch"])
def test_a_bundle_of_another_type_is_refused(kind):
    assert faults(bundle(kind)) == [("Bundle.type", "not-supported")]


def test_the_outcome_of_a_search_is_never_read():
    found = read(bundle("searchset", entry(observation(), method=None) | {"search": {"mode": "outcome"}}))

    assert found.reading.panels == ()
    assert found.entries[0].ignored == "an outcome of the search"


def test_of_a_history_the_newest_version_comes_last():
    newest, oldest = observation(valueQuantity=quantity(5)), observation(valueQuantity=quantity(4))

    found = read(bundle("history", newest, oldest))

    assert [one.text for one in results(found)] == ["4", "5"]
    assert [one.results for one in found.entries] == [((1, 0),), ((0, 0),)]


def test_a_bundle_within_a_bundle_is_entered():
    found = read(
        bundle("collection", bundle("collection", observation(), {"resourceType": "Claim"}), observation(id="2"))
    )

    assert [one.pointer for one in results(found)] == [
        "Bundle.entry[0].resource.entry[0].resource",
        "Bundle.entry[1].resource",
    ]
    assert [one.results for one in found.entries] == [((0, 0),), ((0, 1),)]


ENTRIES = [
    ({}, [("Bundle.entry[0].request", "required"), ("Bundle.entry[0].resource", "required")]),
    ("x", [("Bundle.entry[0]", "structure")]),
    ({"resource": []}, [("Bundle.entry[0].request", "required"), ("Bundle.entry[0].resource", "structure")]),
    (entry({"resourceType": "Obsrevation"}), [("Bundle.entry[0].resource.resourceType", "type-unknown")]),
    (entry(observation(), method="DELETE"), [("Bundle.entry[0].request.method", "not-supported")]),
    (entry(observation(), method="PATCH"), [("Bundle.entry[0].request.method", "not-supported")]),
    (
        entry(observation()) | {"request": {"method": "POST", "url": "Claim"}},
        [("Bundle.entry[0].request.url", "value")],
    ),
    (
        entry(observation()) | {"request": {"method": "PUT", "url": "Observation/other"}},
        [("Bundle.entry[0].resource.id", "value")],
    ),
    (
        entry(observation()) | {"request": {"method": "PUT", "url": "Observation"}},
        [("Bundle.entry[0].request.url", "required")],
    ),
    (entry(observation(), ifNoneExist="code=5"), [("Bundle.entry[0].request.ifNoneExist", "not-supported")]),
    (entry(observation()) | {"modifierExtension": [{}]}, [("Bundle.entry[0].modifierExtension", "not-supported")]),
]


@pytest.mark.parametrize(("one", "expected"), ENTRIES)
def test_an_entry_that_asks_for_what_cannot_be_is_refused(one, expected):
    assert faults({"resourceType": "Bundle", "type": "transaction", "entry": [one]}) == expected


@pytest.mark.parametrize("query", ["identifier=urn:lab|1", "identifier=urn%3Alab%7C1"])
def test_a_condition_on_the_own_identifier_is_understood(query):
    one = observation(identifier=[{"system": "urn:lab", "value": "1"}])

    found = read(bundle("transaction", entry(one, ifNoneExist=query)))

    assert found.entries[0].request.if_none_exist == query
    assert results(found)[0].sender_id == "urn:lab|1"


def test_a_conditional_reference_finds_the_patient_of_the_message():
    found = read(
        bundle(
            "transaction", patient(), observation(subject={"reference": "Patient?identifier=urn:oid:1.2.3|88204113"})
        )
    )

    assert found.reading.panels[0].patient.born is not None


def test_a_reference_that_two_entries_answer_is_refused():
    two = [patient(birthDate="1970-01-01"), patient()]

    assert faults(bundle("transaction", *two, observation())) == [
        ("Bundle.entry[2].resource.subject", "reference-ambiguous")
    ]


def test_the_stricter_status_of_report_and_result_counts():
    stated = {
        (of_report, of_result): results(
            read(bundle("collection", report("Observation/ca-1", status=of_report), observation(status=of_result)))
        )[0].status
        for of_report in ("final", "partial", "appended", "entered-in-error", "registered")
        for of_result in ("final", "preliminary", "cancelled")
    }

    assert stated["final", "final"] is Status.FINAL
    assert stated["partial", "final"] is Status.PRELIMINARY
    assert stated["appended", "final"] is Status.APPENDED
    assert stated["final", "preliminary"] is Status.PRELIMINARY
    assert stated["entered-in-error", "cancelled"] is Status.ENTERED_IN_ERROR
    assert stated["final", "cancelled"] is Status.CANCELLED
    assert stated["registered", "final"] is Status.REGISTERED


def test_a_report_speaks_for_members_of_members():
    group = observation(id="g", valueQuantity=None, hasMember=[{"reference": "Observation/ca-1"}])
    found = read(bundle("collection", report("Observation/g", status="cancelled"), group, observation(subject=None)))

    assert [one.status for one in results(found)] == [Status.CANCELLED]
    assert [bool(one.ignored) for one in found.entries] == [True, True, False]


def test_a_report_that_withdraws_is_newer_than_what_it_reports():
    late = report("Observation/ca-1", status="entered-in-error", issued="2026-11-05T08:00:00Z")
    (panel,) = read(bundle("collection", late, observation())).reading.panels

    assert panel.issued_at.day == 5


def test_a_report_gives_what_its_results_leave_out():
    bare = observation(subject=None, effectiveDateTime=None, issued=None)
    whole = bundle("collection", report("Observation/ca-1"), bare)
    (panel,) = read(whole).reading.panels

    assert (panel.patient.identifier, panel.collected_at.hour, panel.issued_at.hour) == ("p-1", 7, 9)
    assert notices(whole) == ["subject-from-report", "time-from-report"]


def test_a_result_of_another_patient_than_its_report_is_refused():
    whole = bundle("transaction", report("Observation/ca-1"), observation(subject={"reference": "Patient/p-2"}))

    assert faults(whole) == [("Bundle.entry[1].resource.subject", "patients-differ")]


def test_results_of_a_refused_report_are_refused_with_it():
    found = read(bundle("collection", report("Observation/ca-1", status="x"), observation()))

    assert [[one.code for one in each.faults] for each in found.entries] == [["code-invalid"], ["report-refused"]]


def test_contained_results_of_a_report_are_read():
    found = read_one(
        report("#c", contained=[observation(id="c", subject=None), observation(id="d", status="preliminary")])
    )

    assert [one.pointer for one in results(found)] == ["DiagnosticReport.contained[0]", "DiagnosticReport.contained[1]"]
    assert [one.sender_id for one in results(found)] == [f"{BASE}/DiagnosticReport/r-1#{one}" for one in "cd"]


def test_a_contained_vital_sign_is_ignored_beside_the_results():
    pulse = observation("8867-4", id="v", category=[concept("vital-signs", CATEGORY)])
    found = read_one(report("#c", "#v", contained=[observation(id="c"), pulse]))

    assert [one.place for one in found.reading.ignored] == ["DiagnosticReport.contained[1]"]


def test_results_that_did_not_come_with_a_report_are_told():
    whole = report("Observation/elsewhere")

    assert read_one(whole).ignored == "brings no results with it"
    assert notices(whole) == ["reference-unresolved"]


def test_a_report_cannot_take_back_what_it_does_not_bring():
    assert faults(report("Observation/elsewhere", status="entered-in-error")) == [
        ("DiagnosticReport.result[0]", "reference-unresolved")
    ]


def test_a_report_under_a_new_id_says_that_old_results_stand():
    url = "http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces"
    whole = report(
        "#c", contained=[observation(id="c")], extension=[{"url": url, "valueReference": {"reference": "x"}}]
    )

    assert notices(whole) == ["report-not-replaced"]


@pytest.mark.parametrize("loop", [["Observation/a"], ["Observation/b"]])
def test_members_in_a_circle_end_the_walk(loop):
    a = observation(id="a", valueQuantity=None, hasMember=[{"reference": one} for one in loop])
    b = observation(id="b", valueQuantity=None, hasMember=[{"reference": "Observation/a"}])

    found = read(bundle("collection", report("Observation/a"), a, b))

    assert all(one.ignored for one in found.entries)


def test_more_results_than_a_panel_holds_go_into_several():
    found = read(bundle("collection", *(observation(id=f"o-{number}") for number in range(201))))

    assert [len(one.results) for one in found.reading.panels] == [200, 1]


def test_a_message_gives_its_header():
    found = read(bundle("message", HEADER, observation(), identifier={"system": "urn:env", "value": "9"}))

    assert (found.header.id, found.header.endpoint, found.header.event_uri) == ("m-1", "urn:lab", "urn:event")
    assert found.identifier == "urn:env|9"
    assert [one.ignored for one in found.entries] == ["the header of the message", None]


def test_a_message_is_refused_whole_and_still_has_a_header():
    whole = bundle("message", HEADER, observation(status="x"))

    assert faults(whole) == [("Bundle.entry[1].resource.status", "code-invalid")]
    assert header_of(sent(whole)).id == "m-1"


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (observation(), [("Bundle.entry[0].resource", "required")]),
        (
            {"resourceType": "MessageHeader"},
            [(f"Bundle.entry[0].resource.{name}", "required") for name in ("id", "source.endpoint", "event")],
        ),
    ],
)
def test_a_message_without_its_header_is_refused(first, expected):
    assert faults(bundle("message", first)) == expected


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, {"resourceType": "Bundle"}, {"resourceType": "Claim"}])
def test_what_is_no_bundle_is_refused(value):
    with pytest.raises(BadInput):
        read(value)


@pytest.mark.parametrize("kind", ["batch", "collection"])
def test_one_identity_for_two_codes_refuses_both(kind):
    found = read(bundle(kind, observation(), observation("718-7", valueQuantity=quantity(14, "g/dL"))))

    assert [[one.code for one in each.faults] for each in found.entries] == [["identity-repeated"]] * 2
    assert found.reading.panels == ()


def test_the_code_may_change_from_one_version_to_the_next():
    found = read(bundle("history", observation("718-7"), observation()))

    assert [one.faults for one in found.entries] == [(), ()]


def test_a_report_entered_in_error_has_to_say_what_that_takes_back():
    assert faults(report(status="entered-in-error")) == [("DiagnosticReport.result", "required")]
    assert faults(report(status="cancelled")) == []
