"""What is counted at the doors: each thing once, under labels that are nobody's."""

import json

import pytest

from service.api.problems import PROBLEMS
from tests.api.exposed import labels
from tests.flows.build import calcium, encoded, hemoglobin, panel, result

NDJSON, CSV = "application/x-ndjson", "text/csv"


def ended(outcome, analyte="", reason=""):
    return labels(source="lab-1", analyte=analyte, outcome=outcome, reason=reason)


def test_results_are_counted_by_source_analyte_outcome_and_reason(client, counted):
    sent = panel(
        calcium("11.9"), hemoglobin("13.1"), result("albumin", "30", "g/L"), result("potassium", "4", "mmol/L")
    )

    found = counted(lambda: client.post("/v1/panels", json=sent), "lab_alerts_results_total")

    assert found == {
        ended("flagged", "calcium"): 1,
        ended("clear", "hemoglobin"): 1,
        ended("not_judged", "albumin", "no_rule"): 1,
        ended("not_judged", "unmapped", "code_unmapped"): 1,
    }


def test_what_was_held_already_is_counted_apart(client, counted):
    client.post("/v1/panels", json=panel(calcium("11.9")))

    def again():
        client.post("/v1/panels", json=panel(calcium("11.9")))

    assert counted(again, "lab_alerts_results_total") == {}
    assert counted(again, "lab_alerts_duplicate_results_total") == {labels(source="lab-1"): 1}


@pytest.mark.parametrize(
    "name",
    ["lab_alerts_results_total", "lab_alerts_duplicate_results_total", "lab_alerts_flags_total"],
)
def test_a_dry_run_is_not_counted(client, counted, name):
    client.post("/v1/panels", json=panel(calcium("11.9")))

    def tried():
        client.post("/v1/panels?dry_run=true", json=panel(calcium("11.9")))
        client.post("/v1/panels?dry_run=true", json=panel(calcium("12.9"), on=1))
        client.post("/v1/panels?dry_run=true", json={})
        client.post("/v1/panels?dry_run=true", data=encoded(panel(calcium("13.9"), on=2)), content_type=NDJSON)
        client.post("/v1/panels?dry_run=true", data=b"{}", content_type=NDJSON)

    assert counted(tried, name) == {}


def test_flags_are_counted_by_finding_severity_and_change(client, counted):
    def course():
        client.post("/v1/panels", json=panel(calcium("11.0")))
        client.post("/v1/panels", json=panel(calcium("13.9"), on=1))
        client.post("/v1/panels", json=panel(calcium("13.9", status="entered-in-error"), on=1))
        client.post("/v1/panels", json=panel(calcium("9.5"), on=2))

    found = counted(course, "lab_alerts_flags_total")

    assert found == {
        labels(finding="hypercalcemia", severity="mild", change="raised"): 1,
        labels(finding="hypercalcemia", severity="critical", change="escalated"): 1,
        labels(finding="hypercalcemia", severity="critical", change="withdrawn"): 1,
        labels(finding="hypercalcemia", severity="mild", change="resolved"): 1,
    }


def test_a_panel_that_is_refused_counts_as_one_result_rejected(client, counted):
    def refused():
        client.post("/v1/panels", json=panel(calcium("11,9"), hemoglobin("x" * 2000)))
        client.post("/v1/panels", data=b"{", content_type="application/json")
        client.post("/v1/panels", json=panel(result("calcium", "11.9", "fl")), headers={"Prefer": "handling=strict"})

    found = counted(refused, "lab_alerts_results_total")

    assert found == {
        ended("rejected", reason="invalid-panel"): 1,
        ended("rejected", reason="invalid-json"): 1,
        ended("rejected", reason="not-judgeable"): 1,
    }


def test_every_line_of_a_long_message_is_counted_as_its_answer_says(client, counted):
    lines = b"\n".join([encoded(panel(calcium("11.9"))), b"{}", encoded(panel(hemoglobin("13.1"), on=1))])
    told = []

    def sent():
        told.extend(
            json.loads(line) for line in client.post("/v1/panels", data=lines, content_type=NDJSON).data.splitlines()
        )

    found = counted(sent, "lab_alerts_results_total")

    assert found == {
        ended("flagged", "calcium"): 1,
        ended("clear", "hemoglobin"): 1,
        ended("rejected", reason="invalid-panel"): 1,
    }
    assert told[-1]["summary"]["counts"] == {
        "received": 3,
        "flagged": 1,
        "clear": 1,
        "not_judged": 0,
        "rejected": 1,
    }


def test_every_row_of_a_refused_panel_of_a_csv_is_counted(client, counted):
    rows = (
        b"patient_id,collected_at,analyte,value,unit\np,2026-11-01,calcium,9,mg/dL\np,2026-11-01,platelets,9,10*9/L\n"
    )

    found = counted(lambda: client.post("/v1/panels", data=rows, content_type=CSV).data, "lab_alerts_results_total")

    assert sum(found.values()) == 2
    assert {dict(one)["outcome"] for one in found} == {"rejected"}


def test_the_time_to_the_commit_is_counted_by_door(client, counted):
    rows = b"patient_id,collected_at,analyte,value,unit\np,2026-11-01T08:00:00Z,calcium,9,mg/dL\n"

    def sent():
        client.post("/v1/panels", json=panel(calcium("11.9")))
        client.post("/v1/panels", json={})
        many = [encoded(panel(calcium("11.9"), on=number)) for number in range(1, 4)]
        client.post("/v1/panels", data=b"\n".join(many), content_type=NDJSON).get_data()
        client.post("/v1/panels", data=rows, content_type=CSV).get_data()

    found = counted(sent, "lab_alerts_intake_seconds_count")

    assert found == {labels(door="json"): 1, labels(door="ndjson"): 3, labels(door="csv"): 1}


def test_requests_are_counted_by_route_and_never_by_path(client, counted):
    def asked():
        client.get("/v1/patients/88204113/flags")
        client.get("/v1/patients/88204113/timeline?x=1")
        client.get("/88204113")
        client.open("/v1/flags", method="88204113")
        client.post("/v1/panels", data=encoded(panel(calcium("9"))), content_type=NDJSON, buffered=True)
        tag = client.get("/v1/notes").headers["ETag"]
        client.get("/v1/notes", headers={"If-None-Match": tag})

    found = counted(asked, "lab_alerts_http_request_seconds_count")

    scrapes = found.pop(labels(route="/metrics", method="GET", status="200"))
    assert scrapes == 1
    assert found == {
        labels(route="/v1/patients/<path:patient_id>/flags", method="GET", status="404"): 1,
        labels(route="/v1/patients/<path:patient_id>/timeline", method="GET", status="400"): 1,
        labels(route="none", method="GET", status="404"): 1,
        labels(route="none", method="other", status="405"): 1,
        labels(route="/v1/panels", method="POST", status="200"): 1,
        labels(route="/v1/notes", method="GET", status="200"): 1,
        labels(route="/v1/notes", method="GET", status="304"): 1,
    }


def test_problems_are_counted_by_type(client, counted):
    found = counted(lambda: [client.get("/v1/flags/flg_x"), client.get("/v1/notes?x")], "lab_alerts_problems_total")

    assert found == {labels(type="not-found"): 1, labels(type="invalid-query"): 1}


def test_every_type_of_problem_is_told_from_the_start(scrape):
    told = {dict(found)["type"] for name, found in scrape() if name == "lab_alerts_problems_total"}

    assert told == set(PROBLEMS)
