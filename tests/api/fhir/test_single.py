"""Results and reports that come alone: where they are then, under which version, and what is said of them."""

import pytest

from tests.api.exposed import labels
from tests.api.fhir.speak import LATER, WHO, calcium, found, get, got, hemoglobin, issues, post, put, refused
from tests.flows.build import row_counts
from tests.formats.fhir.build import concept, observation, quantity, report

LAB = {"system": "urn:lab", "value": "R-1"}


def where(answer):
    return answer.headers["Location"].partition("/fhir/R4")[2]


def test_a_result_is_created_with_its_place_version_and_time(client):
    answer = post(client, calcium(), "/Observation")

    assert issues(got(answer, 201)) == [("information", "informational", "")]
    assert answer.headers["Location"].startswith("http://localhost/fhir/R4/Observation/")
    assert where(answer).endswith("/_history/1")
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Last-Modified"] == "Fri, 20 Nov 2026 12:00:00 GMT"
    assert get(client, where(answer))["valueQuantity"]["value"] == 11.9


def test_the_same_again_is_where_it_was(client, database):
    first, second = post(client, calcium(), "/Observation"), post(client, calcium(), "/Observation")

    assert (first.status_code, second.status_code) == (201, 200)
    assert where(first) == where(second)
    assert row_counts(database)["results"] == 1


def test_an_update_creates_and_then_makes_versions(client):
    first = put(client, calcium(), "/Observation/ca-1")
    second = put(client, calcium(12.9, status="corrected", issued=LATER), "/Observation/ca-1")

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.headers["ETag"] == 'W/"2"'
    assert where(second) == where(first).replace("/_history/1", "/_history/2")


def test_an_update_has_the_id_of_its_url(client):
    assert refused(put(client, calcium(), "/Observation/other"), 400) == [("error", "value", "Observation.id")]


@pytest.mark.parametrize(
    ("preferred", "kind"),
    [("return=OperationOutcome", "OperationOutcome"), ('return="representation"', "Observation"), ("x", None)],
)
def test_the_answer_is_what_is_preferred(preferred, kind, client):
    answer = post(client, calcium(), "/Observation", Prefer=preferred)

    assert got(answer, 201)["resourceType"] == (kind or "OperationOutcome")
    assert ("Preference-Applied" in answer.headers) is (kind is not None)


def test_a_minimal_answer_has_no_body(client):
    answer = post(client, calcium(), "/Observation", Prefer="respond-async, return=minimal")

    assert (answer.status_code, answer.get_data()) == (201, b"")
    assert answer.headers["Preference-Applied"] == "return=minimal"


def test_a_representation_is_what_a_read_answers(client):
    answer = post(client, calcium(), "/Observation", Prefer="return=representation")

    assert got(answer, 201) == get(client, where(answer))


def test_what_is_not_judged_is_said_with_its_place_and_without_the_value(client):
    sent = calcium(valueQuantity=quantity(47.11, "foo"))

    answer = post(client, sent, "/Observation")

    assert issues(got(answer, 201)) == [("warning", "value", "Observation.valueQuantity")]
    assert "47.11" not in answer.text


def test_an_observation_of_several_values_names_all_of_them(client):
    component = {"code": concept("777-3"), "valueQuantity": quantity(300, "10*9/L")}

    answer = post(client, calcium(component=[component]), "/Observation")

    assert [place for _, _, place in issues(got(answer, 201))] == ["Observation", "Observation.component[0]"]
    assert len(found(client, "Observation", patient="p-1")) == 2


def test_a_report_is_taken_for_the_results_in_it(client):
    sent = report(contained=[calcium(id="o")], result=[{"reference": "#o"}])

    answer = post(client, sent, "/DiagnosticReport")

    told = got(answer)["issue"][0]
    assert told["expression"] == ["DiagnosticReport.contained[0]"]
    assert get(client, told["details"]["text"].removeprefix("kept as ").join(["/", ""]))["status"] == "final"
    assert "Location" not in answer.headers


def test_a_report_that_contradicts_itself_is_refused_whole(client, database):
    inside = [
        observation("718-7", id=None, valueQuantity=quantity(9, "g/dL")),
        observation("59260-0", id=None, valueQuantity=quantity(5, "mmol/L")),
    ]
    sent = report(id=None, contained=inside, result=None)

    told = refused(post(client, sent, "/DiagnosticReport"), 422)

    assert told == [("error", "duplicate", "DiagnosticReport.contained[1]")]
    assert row_counts(database)["inbox"] == 0


def test_a_report_without_its_results_says_so(client, database):
    answer = post(client, report("Observation/elsewhere"), "/DiagnosticReport")

    assert {code for _, code, _ in issues(got(answer))} == {"not-found", "informational"}
    assert row_counts(database)["results"] == 0


def test_what_is_no_laboratory_result_is_refused(client, database):
    category = concept("vital-signs", "http://terminology.hl7.org/CodeSystem/observation-category")
    sent = observation(concept("8867-4"), category=[category])

    assert refused(post(client, sent, "/Observation"), 422) == [("error", "processing", "Observation")]
    assert row_counts(database)["inbox"] == 0


def test_all_faults_are_told_at_once_and_nothing_is_kept(client, database):
    sent = calcium(status="x", subject=None, valueQuantity=quantity("11.9"))

    told = refused(post(client, sent, "/Observation"), 400)

    assert {place for _, _, place in told} >= {
        "Observation.status",
        "Observation.subject",
        "Observation.valueQuantity.value",
    }
    assert row_counts(database)["inbox"] == 0


def test_a_conditional_create_makes_nothing_where_something_is_held(client, database):
    sent = calcium(identifier=[LAB])
    first = post(client, sent, "/Observation", If_None_Exist="identifier=urn:lab|R-1")
    other = {**sent, "valueQuantity": quantity(13.5)}
    second = post(client, other, "/Observation", If_None_Exist="identifier=urn:lab|R-1")

    assert (first.status_code, second.status_code) == (201, 200)
    assert where(first) == where(second)
    assert row_counts(database)["results"] == 1


def test_a_condition_on_anything_else_is_refused(client):
    sent = calcium(identifier=[LAB])

    for condition in ("code=718-7", "identifier=urn:lab|R-2"):
        told = refused(post(client, sent, "/Observation", If_None_Exist=condition), 412)
        assert told == [("error", "not-supported", "Observation")]
    assert refused(put(client, sent, "/Observation/ca-1", If_None_Match="*"), 412)[0][1] == "not-supported"


def test_an_update_of_another_version_is_refused(client):
    put(client, calcium(), "/Observation/ca-1")
    corrected = calcium(12.9, status="corrected", issued=LATER)

    stale = put(client, corrected, "/Observation/ca-1", If_Match='W/"2"')
    fresh = put(client, corrected, "/Observation/ca-1", If_Match='W/"1"')

    assert refused(stale, 412) == [("error", "conflict", "Observation")]
    assert fresh.status_code == 200


def test_an_idempotency_key_has_one_answer(client):
    first = post(client, calcium(), "/Observation", Idempotency_Key='"a"')
    again = post(client, calcium(), "/Observation", Idempotency_Key='"a"')
    other = post(client, hemoglobin(), "/Observation", Idempotency_Key='"a"')

    assert (again.status_code, again.get_data(), where(again)) == (201, first.get_data(), where(first))
    assert again.headers["Idempotent-Replayed"] == "true"
    assert other.status_code == 422


def test_results_are_counted_as_at_the_other_doors(client, counted):
    done = counted(
        lambda: (post(client, calcium(), "/Observation"), post(client, calcium(status="x"), "/Observation")),
        "lab_alerts_results_total",
    )

    assert done == {
        labels(source="lab-1", analyte="calcium", outcome="flagged", reason=""): 1,
        labels(source="lab-1", analyte="", outcome="rejected", reason="invalid-fhir"): 1,
    }


def test_a_patient_is_known_by_the_same_name_at_every_door(client):
    subject = {"identifier": {"system": "urn:oid:1.2.3", "value": "88204113"}}
    post(client, calcium(subject=subject), "/Observation")

    (flag,) = client.get("/v1/flags").get_json()["items"]

    assert flag["patient"] == {"id": "88204113", "authority": "urn:oid:1.2.3"}
    assert len(found(client, "DetectedIssue", **{"patient:identifier": WHO})) == 1
