"""What is written: outcomes and the Bundles that answer. An independent library reads them where it is installed."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import get_args

import pytest

from service.domain.errors import Fault
from service.formats.fhir import answers, issues, outcome
from service.formats.fhir.message import Header
from service.formats.reading import Ignored, Notice

# https://hl7.org/fhir/R4/valueset-issue-type.html
R4_ISSUES = set(
    """
    invalid structure required value invariant security login unknown expired forbidden suppressed processing
    not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly business-rule
    conflict transient lock-error no-store exception timeout incomplete throttled informational
    """.split()  # noqa: SIM905  as the standard lists them
)
AT = datetime(2026, 11, 20, 12, 0, 0, 123456, UTC)
FAULT = Fault(pointer="Bundle.entry[1].resource.code", code="unit_unknown", detail="is no unit", hint="use g/L")
HEADER = Header(id="m-1", endpoint="urn:lab", event_system="urn:events", event_code="R01")
REPLY = answers.Reply(
    id="0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
    outcome_id="0c3151bd-1cbf-4d64-b04d-cd9187a4c6e1",
    endpoint="https://alerts.example/fhir",
    at=AT,
)
CREATED = answers.EntryAnswer(
    status=HTTPStatus.CREATED, location="Observation/o/_history/1", version="1", modified_at=AT
)
REFUSED = answers.EntryAnswer(status=HTTPStatus.UNPROCESSABLE_ENTITY, outcome=outcome.refused([FAULT]))


def test_every_code_has_an_issue_type_of_r4():
    assert set(get_args(issues.FaultCode)) <= set(issues.ISSUE_TYPES)
    assert set(issues.ISSUE_TYPES.values()) <= R4_ISSUES


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        ([], 400),
        (["structure"], 400),
        (["subject-not-patient"], 422),
        (["subject-not-patient", "required"], 400),
        (["type-unknown"], 404),
        (["identity-repeated"], 409),
        (["a code of later days"], 422),
    ],
)
def test_the_status_of_a_refusal_follows_from_its_faults(codes, status):
    assert issues.http_status([Fault(pointer="", code=one, detail="") for one in codes]) == status


def test_an_outcome_has_an_issue_for_each_fault():
    assert outcome.refused([FAULT]) == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "value",
                "details": {"text": "is no unit (use g/L)"},
                "expression": ["Bundle.entry[1].resource.code"],
            }
        ],
    }


def test_an_outcome_of_nothing_still_has_an_issue():
    assert [one["severity"] for one in outcome.accepted()["issue"]] == ["information"]


def test_what_was_ignored_is_told_once_for_each_reason():
    left_out = [Ignored(place=f"Bundle.entry[{number}].resource", why="why") for number in range(3)]
    told = outcome.accepted([Notice(place="p", code="reference-unresolved", detail="d")], left_out)

    assert [(one["severity"], one["code"], len(one["expression"])) for one in told["issue"]] == [
        ("warning", "not-found", 1),
        ("information", "informational", 3),
    ]


def test_a_batch_is_answered_entry_by_entry():
    assert answers.batch_response([CREATED, REFUSED]) == {
        "resourceType": "Bundle",
        "type": "batch-response",
        "entry": [
            {
                "response": {
                    "status": "201 Created",
                    "location": "Observation/o/_history/1",
                    "etag": 'W/"1"',
                    "lastModified": "2026-11-20T12:00:00.123Z",
                }
            },
            {"response": {"status": REFUSED_STATUS, "outcome": outcome.refused([FAULT])}},
        ],
    }


REFUSED_STATUS = f"422 {HTTPStatus.UNPROCESSABLE_ENTITY.phrase}"


def test_an_answer_without_entries_has_no_list_of_them():
    assert answers.transaction_response([]) == {"resourceType": "Bundle", "type": "transaction-response"}


def test_the_reply_to_a_message_names_it_and_leads_to_the_outcome():
    reply = answers.message_reply(HEADER, "fatal-error", outcome.refused([FAULT]), reply=REPLY)

    header, told = (one["resource"] for one in reply["entry"])
    assert header["response"]["identifier"] == "m-1"
    assert header["response"]["details"]["reference"] == reply["entry"][1]["fullUrl"]
    assert header["eventCoding"] == {"system": "urn:events", "code": "R01"}
    assert told["resourceType"] == "OperationOutcome"


WRITTEN = {
    "refused": outcome.refused([FAULT]),
    "failed": outcome.failed("the database does not answer", code="transient"),
    "accepted": outcome.accepted([Notice(place="p", code="time-partial", detail="d")], [Ignored(place="p", why="w")]),
    "batch": answers.batch_response([CREATED, REFUSED]),
    "transaction": answers.transaction_response([CREATED]),
    "empty": answers.transaction_response([]),
    "reply": answers.message_reply(HEADER, "ok", outcome.accepted(), reply=REPLY),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_is_fhir_to_an_independent_library(name):
    library = pytest.importorskip("fhir.resources.R4B", reason="the library fhir.resources is not installed")

    found = library.get_fhir_model_class(WRITTEN[name]["resourceType"]).model_validate(WRITTEN[name])

    assert found.get_resource_type() == WRITTEN[name]["resourceType"]
