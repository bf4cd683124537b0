"""Whatever is refused below /fhir is told in FHIR."""

import pytest

from service.domain.errors import Unavailable
from service.flows import fhir_taking
from service.storage import searching
from tests.api.fhir.speak import MEDIA, calcium, got, post, refused, transaction
from tests.conftest import MAX_BODY
from tests.flows.build import panel

PATHS = ("/DetectedIssue", "/Flag?patient=1", "/Observation?patient=1", "/Observation/x", "/DetectedIssue/x", "/Flag/x")


@pytest.mark.parametrize("path", PATHS)
def test_reading_needs_a_key_with_the_scope_to_read(path, doors):
    answer = doors.without_key().get(f"/fhir/R4{path}")

    assert refused(answer, 401) == [("error", "login", "")]
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="lab-alerts"'
    assert refused(doors.with_scopes("panels:write").get(f"/fhir/R4{path}"), 403) == [("error", "forbidden", "")]


@pytest.mark.parametrize("path", ["", "/", "/Observation", "/DiagnosticReport", "/$process-message"])
def test_sending_needs_a_key_with_the_scope_to_send(path, doors):
    assert refused(post(doors.without_key(), {}, path), 401) == [("error", "login", "")]
    assert refused(post(doors.with_scopes("flags:read"), {}, path), 403) == [("error", "forbidden", "")]


@pytest.mark.parametrize("accepted", ["application/fhir+json", "application/json", "*/*", "application/*;q=0.5", ""])
def test_json_is_answered_to_all_who_take_it(accepted, client):
    answer = client.get("/fhir/R4/DetectedIssue", headers={"Accept": accepted})

    assert got(answer)["type"] == "searchset"


@pytest.mark.parametrize(
    ("accepted", "query"),
    [
        ("application/fhir+xml", ""),
        ("text/html", ""),
        ("application/fhir+json; fhirVersion=3.0", ""),
        ("application/json;q=0", ""),
        ("", "?_format=xml"),
    ],
)
def test_anything_but_json_is_not_acceptable(accepted, query, client):
    answer = client.get(f"/fhir/R4/DetectedIssue{query}", headers={"Accept": accepted})

    assert refused(answer, 406) == [("error", "not-supported", "")]


def test_only_json_is_read(client):
    answer = client.post("/fhir/R4", data=b"<Bundle/>", content_type="application/fhir+xml")

    assert refused(answer, 415) == [("error", "not-supported", "")]
    assert client.post("/fhir/R4", json=transaction(calcium())).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("delete", "/Observation/x", 405, "not-supported"),
        ("patch", "/Observation/x", 405, "not-supported"),
        ("get", "", 405, "not-supported"),
        ("get", "/DiagnosticReport", 405, "not-supported"),
        ("post", "/Patient", 404, "not-found"),
        ("get", "/$everything", 404, "not-found"),
    ],
)
def test_what_is_not_offered_is_refused(method, path, status, code, client):
    answer = getattr(client, method)(f"/fhir/R4{path}")

    assert [one[1] for one in refused(answer, status)] == [code]


def test_a_body_that_is_too_large_is_refused(client):
    answer = client.post("/fhir/R4", data=b" " * (MAX_BODY + 1), content_type=MEDIA)

    assert refused(answer, 413) == [("error", "too-long", "")]


def test_what_cannot_be_done_now_says_when_to_ask_again(client, monkeypatch):
    def away(*_, **__):
        raise Unavailable("the database is away", retry_after=7)

    monkeypatch.setattr(fhir_taking, "take_in_whole", away)
    answer = post(client, transaction(calcium()))

    assert refused(answer, 503) == [("fatal", "transient", "")]
    assert answer.headers["Retry-After"] == "7"


def test_a_failure_of_ours_tells_nothing_of_the_inside(client, monkeypatch):
    def failing(*_, **__):
        raise RuntimeError("secret 88204113")

    monkeypatch.setattr(searching, "flag_rows", failing)
    answer = client.get("/fhir/R4/DetectedIssue")

    assert refused(answer, 500) == [("fatal", "exception", "")]
    assert "88204113" not in answer.text


def test_odd_keys_and_times_out_of_reach_are_told_in_fhir(client):
    answer = post(client, transaction(calcium()), Idempotency_Key='"')

    assert refused(answer, 400) == [("error", "invalid", "")]
    assert refused(client.get("/fhir/R4/Flag?patient=%00"), 400) == [("error", "invalid", "")]


def test_other_doors_go_on_in_their_own_words(client):
    assert client.get("/fhirx").mimetype == "application/problem+json"
    assert client.post("/v1/panels", json=panel()).mimetype == "application/problem+json"
