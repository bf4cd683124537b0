"""What is written in FHIR of what is kept: flags, episodes, results of every door."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pytest
from fhir.resources.R4B import get_fhir_model_class

from service.domain.panels import Code, Result, SentRange, Status
from service.formats.fhir.as_sent import kept_of, observation_at
from service.formats.fhir.detected_issue import Issue, detected_issue
from service.formats.fhir.flag_resource import Standing, flag
from service.formats.fhir.observation_out import Opinion, Shown, observation
from service.formats.fhir.ours import Who, flag_id, flag_name, joint_id, parted
from service.formats.fhir.searchset import written
from tests.formats.fhir.build import bundle, sent
from tests.formats.fhir.build import observation as observed

AT = datetime(2026, 11, 1, 8, tzinfo=UTC)
ULID, OTHER = "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAW"
WHO = Who(authority="urn:oid:1.2.3", identifier="88204113")
RESULT = Result(pointer="", code=Code(code="17861-6"), text="11.90", number=Decimal("11.90"), unit="mg/dL")
SHOWN = Shown(
    id=f"{ULID}.{OTHER}",
    version=2,
    who=WHO,
    result=RESULT,
    analyte="calcium",
    status=Status.FINAL,
    collected_at=AT,
    issued_at=None,
    updated_at=AT,
)
ISSUE = Issue(
    name=f"flg_{ULID}",
    who=WHO,
    finding="hypercalcemia",
    severity="moderate",
    state="open",
    provisional=False,
    at_least=False,
    grade="CTCAE v5.0 grade 2",
    classification=None,
    why="11.90 mg/dL is above 11.5 mg/dL",
    raised_at=AT,
    changed_at=AT,
    superseded_by=None,
    evidence=(f"Observation/{ULID}.{OTHER}/_history/2",),
    rule="https://alerts.example.org/v1/rulesets/blood-findings-1",
    author="lab-alerts",
    intended_use="Not a diagnosis.",
)
STANDING = Standing(
    name=f"eps_{OTHER}",
    patient=f"pat_{ULID}",
    who=WHO,
    finding="raised_alp",
    state="open",
    level="critical",
    opened_at=AT,
    resolved_at=None,
    changed_at=AT,
    last_flag=f"flg_{ULID}",
    merged_into=None,
    author="lab-alerts",
)


def checked(resource):
    """The resource, which is one of R4."""
    text = written(resource)
    get_fhir_model_class(resource["resourceType"]).model_validate_json(text)
    return orjson.loads(text)


@pytest.mark.parametrize(
    ("state", "provisional", "status"),
    [
        ("open", False, "final"),
        ("acknowledged", False, "final"),
        ("resolved", False, "final"),
        ("open", True, "preliminary"),
        ("superseded", False, "amended"),
        ("superseded", True, "amended"),
        ("withdrawn", False, "entered-in-error"),
    ],
)
def test_the_state_of_a_flag_as_a_status(state, provisional, status):
    assert checked(detected_issue(replace(ISSUE, state=state, provisional=provisional)))["status"] == status


@pytest.mark.parametrize(
    ("severity", "gravity"),
    [("info", "low"), ("mild", "low"), ("moderate", "moderate"), ("severe", "high"), ("critical", "high")],
)
def test_five_severities_in_three_words_and_the_finer_one_beside(severity, gravity):
    one = checked(detected_issue(replace(ISSUE, severity=severity)))

    assert one["severity"] == gravity
    assert one["extension"] == [{"url": "urn:lab-alerts:severity", "valueCode": severity}]


def test_a_superseded_flag_leads_to_the_one_that_took_its_place():
    one = checked(detected_issue(replace(ISSUE, state="superseded", superseded_by=f"flg_{OTHER}")))

    assert one["extension"][1]["valueReference"] == {"reference": f"DetectedIssue/flg-{OTHER}"}


def test_a_value_that_may_be_worse_says_so():
    assert checked(detected_issue(replace(ISSUE, at_least=True)))["detail"].startswith("At least as grave as said: ")


def test_the_version_of_a_flag_is_another_one_after_each_change():
    later = replace(ISSUE, changed_at=AT.replace(microsecond=1))

    assert detected_issue(ISSUE)["meta"]["versionId"] != detected_issue(later)["meta"]["versionId"]


@pytest.mark.parametrize(
    ("state", "status"),
    [("open", "active"), ("resolved", "inactive"), ("merged", "inactive"), ("withdrawn", "entered-in-error")],
)
def test_the_state_of_an_episode_as_a_status(state, status):
    assert checked(flag(replace(STANDING, state=state)))["status"] == status


def test_a_merged_episode_leads_to_the_one_in_which_it_goes_on():
    one = checked(flag(replace(STANDING, state="merged", merged_into=f"eps_{ULID}")))

    assert one["extension"][-1]["valueReference"] == {"reference": f"Flag/{ULID}.{ULID}"}


def test_a_patient_of_an_authority_that_is_no_address_is_named_by_its_assigner():
    one = checked(detected_issue(replace(ISSUE, who=Who(authority="hospital a", identifier="7"))))

    assert one["patient"]["identifier"] == {"value": "7", "assigner": {"display": "hospital a"}}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, {"valueQuantity": {"value": 11.9, "unit": "mg/dL"}}),
        ({"comparator": "<"}, {"valueQuantity": {"value": 11.9, "unit": "mg/dL", "comparator": "<"}}),
        ({"text": "065.88", "number": Decimal("65.88")}, {"valueQuantity": {"value": 65.88, "unit": "mg/dL"}}),
        ({"text": "+5", "number": Decimal(5), "unit": ""}, {"valueQuantity": {"value": 5}}),
        (
            {"text": "3-4", "number": Decimal(3), "upper": Decimal(4)},
            {"valueRange": {"low": {"value": 3, "unit": "mg/dL"}, "high": {"value": 4, "unit": "mg/dL"}}},
        ),
        ({"text": "hemolyzed", "number": None}, {"valueString": "hemolyzed"}),
        (
            {"text": "", "number": None, "absent": "error"},
            {
                "dataAbsentReason": {
                    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "error"}]
                }
            },
        ),
        ({"text": "", "number": None, "absent": "replaced"}, {"dataAbsentReason": {"text": "replaced"}}),
    ],
)
def test_a_value_of_any_kind_in_its_own_element(changed, expected):
    one = checked(observation(replace(SHOWN, result=replace(RESULT, **changed))))

    assert {name: value for name, value in one.items() if name in expected} == expected
    assert len([name for name in one if name.startswith(("value", "dataAbsent"))]) == 1


def test_digits_are_written_as_they_were_sent():
    assert b'"value":11.90,' in written(observation(SHOWN))


def test_everything_else_that_is_kept_is_said():
    result = replace(
        RESULT,
        sender_id="urn:lab|R-1",
        other_codes=(
            Code(code="CA", system="urn:hl7v2:L"),
            Code(code="x", system="no address"),
            Code(code="y", system=""),
        ),
        range=SentRange(low=Decimal("8.6"), high=Decimal("10.3"), unit=None),
        interpretation=("H", "very high"),
        note="hemolyzed",
    )

    one = checked(observation(replace(SHOWN, result=result, issued_at=AT, status=Status.APPENDED)))

    assert one["identifier"] == [{"system": "urn:lab", "value": "R-1"}]
    assert [code["code"] for code in one["code"]["coding"]] == ["17861-6", "CA", "y", "calcium"]
    assert one["referenceRange"] == [{"low": {"value": 8.6, "unit": "mg/dL"}, "high": {"value": 10.3, "unit": "mg/dL"}}]
    assert [said.get("text") or said["coding"][0]["code"] for said in one["interpretation"]] == ["H", "very high"]
    assert (one["note"], one["status"], one["issued"]) == ([{"text": "hemolyzed"}], "final", "2026-11-01T08:00:00.000Z")


def test_what_has_neither_code_nor_value_is_still_an_observation():
    result = Result(pointer="", analyte="Kalzium", text="", number=None, unit="")

    one = checked(observation(replace(SHOWN, result=result, analyte=None)))

    assert one["code"] == {"text": "Kalzium"}
    assert one["dataAbsentReason"]["coding"][0]["code"] == "unknown"


@pytest.mark.parametrize(
    ("severity", "direction", "code"),
    [
        ("mild", "high", "H"),
        ("severe", "low", "L"),
        ("critical", "high", "HH"),
        ("critical", "low", "LL"),
        ("mild", None, "A"),
    ],
)
def test_our_opinion_in_the_codes_of_hl7(severity, direction, code):
    opinion = Opinion(finding="anemia", severity=severity, direction=direction, ruleset="blood-findings-1")

    (said,) = checked(observation(replace(SHOWN, opinion=opinion)))["interpretation"]

    assert said["coding"][0]["code"] == code
    assert said["text"] == f"Possible anemia, {severity}, by lab-alerts (blood-findings-1)"


def test_an_observation_as_sent_keeps_what_was_measured_and_loses_what_leads_elsewhere():
    raw = sent(
        observed(
            text={"status": "generated", "div": "<div>Mrs. Doe</div>"},
            contained=[
                {"resourceType": "Patient", "id": "p", "name": [{"family": "Doe"}]},
                {"resourceType": "Specimen", "id": "s"},
            ],
            subject={"reference": "#p", "display": "Mrs. Doe"},
            specimen={"reference": "#s"},
            performer=[{"reference": "Practitioner/1"}, {"reference": "https://lab.example/fhir/Organization/1"}],
            hasMember=[{"reference": "Observation/2"}],
            extension=[
                {"url": "urn:x", "valueReference": {"reference": "Observation/3"}},
                {"url": "urn:y", "valueCode": "z"},
            ],
            bodySite="not an object",
            _issued={"extension": [{"url": "urn:z", "valueCode": "z"}]},
            nonsense=1,
        )
    )

    one = checked(observation(replace(SHOWN, raw=raw)))

    assert "Doe" not in str(one)
    assert one["contained"] == [{"resourceType": "Specimen", "id": "s"}]
    assert one["performer"] == [{"reference": "https://lab.example/fhir/Organization/1"}]
    assert one["extension"] == [{"url": "urn:y", "valueCode": "z"}]
    assert one["_issued"]["extension"][0]["valueCode"] == "z"
    assert {"text", "hasMember", "bodySite", "nonsense"}.isdisjoint(one)
    assert (one["id"], one["meta"]["versionId"], one["subject"]["identifier"]["value"]) == (SHOWN.id, "2", "88204113")


@pytest.mark.parametrize(
    ("place", "id_"),
    [
        ("Bundle.entry[0].resource", "ca-1"),
        ("Bundle.entry[0].resource.component[0]", None),
        ("Bundle.entry[1].resource", None),
        ("Bundle.entry[x]", None),
        ("Bundle", None),
        ("", None),
    ],
)
def test_an_observation_is_found_where_it_stood(place, id_):
    found = observation_at(sent(bundle("batch", observed())), place)

    assert (found and found["id"]) == id_


def test_nothing_at_all_is_kept_of_nothing():
    assert kept_of({}) == {}


def test_ids_lead_back_to_what_is_kept_and_nothing_else_does():
    assert flag_name(flag_id(f"flg_{ULID}")) == f"flg_{ULID}"
    assert parted(joint_id(f"pat_{ULID}", f"res_{OTHER}"), "res") == (f"pat_{ULID}", f"res_{OTHER}")
    assert [flag_name(one) for one in ("", "flg", f"flg_{ULID}", f"flg-{ULID}x", f"flg-{ULID}\n")] == [None] * 5
    assert [parted(one, "res") for one in ("", ULID, f"{ULID}.", f"{ULID}.{OTHER}.{ULID}")] == [None] * 4
