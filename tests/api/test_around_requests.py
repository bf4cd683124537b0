"""Around every request: its id, the headers of its answer, and a log that knows nobody."""

import json
import logging

import pytest
from sqlalchemy.exc import IntegrityError

from service import logs
from service.config import Settings
from service.domain.errors import Unavailable
from tests.flows.build import calcium, hemoglobin, panel

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def test_a_request_id_is_given_back(client):
    answer = client.get("/v1/flags", headers={"Request-Id": "order-66.a_b"})

    assert answer.headers["Request-Id"] == "order-66.a_b"


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "<script>", "a,b", "é"])
def test_a_request_id_that_could_be_anything_is_replaced(client, sent):
    answer = client.get("/v1/flags", headers={"Request-Id": sent})

    assert answer.headers["Request-Id"] != sent
    assert len(answer.headers["Request-Id"]) == 32


def test_two_requests_have_two_ids(client):
    assert client.get("/v1/flags").headers["Request-Id"] != client.get("/v1/flags").headers["Request-Id"]


@pytest.mark.parametrize("path", ["/v1/flags", "/v1/nothing", "/health/live", "/docs", "/openapi.json", "/v1/panels"])
def test_every_answer_carries_the_headers_of_security(client, path):
    answer = client.get(path)

    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("path", ["/docs", "/assets/site.css", "/v1/flags", "/metrics"])
def test_no_header_is_said_twice(client, path):
    with client.get(path) as answer:
        names = [name.lower() for name, _ in answer.headers]

    assert sorted(names) == sorted(set(names))


def test_a_panel_stands_under_the_address_that_a_proxy_gives_the_service(client):
    answer = client.post("/v1/panels", json=panel(calcium("11.2")), base_url="https://alerts.example/lab")

    assert answer.headers["Location"] == f"/lab/v1/panels/{answer.get_json()['id']}"


def test_only_over_https_a_browser_is_bound_to_https(client):
    plain = client.get("/health/live")
    secure = client.get("/health/live", base_url="https://alerts.example")

    assert "Strict-Transport-Security" not in plain.headers
    assert secure.headers["Strict-Transport-Security"].startswith("max-age=")


# Values and names that stand nowhere else.
SECRETS = ("Zaphod-4711", "Beeblebrox", "1942-07-19", "13.3719", "77.4242", "ACC-90210", "remarkable-note", "R-31337")


@pytest.fixture
def lines(one_app, capsys):
    """Call it for every line that was logged, at the most talkative level."""
    before = logging.getLogger().level
    logs.configure(Settings(log_level="debug"))

    def found():
        return capsys.readouterr().out.splitlines()

    yield found
    logs.configure(Settings())
    logging.getLogger().setLevel(before)


@pytest.fixture
def telling():
    """A panel full of what must not be told."""
    patient = {"id": "Zaphod-4711", "name": "Beeblebrox", "birth_date": "1942-07-19", "sex": "male"}
    return panel(
        calcium("13.3719", id="R-31337", note="remarkable-note", reference_range={"high": "10.1"}),
        hemoglobin("77.4242"),
        patient=patient,
        accession="ACC-90210",
        note="remarkable-note",
    )


def test_nothing_of_anybody_is_logged_when_all_goes_well(client, lines, telling):
    sent = client.post("/v1/panels", json=telling)
    client.post("/v1/panels", json=telling)
    client.get(sent.headers["Location"])
    client.get("/v1/patients/Zaphod-4711/flags?authority=lab-1&limit=1")
    client.get(sent.get_json()["flags"][0]["href"])

    assert_silent(lines(), at_least=5)


def test_nothing_of_anybody_is_logged_when_a_request_is_refused(client, lines, telling):
    client.post("/v1/panels", json={**telling, "Beeblebrox": "13.3719"})
    client.post("/v1/panels", json=telling, headers={"Prefer": "handling=strict"})
    client.post("/v1/panels", data=json.dumps(telling)[:-1], content_type="application/json")
    client.get("/v1/patients/Beeblebrox/flags")
    client.get("/v1/flags?patient=Zaphod-4711&nonsense=13.3719")
    client.get("/v1/Zaphod-4711")
    client.open("/v1/patients/Zaphod-4711/flags", method="Beeblebrox")

    assert_silent(lines(), at_least=7)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Zaphod-4711 has 13.3719"),
        Unavailable("the database is busy"),
        IntegrityError("INSERT", {"identifier": "Zaphod-4711"}, Exception("DETAIL: Key (Zaphod-4711) exists")),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("place", ["service.storage.results.keep", "service.storage.outbox.keep"])
def test_nothing_of_anybody_is_logged_or_answered_when_we_fail(client, lines, telling, monkeypatch, error, place):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(place, fail)

    answer = client.post("/v1/panels", json=telling)

    assert answer.status_code in {500, 503}
    assert not any(secret in answer.text for secret in SECRETS)
    assert_silent(lines(), at_least=2)


def test_nothing_of_anybody_is_logged_when_the_database_itself_refuses(client, lines, telling, monkeypatch):
    monkeypatch.setattr("service.storage.results._values", lambda *_: {"status": "Zaphod-4711"})

    answer = client.post("/v1/panels", json=telling)

    assert answer.status_code == 500
    assert_silent(lines(), at_least=2)


def test_no_key_is_ever_logged(doors, lines):
    secret = doors.key("flags:read")

    doors.with_key(secret).get("/v1/flags")
    doors.with_key(secret).post("/v1/panels")

    assert not any(secret in line for line in lines())


def assert_silent(found, *, at_least):
    assert len(found) >= at_least
    for line in found:
        json.loads(line)
        assert not [secret for secret in SECRETS if secret in line]


def test_a_line_says_which_route_was_asked_and_never_which_path(client, lines):
    client.get("/v1/patients/Zaphod-4711/flags")

    (line,) = (json.loads(line) for line in lines() if '"request"' in line)
    assert (line["route"], line["status"]) == ("/v1/patients/<path:patient_id>/flags", 404)
