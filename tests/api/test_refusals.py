"""Every refusal is a documented problem, names every fault, and leaves nothing behind."""

import io
import json

import pytest

from service.api.problems import PROBLEMS
from service.domain.errors import Unavailable
from service.storage.database import Database
from tests.api.described import as_described, as_problem
from tests.conftest import MAX_BODY
from tests.flows.build import WOMAN, calcium, encoded, panel, row_counts

JSON = "application/json"


def test_broken_json_names_line_and_column(client, document):
    answer = client.post("/v1/panels", data=b'{"patient": {\n  "id" "1"}}', content_type=JSON)

    body = as_problem(answer, "invalid-json")
    as_described(document, "/v1/panels", answer)
    assert "line 2, column 8" in body["detail"]


def test_every_fault_of_a_panel_is_named_at_once(client, document, database):
    sent = panel(calcium("NaN"), {"unit": "mg/dL", "vallue": "1"}, collected_at="2026-11-01T08:00:00")

    answer = client.post("/v1/panels", json=sent)

    body = as_problem(answer, "invalid-panel")
    as_described(document, "/v1/panels", answer)
    assert {(one["pointer"], one["code"]) for one in body["errors"]} == {
        ("/collected_at", "time-without-offset"),
        ("/results/0/value", "number-invalid"),
        ("/results/1/value", "required"),
        ("/results/1/vallue", "unknown-field"),
        ("/results/1/analyte", "required"),
    }
    assert {name: count for name, count in row_counts(database).items() if count} == {"api_keys": 1}


def test_a_misspelled_field_is_named_with_the_nearest_known_one(client):
    body = as_problem(client.post("/v1/panels", json=panel(calcium("9") | {"vallue": "1"})), "invalid-panel")

    assert [one["hint"] for one in body["errors"]] == ["did you mean 'value'?"]


def test_strict_handling_refuses_what_cannot_be_judged(client, document, database):
    answer = client.post(
        "/v1/panels", json=panel(calcium("11.9") | {"unit": "furlong"}), headers={"Prefer": "handling=strict"}
    )

    body = as_problem(answer, "not-judgeable")
    as_described(document, "/v1/panels", answer)
    assert [(one["pointer"], one["code"]) for one in body["errors"]] == [("/results/0/unit", "unit-unknown")]
    assert "mg/dL" in body["errors"][0]["hint"]
    assert row_counts(database)["panels"] == 0


@pytest.mark.parametrize("prefer", ["handling=strict", "handling=STRICT", 'respond-async, handling="strict"; x=1'])
def test_strict_handling_is_understood_as_rfc_7240_writes_it(client, prefer):
    sent = panel(calcium("11.9") | {"unit": "furlong"})

    as_problem(client.post("/v1/panels", json=sent, headers={"Prefer": prefer}), "not-judgeable")


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "application/fhir+json", ""])
def test_another_media_type_is_refused_with_the_one_that_is_read(client, document, media):
    answer = client.post("/v1/panels", data=encoded(panel(calcium("9"))), content_type=media)

    as_problem(answer, "unsupported-media-type")
    as_described(document, "/v1/panels", answer)
    assert answer.headers["Accept-Post"] == f"{JSON}, application/x-ndjson, text/csv"


def test_an_encoded_body_is_refused(client):
    answer = client.post("/v1/panels", data=b"\x1f\x8b", content_type=JSON, headers={"Content-Encoding": "gzip"})

    as_problem(answer, "unsupported-media-type")


def test_a_body_that_is_too_large_is_refused(client, document, database):
    sent = encoded(panel(calcium("11.9"))) + b" " * MAX_BODY

    answer = client.post("/v1/panels", data=sent, content_type=JSON)

    as_problem(answer, "body-too-large")
    as_described(document, "/v1/panels", answer)
    assert row_counts(database)["inbox"] == 0


def test_a_body_of_unsaid_length_that_is_too_large_is_refused(client, database):
    sent = encoded(panel(calcium("11.9"))) + b" " * MAX_BODY

    answer = client.post(
        "/v1/panels",
        input_stream=io.BytesIO(sent),
        content_type=JSON,
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )

    as_problem(answer, "body-too-large")
    assert row_counts(database)["inbox"] == 0


def test_a_body_of_unsaid_length_is_taken_when_it_is_small_enough(client):
    answer = client.post(
        "/v1/panels",
        input_stream=io.BytesIO(encoded(panel(calcium("11.9")))),
        content_type=JSON,
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/panels", {"POST", "OPTIONS"}),
        ("DELETE", "/v1/panels/pnl_1", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/v1/flags", {"GET", "HEAD", "OPTIONS"}),
        ("PUT", "/v1/flags/flg_1", {"GET", "HEAD", "OPTIONS"}),
        ("PATCH", "/v1/patients/1/flags", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/health/live", {"GET", "HEAD", "OPTIONS"}),
        ("BREW", "/v1/flags", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_method_that_is_not_allowed_is_refused_with_those_that_are(client, method, path, allowed):
    answer = client.open(path, method=method)

    as_problem(answer, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/panels/pnl_unknown", "/v1/panels/{panel_id}"),
        ("/v1/flags/flg_unknown", "/v1/flags/{flag_id}"),
        ("/v1/patients/unknown/flags", "/v1/patients/{patient_id}/flags"),
        ("/v1/flags?patient=unknown", "/v1/flags"),
        ("/v1/rulesets/blood-findings-99", "/v1/rulesets/{version}"),
    ],
)
def test_what_is_not_there_is_not_found(client, document, path, route):
    answer = client.get(path)

    as_problem(answer, "not-found")
    as_described(document, route, answer)


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/flags/", "/v2/flags", "/v1/patients//flags", "/favicon.ico"])
def test_a_path_that_is_no_route_is_refused_as_a_problem(client, path):
    answer = client.get(path, follow_redirects=True)

    as_problem(answer, "not-found")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("finding=gout", "finding"),
        ("severity=high", "severity"),
        ("state=closed", "state"),
        ("collected_from=2026-11-01", "collected_from"),
        ("collected_from=2026-11-01T08:00:00", "collected_from"),
        ("collected_to=9999-12-31T23:59:59-14:00", "collected_to"),
        ("page=2", "page"),
        ("severty=mild", "severty"),
    ],
)
def test_a_query_that_is_not_understood_is_refused_by_the_name_of_the_parameter(client, document, query, pointer):
    answer = client.get(f"/v1/flags?{query}")

    body = as_problem(answer, "invalid-query")
    as_described(document, "/v1/flags", answer)
    assert [one["pointer"] for one in body["errors"]] == [pointer]


def test_a_misspelled_parameter_is_named_with_the_nearest_known_one(client):
    body = as_problem(client.get("/v1/flags?severty=mild"), "invalid-query")

    assert body["errors"][0]["hint"] == "did you mean 'severity'?"


def test_a_query_of_sending_that_is_not_understood_is_refused(client, database):
    for query in ("dry_run=perhaps", "dryrun=true"):
        as_problem(client.post(f"/v1/panels?{query}", json=panel(calcium("11.9"))), "invalid-query")

    assert row_counts(database)["panels"] == 0


@pytest.mark.parametrize(
    "path",
    [
        "/v1/patients/%00/flags",
        "/v1/panels/%00",
        "/v1/flags/a%00b",
        "/v1/rulesets/%00",
        "/v1/flags?patient=%00",
        "/v1/flags?source=a%00",
        "/v1/flags?source=a&source=b%00",
        "/v1/flags?authority=%00&patient=1",
        "/v1/flags?cursor=%00",
        "/v1/%00",
    ],
)
def test_a_nul_is_refused_wherever_it_stands(client, path):
    assert client.get(path).status_code in {400, 404}


@pytest.mark.parametrize(
    "path",
    ["/v1/patients/%ED%A0%80/flags", "/v1/patients/%FF%FE/flags", "/v1/flags?patient=%ED%A0%80", "/v1/flags?%FF=1"],
)
def test_text_that_is_not_utf_8_finds_nobody(client, path):
    assert client.get(path).status_code in {400, 404}


def test_an_ambiguous_patient_is_refused_with_the_authorities_to_choose_from(client, document):
    for authority in ("hospital-a", "hospital-b"):
        client.post("/v1/panels", json=panel(calcium("11.9"), patient={**WOMAN, "authority": authority}))

    answer = client.get(f"/v1/patients/{WOMAN['id']}/flags")

    body = as_problem(answer, "ambiguous-patient")
    as_described(document, "/v1/patients/{patient_id}/flags", answer)
    assert body["detail"] == "assigned by: hospital-a, hospital-b"
    assert "authority" in body["remedy"]
    chosen = client.get(f"/v1/patients/{WOMAN['id']}/flags?authority=hospital-b").get_json()
    assert [item["patient"]["authority"] for item in chosen["items"]] == ["hospital-b"]


def test_a_failure_of_ours_says_nothing_of_the_inside(client, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr("service.storage.history.flag_page", fail)

    answer = client.get("/v1/flags")

    as_problem(answer, "internal-error")
    assert b"secret" not in answer.data


def test_what_cannot_be_done_now_says_when_to_come_again(client, document, monkeypatch):
    def fail(*_, **__):
        raise Unavailable("the database is busy", retry_after=7)

    monkeypatch.setattr("service.storage.history.flag_page", fail)

    answer = client.get("/v1/flags")

    as_problem(answer, "unavailable")
    as_described(document, "/v1/flags", answer)
    assert answer.headers["Retry-After"] == "7"


def test_without_a_database_every_door_says_so(doors, one_app, means, tmp_path):
    secret = doors.key("admin")
    gone = Database.open(f"sqlite:///{tmp_path}")  # a folder, which is no database
    one_app.extensions["lab_alerts"] = type(means)(database=gone, catalogue=means.catalogue)

    for path in ("/v1/flags", "/v1/analytes"):
        as_problem(doors.with_key(secret).get(path), "unavailable")

    gone.close()


def test_every_kind_of_problem_has_a_page_of_its_own(one_app):
    for problem in PROBLEMS.values():
        answer = one_app.test_client().get(problem.type)
        assert answer.status_code == 200
        assert problem.title in answer.text.replace("&#39;", "'")


def test_an_error_shows_the_sender_what_was_sent_but_not_more_than_needed(client):
    body = as_problem(client.post("/v1/panels", json=panel(calcium("9", note="x" * 2000))), "invalid-panel")

    assert len(json.dumps(body)) < 1500
