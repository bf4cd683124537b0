"""The door of CDS Hooks: discovery, refusals in the words of FHIR, and browsers of other origins."""

import pytest

from service.api.cds_hooks import Policy
from service.domain.errors import Unavailable
from service.formats.cds_hooks.services import SERVICES
from tests.api.cds.speak import asked, cards, hold, post, refused
from tests.flows.build import calcium

ORIGIN = "https://ehr.example"


def test_discovery_lists_each_service_with_everything_that_can_be_judged(bedside, means):
    answer = bedside.get("/cds-services")

    assert (answer.status_code, answer.content_type) == (200, "application/json")
    services = answer.get_json()["services"]
    assert [one["id"] for one in services] == list(SERVICES)
    labs = services[0]["prefetch"]["labs"]
    assert all(
        f"http://loinc.org|{code}" in labs for one in means.catalogue.rulebook.analytes.all for code in one.loinc
    )
    assert "+" not in labs
    assert len(labs) < 2_000


@pytest.mark.parametrize(
    ("service", "path", "body", "status", "expected"),
    [
        ("lab-flags", "", b"{", 400, [("structure", "")]),
        ("lab-flags", "", b"", 400, [("structure", "")]),
        ("lab-flags", "", b"[]", 400, [("structure", "")]),
        ("lab-flags", "", b'{"hook": "a", "hook": "b"}', 400, [("structure", "/hook")]),
        ("lab-flags", "", asked(hook="order-sign"), 400, [("value", "hook")]),
        ("lab-flags-order-sign", "", asked("lab-flags"), 400, [("value", "hook"), ("required", "context.draftOrders")]),
        ("nothing", "", asked(), 404, [("not-found", "")]),
        ("nothing", "/feedback", {"feedback": []}, 404, [("not-found", "")]),
        ("lab-flags", "/feedback", {}, 400, [("required", "feedback")]),
        ("lab-flags", "/nothing", {}, 404, [("not-found", "")]),
    ],
)
def test_what_cannot_be_answered_is_refused_as_fhir_says_it(service, path, body, status, expected, bedside):
    assert refused(post(bedside, body, service, path), status) == expected


def test_other_media_types_methods_and_sizes_are_refused_as_fhir_says_it(bedside):
    other = bedside.post("/cds-services/lab-flags", data=b"{}", content_type="text/plain")
    method = bedside.get("/cds-services/lab-flags")
    large = bedside.post("/cds-services/lab-flags", data=b" " * 100_000, content_type="application/json")

    assert refused(other, 415) == refused(method, 405) == [("not-supported", "")]
    assert "POST" in method.headers["Allow"]
    assert refused(large, 413) == [("too-long", "")]


def test_a_failure_of_ours_is_told_in_the_same_words(bedside, monkeypatch):
    monkeypatch.setattr("service.flows.cds_hooks.read_person", lambda *_, **__: 1 / 0)

    assert refused(post(bedside, asked()), 500) == [("exception", "")]


def test_a_database_that_is_away_is_told_in_the_same_words(bedside, monkeypatch):
    def away(*_, **__):
        raise Unavailable("the database is away")

    monkeypatch.setattr("service.flows.cds_hooks.patients.find", away)

    answer = post(bedside, asked())

    assert refused(answer, 503) == [("transient", "")]
    assert int(answer.headers["Retry-After"]) > 0


def test_nothing_of_the_patient_is_in_the_log(means, bedside, capsys):
    hold(means, calcium("13.87"))

    cards(post(bedside, asked(fhirAuthorization=None)))

    logged = capsys.readouterr().out
    assert '"event":"cds hooks call"' in logged
    assert not any(one in logged for one in ("88204113", "p-1", "13.87", "ehr.example", "doc-1"))


# ------------------------------------------------------------------------------------------------- other origins
def test_a_browser_of_a_listed_origin_may_ask_and_read(policy, doors):
    policy(origins=frozenset({ORIGIN}))
    browser = doors.without_key()
    asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}

    before = browser.options("/cds-services/lab-flags", headers=asks)
    after = post(browser, asked(), Origin=ORIGIN)
    wrong = post(browser, b"{", Origin=ORIGIN)

    assert before.status_code == 200
    assert before.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert before.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert before.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert [one.headers["Access-Control-Allow-Origin"] for one in (after, wrong)] == [ORIGIN, ORIGIN]
    assert all("Origin" in one.headers["Vary"] for one in (before, after, wrong))
    assert "Access-Control-Allow-Credentials" not in before.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{ORIGIN}.evil.example", f"{ORIGIN}:8443"])
def test_a_browser_of_another_origin_is_told_nothing(origin, policy, doors):
    policy(origins=frozenset({ORIGIN}))
    browser = doors.without_key()

    before = browser.options("/cds-services/lab-flags", headers={"Origin": origin})
    after = post(browser, asked(), Origin=origin)

    assert not [name for one in (before, after) for name, _ in one.headers if name.startswith("Access-Control")]


def test_other_doors_are_not_shared_with_other_origins(policy, client):
    policy(origins=frozenset({ORIGIN}))

    answer = client.get("/v1/flags", headers={"Origin": ORIGIN})

    assert "Access-Control-Allow-Origin" not in answer.headers


def test_by_default_nobody_is_let_in_and_no_origin_is_known(one_app):
    policy = one_app.extensions["lab_alerts_cds_hooks"]

    assert policy == Policy(issuers={}, origins=frozenset())
