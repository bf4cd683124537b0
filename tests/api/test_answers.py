"""Every route answers as its description says, and says what the wire contract promises."""

import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from tests.api.described import as_described
from tests.flows.build import WOMAN, calcium, day, hemoglobin, panel, platelets, result

MIXED = panel(
    calcium("11.90", reference_range={"low": "8.6", "high": "10.3"}, id="R-1", note="hemolytic"),
    hemoglobin("9.1", status="preliminary"),
    platelets("5", comparator="<"),
    {"code": "6768-6", "value": 88, "unit": "U/L"},
    result("albumin", "30", "g/L"),
    result("potassium", "4.1", "mmol/L"),
    accession="A-2026-000123",
    note="drawn at home",
)


def test_the_description_is_valid_openapi(document):
    validate(document, cls=OpenAPIV31SpecValidator)

    assert document["openapi"] == "3.1.0"


# Where the doors are that need a key.
KEYED = ("/v1", "/hl7v2", "/metrics")


def test_every_route_for_machines_is_described_and_no_other(one_app, document):
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in one_app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith((*KEYED, "/health"))
    }
    described = {
        (path, method)
        for path, operations in document["paths"].items()
        for method in operations
        if method != "parameters"
    }

    assert described == routes


def test_every_described_route_has_a_title_and_says_what_it_needs(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            assert operation["summary"], path
            needs = operation.get("security", [{}])
            assert ({} not in needs) == path.startswith(KEYED), path
            assert ("x-scope" in operation) == path.startswith(KEYED), path


def test_what_every_route_may_answer_and_be_asked_is_described(document):
    found = [
        (path, method, one)
        for path, by in document["paths"].items()
        if path.startswith("/v1")
        for method, one in by.items()
    ]
    shared = {(path, one["name"]) for path, method, given in found if method == "parameters" for one in given}

    for path, method, one in found:
        if method != "parameters":
            names = {given["name"] for given in one.get("parameters", [])}
            assert "400" in one["responses"], (path, method)
            assert ("304" in one["responses"]) == (method == "get"), (path, method)
            assert ("412" in one["responses"]) == ("If-Match" in names), (path, method)
    assert "If-Match" not in {name for _, name in shared}


def test_a_panel_is_answered_with_a_verdict_on_every_result(client, document):
    answer = client.post("/v1/panels", json=MIXED)

    body = as_described(document, "/v1/panels", answer)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/panels/{body['id']}"
    assert body["counts"] == {"received": 6, "flagged": 3, "clear": 1, "not_judged": 2, "rejected": 0}
    assert [(one["pointer"], one["outcome"], one.get("analyte")) for one in body["verdicts"]] == [
        ("/results/0", "flagged", "calcium"),
        ("/results/1", "flagged", "hemoglobin"),
        ("/results/2", "flagged", "platelets"),
        ("/results/3", "clear", "alkaline_phosphatase"),
        ("/results/4", "not_judged", "albumin"),
        ("/results/5", "not_judged", None),
    ]
    assert body["ruleset"] == "blood-findings-1"
    assert body["intended_use"]


def test_a_flagged_verdict_names_finding_severity_grade_reason_and_flag(client):
    body = client.post("/v1/panels", json=MIXED).get_json()

    verdict = body["verdicts"][0]
    assert (verdict["finding"], verdict["severity"], verdict["direction"]) == ("hypercalcemia", "moderate", "high")
    assert verdict["grade"] == "CTCAE v5.0 grade 2"
    assert "11.90 mg/dL" in verdict["why"]
    assert verdict["flag"] in {flag["id"] for flag in body["flags"]}
    assert body["verdicts"][1]["provisional"] is True


def test_every_flag_comes_with_its_note_its_episode_and_a_change(client):
    body = client.post("/v1/panels", json=MIXED).get_json()

    assert {flag["finding"] for flag in body["flags"]} == {"hypercalcemia", "anemia", "thrombocytopenia", "pattern"}
    assert {change["flag"] for change in body["changes"]} == {flag["id"] for flag in body["flags"]}
    for flag in body["flags"]:
        assert flag["state"] == "open"
        assert flag["episode"].startswith("eps_")
        assert flag["note"]["text"]
        assert flag["note"]["sources"]
        assert client.get(flag["href"]).status_code == 200


def test_what_could_not_be_judged_says_why_and_what_would_help(client):
    body = client.post("/v1/panels", json=panel(calcium("11.9") | {"unit": "furlong"})).get_json()

    (verdict,) = body["verdicts"]
    assert (verdict["outcome"], verdict["reason"]) == ("not_judged", "unit_unknown")
    assert "furlong" in verdict["detail"]
    assert "mg/dL" in verdict["hint"]


def test_a_duplicate_is_answered_with_200_and_says_so(client, document):
    first = client.post("/v1/panels", json=MIXED)

    second = client.post("/v1/panels", json=MIXED)

    body = as_described(document, "/v1/panels", second)
    assert (second.status_code, body["duplicate"], body["changes"]) == (200, True, [])
    assert body["id"] == first.get_json()["id"]
    assert body["counts"] == first.get_json()["counts"]


def test_a_dry_run_is_answered_with_200_and_has_no_id(client, document):
    answer = client.post("/v1/panels?dry_run=true", json=MIXED)

    body = as_described(document, "/v1/panels", answer)
    assert (answer.status_code, body["id"], "Location" in answer.headers) == (200, None, False)
    assert body["counts"]["flagged"] == 3
    assert client.get("/v1/flags").get_json()["items"] == []


def test_strict_handling_is_said_to_be_applied(client):
    answer = client.post("/v1/panels", json=panel(calcium("11.9")), headers={"Prefer": "handling=strict"})

    assert (answer.status_code, answer.headers["Preference-Applied"]) == (201, "handling=strict")


def test_a_kept_panel_shows_what_was_sent_to_the_letter(client, document):
    sent = client.post("/v1/panels", json=MIXED)

    answer = client.get(sent.headers["Location"])

    body = as_described(document, "/v1/panels/{panel_id}", answer)
    assert body["patient"] == {"id": WOMAN["id"], "authority": "hospital-a"}
    assert body["accession"] == "A-2026-000123"
    assert body["collected_at"] == "2026-11-01T08:00:00Z"
    assert body["counts"] == sent.get_json()["counts"]
    first = body["verdicts"][0]["sent"]
    assert (first["value"], first["unit"], first["id"], first["note"]) == ("11.90", "mg/dL", "R-1", "hemolytic")
    assert first["reference_range"] == {"low": "8.6", "high": "10.3"}
    assert body["verdicts"][2]["sent"]["comparator"] == "<"
    assert body["verdicts"][3]["sent"]["code"] == {"system": "http://loinc.org", "code": "6768-6"}


def test_a_kept_panel_says_which_of_its_results_count_no_longer(client, document):
    old = client.post("/v1/panels", json=panel(calcium("11.9"))).headers["Location"]
    client.post("/v1/panels", json=panel(calcium("9.9"), status="corrected"))

    body = as_described(document, "/v1/panels/{panel_id}", client.get(old))

    assert [one["current"] for one in body["verdicts"]] == [False]


def test_the_flag_history_shows_every_flag_with_its_state(client, document):
    client.post("/v1/panels", json=panel(calcium("11.9")))
    client.post("/v1/panels", json=panel(calcium("13.2"), status="corrected"))

    everybody = as_described(document, "/v1/flags", client.get("/v1/flags"))
    one = as_described(document, "/v1/patients/{patient_id}/flags", client.get(f"/v1/patients/{WOMAN['id']}/flags"))

    assert everybody["items"] == one["items"]
    states = {item["state"]: item for item in one["items"]}
    assert set(states) == {"open", "superseded"}
    assert states["superseded"]["superseded_by"] == states["open"]["id"]
    assert one["next"] is None


def test_one_flag_explains_itself_whole(client, document):
    sent = client.post("/v1/panels", json=MIXED).get_json()
    flag = next(one for one in sent["flags"] if one["finding"] == "hypercalcemia")

    body = as_described(document, "/v1/flags/{flag_id}", client.get(flag["href"]))

    told = str(body["explanation"])
    assert "11.90" in told
    assert "10.3" in told
    assert body["ruleset"] == "blood-findings-1"
    assert body["results"] == [sent["verdicts"][0]["result"]]
    assert body["note"]["text"] == flag["note"]["text"]
    assert [event["type"] for event in body["history"]] == ["lab.flag.raised"]
    assert body["episode"]["state"] == "open"


def test_the_history_of_a_flag_tells_everything_that_was_told_of_it(client, document):
    raised = client.post("/v1/panels", json=panel(calcium("11.9"))).get_json()["flags"][0]["id"]
    client.post("/v1/panels", json=panel(calcium("9.9"), on=2))
    client.post("/v1/panels", json=panel(calcium("9.9"), on=2, status="entered-in-error"))
    client.post("/v1/panels", json=panel(calcium("11.9"), status="cancelled"))

    body = as_described(document, "/v1/flags/{flag_id}", client.get(f"/v1/flags/{raised}"))

    assert body["state"] == "withdrawn"
    assert [event["type"].removeprefix("lab.flag.") for event in body["history"]] == [
        "raised",
        "resolved",
        "reopened",
        "withdrawn",
    ]


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/analytes", "/v1/analytes"),
        ("/v1/rulesets", "/v1/rulesets"),
        ("/v1/rulesets/blood-findings-1", "/v1/rulesets/{version}"),
        ("/v1/notes", "/v1/notes"),
        ("/health/live", "/health/live"),
        ("/health/ready", "/health/ready"),
    ],
)
def test_what_is_known_and_how_it_goes_is_answered_as_described(client, document, path, route):
    answer = client.get(path)

    as_described(document, route, answer)
    assert answer.status_code == 200


def test_the_analytes_come_with_units_codes_intervals_and_the_loinc_notice(client):
    body = client.get("/v1/analytes").get_json()

    found = {one["key"]: one for one in body["items"]}
    assert set(found) == {
        "calcium", "calcium_corrected", "calcium_ionized", "albumin", "alkaline_phosphatase", "hemoglobin", "platelets",
    }  # fmt: skip
    assert {"17861-6", "2000-8"} <= {one["code"] for one in found["calcium"]["loinc"]}
    assert "LOINC" in body["loinc_notice"]


def test_a_number_may_be_a_json_number_and_keeps_its_text(client):
    body = b"""{"patient": {"id": "1"}, "collected_at": "2026-11-01T08:00:00Z",
                "results": [{"analyte": "calcium", "value": 11.90, "unit": "mg/dL"}]}"""
    sent = client.post("/v1/panels", data=body, content_type="application/json")

    kept = client.get(sent.headers["Location"]).get_json()

    assert kept["verdicts"][0]["sent"]["value"] == "11.90"


def test_head_answers_like_get_without_a_body(client):
    answer = client.head("/v1/flags")

    assert (answer.status_code, answer.data) == (200, b"")


def test_times_are_answered_in_utc(client):
    sent = panel(calcium("11.9"), collected_at=day(0).isoformat().replace("08:00:00+00:00", "08:00:00+05:30"))

    flag = client.post("/v1/panels", json=sent).get_json()["flags"][0]

    assert flag["collected_at"] == "2026-11-01T02:30:00Z"


def test_a_version_that_counts_no_longer_is_shown_as_replaced(client):
    first = client.post("/v1/panels", json=panel(calcium("11.9", id="R-1"))).get_json()["id"]
    client.post("/v1/panels", json=panel(calcium("10.9", id="R-1"), status="corrected"))

    shown = client.get(f"/v1/panels/{first}").get_json()

    assert shown["counts"]["flagged"] == 0
    assert shown["verdicts"][0]["reason"] == "replaced_by_newer_version"
    assert shown["verdicts"][0]["sent"]["value"] == "11.9"


def test_a_flag_shows_what_stood_beside_its_own_version(client):
    albumin = {"analyte": "albumin", "value": "30", "unit": "g/L"}
    sent = panel(calcium("11.9", id="R-1"), albumin)
    flag = client.post("/v1/panels", json=sent).get_json()["flags"][0]["id"]
    client.post("/v1/panels", json=panel(calcium("10.9", id="R-1"), status="corrected"))

    context = client.get(f"/v1/flags/{flag}").get_json()["context"]

    assert context["albumin_corrected_calcium"]["value"] == "12.70"


def test_a_note_beside_an_inexact_value_says_that_it_may_be_worse(client):
    sent = panel({"analyte": "platelets", "comparator": "<", "value": "100", "unit": "10*9/L"})

    flag = client.post("/v1/panels", json=sent).get_json()["flags"][0]
    whole = client.get(flag["href"]).get_json()

    assert flag["at_least"]
    assert flag["note"]["text"].startswith("The exact value is not known. It may be worse than this note says.")
    assert whole["note"]["text"] == flag["note"]["text"]


@pytest.mark.parametrize(
    ("rule", "row", "stated"),
    [
        (0, 1, {"mg/dL": "11.5", "mmol/L": "2.9"}),
        (1, 1, {"mmol/L": "1.5"}),
        (3, 3, {"g/dL": "7"}),
        (4, 1, {"10*9/L": "75"}),
    ],
)
def test_a_rule_set_shows_its_numbers_as_published(client, rule, row, stated):
    shown = client.get("/v1/rulesets/blood-findings-1").get_json()

    assert shown["rules"][rule]["rows"][row]["beyond"] == stated


def test_an_interval_shows_its_limits_as_published(client):
    analytes = {one["key"]: one for one in client.get("/v1/analytes").get_json()["items"]}

    pregnant = next(one for one in analytes["calcium"]["intervals"] if one.get("trimesters"))

    assert pregnant["high"] == {"mmol/L": "2.35"}
