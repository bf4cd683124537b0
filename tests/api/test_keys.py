"""Who may use which route: by scope, and as long as the key holds."""

from datetime import timedelta

import pytest
import time_machine

from service.flows import keys as key_flow
from service.storage.keys import SCOPES
from tests.api.described import as_described, as_problem
from tests.flows.build import NOW, calcium, encoded, panel

NEEDS = {
    ("POST", "/v1/panels"): "panels:write",
    ("POST", "/hl7v2"): "panels:write",
    ("GET", "/v1/audit"): "audit:read",
    ("GET", "/v1/key"): "panels:write",
    ("GET", "/v1/panels/{panel_id}"): "flags:read",
    ("GET", "/v1/flags"): "flags:read",
    ("GET", "/v1/flags/{flag_id}"): "flags:read",
    ("GET", "/v1/flags/{flag_id}/replay"): "flags:read",
    ("GET", "/v1/patients/{patient_id}/flags"): "flags:read",
    ("GET", "/v1/patients/{patient_id}/timeline"): "flags:read",
    ("GET", "/v1/patients/{patient_id}/episodes"): "flags:read",
    ("GET", "/v1/episodes/{name}"): "flags:read",
    ("POST", "/v1/episodes/{name}/acknowledgements"): "episodes:write",
    ("POST", "/v1/episodes/{name}/acknowledgements/undo"): "episodes:write",
    ("POST", "/v1/episodes/{name}/comments"): "episodes:write",
    ("POST", "/v1/episodes/{name}/assignment"): "episodes:write",
    ("POST", "/v1/episodes/{name}/snoozes"): "episodes:write",
    ("POST", "/v1/episodes/{name}/snoozes/undo"): "episodes:write",
    ("GET", "/v1/episodes/{name}/acts"): "flags:read",
    ("GET", "/v1/episodes/{name}/callbacks"): "flags:read",
    ("POST", "/v1/episodes/{name}/callbacks"): "episodes:write",
    ("POST", "/v1/acknowledgements"): "episodes:write",
    ("GET", "/v1/reports/callbacks"): "flags:read",
    ("GET", "/v1/sources"): "flags:read",
    ("GET", "/v1/sources/{name}"): "flags:read",
    ("GET", "/v1/sources/{name}/unmapped"): "flags:read",
    ("PUT", "/v1/sources/{name}"): "sources:write",
    ("GET", "/v1/feeds"): "flags:read",
    ("GET", "/v1/sources/{name}/feed"): "flags:read",
    ("PUT", "/v1/sources/{name}/feed"): "sources:write",
    ("DELETE", "/v1/sources/{name}/feed"): "sources:write",
    ("GET", "/v1/escalation"): "subscriptions:write",
    ("PUT", "/v1/escalation"): "subscriptions:write",
    ("GET", "/v1/subscriptions"): "subscriptions:write",
    ("POST", "/v1/subscriptions"): "subscriptions:write",
    ("GET", "/v1/subscriptions/{subscription_id}"): "subscriptions:write",
    ("PATCH", "/v1/subscriptions/{subscription_id}"): "subscriptions:write",
    ("DELETE", "/v1/subscriptions/{subscription_id}"): "subscriptions:write",
    ("POST", "/v1/subscriptions/{subscription_id}/rotate"): "subscriptions:write",
    ("POST", "/v1/subscriptions/{subscription_id}/pause"): "subscriptions:write",
    ("POST", "/v1/subscriptions/{subscription_id}/resume"): "subscriptions:write",
    ("POST", "/v1/subscriptions/{subscription_id}/test"): "subscriptions:write",
    ("POST", "/v1/subscriptions/{subscription_id}/replay"): "subscriptions:write",
    ("GET", "/v1/subscriptions/{subscription_id}/deliveries"): "subscriptions:write",
    ("GET", "/v1/deliveries/{delivery_id}"): "subscriptions:write",
    ("POST", "/v1/deliveries/{delivery_id}/replay"): "subscriptions:write",
    ("GET", "/v1/analytes"): "rules:read",
    ("GET", "/v1/rulesets"): "rules:read",
    ("GET", "/v1/rulesets/{version}"): "rules:read",
    ("GET", "/v1/notes"): "rules:read",
    ("GET", "/v1/cds-feedback"): "flags:read",
    ("GET", "/metrics"): "metrics:read",
}
ROUTES = [(method, path, scope) for (method, path), scope in NEEDS.items()]


SUBSCRIPTION = b'{"name": "x", "endpoint": "https://hook.example/"}'
BODIES = {
    "/v1/sources/{name}/feed": (b'{"expected_minutes": 30}', "application/json"),
    "/v1/escalation": (b'{"steps": []}', "application/json"),
    "/v1/subscriptions": (SUBSCRIPTION, "application/json"),
    "/v1/subscriptions/{subscription_id}": (b"{}", "application/json"),
    "/v1/subscriptions/{subscription_id}/replay": (b'{"failed_since": "2026-11-20T00:00:00Z"}', "application/json"),
    "/v1/sources/{name}": (b"{}", "application/json"),
    "/v1/panels": (encoded(panel(calcium("11.9"))), "application/json"),
    "/v1/acknowledgements": (b'{"episodes": [], "reason": "acting"}', "application/json"),
    "/v1/episodes/{name}/acknowledgements": (b'{"reason": "acting"}', "application/json"),
    "/v1/episodes/{name}/acknowledgements/undo": (b"{}", "application/json"),
    "/v1/episodes/{name}/comments": (b'{"text": "x"}', "application/json"),
    "/v1/episodes/{name}/assignment": (b'{"assignee": "x"}', "application/json"),
    "/v1/episodes/{name}/snoozes": (b'{"until": "worse"}', "application/json"),
    "/v1/episodes/{name}/snoozes/undo": (b"{}", "application/json"),
    "/v1/episodes/{name}/callbacks": (
        b'{"told_to": "x", "how": "phone", "outcome": "no_answer"}',
        "application/json",
    ),
    "/hl7v2": (b"MSH|^~\\&|A|B|C|D|20261120||ORU^R01|1|P|2.5.1\r", "application/hl7-v2"),
}


def call(client, method, path):
    sends = method in ("POST", "PUT", "PATCH")
    body, media_type = BODIES.get(path, (b"", None)) if sends else (None, None)
    return client.open(path.replace("{", "").replace("}", ""), method=method, data=body, content_type=media_type)


def test_the_table_of_scopes_is_the_description(document):
    described = {
        (method.upper(), path): operation["x-scope"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method != "parameters" and "x-scope" in operation
    }

    assert described == NEEDS


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_opens_the_routes_of_its_scope_and_no_others(doors, document, scope):
    client = doors.with_scopes(scope)

    for method, path, needed in ROUTES:
        answer = call(client, method, path)
        if scope in (needed, "admin"):
            assert answer.status_code in {200, 201, 204, 404}, path
        else:
            assert needed in as_problem(answer, "forbidden")["detail"]
            as_described(document, path, answer)


def test_a_key_says_as_whom_it_sends(doors, document):
    answer = doors.with_scopes("panels:write", "flags:read", name="lab", source="lab-a").get("/v1/key")

    as_described(document, "/v1/key", answer)
    scopes = ["panels:write", "flags:read"]
    assert answer.json == {"name": "lab", "source": "lab-a", "scopes": scopes, "trials": False}


def test_the_source_for_trials_is_said(doors):
    assert doors.with_scopes("panels:write", source="selftest").get("/v1/key").json["trials"] is True


@pytest.mark.parametrize(("method", "path", "_scope"), ROUTES)
def test_without_a_key_nothing_is_answered(doors, document, method, path, _scope):
    answer = call(doors.without_key(), method, path)

    as_problem(answer, "unauthenticated")
    as_described(document, path, answer)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer lak_wrong",
        "Bearer \xff",
        "lak_wrong",
        "Basic bGFrOmxhaw==",
        "Basic !",
        "Digest a=b",
    ],
)
def test_a_key_that_was_never_given_out_opens_nothing(doors, header):
    answer = doors.without_key().get("/v1/flags", headers={"Authorization": header})

    as_problem(answer, "unauthenticated")


def test_a_key_in_basic_authentication_opens_no_machine_door(doors):
    secret = doors.key("flags:read")

    as_problem(doors.without_key().get("/v1/flags", auth=("anybody", secret)), "unauthenticated")


def test_an_expired_key_opens_nothing(doors):
    client = doors.with_scopes("flags:read", days=1)
    assert client.get("/v1/flags").status_code == 200

    with time_machine.travel(NOW + timedelta(days=1)):
        answer = client.get("/v1/flags")

    as_problem(answer, "unauthenticated")


def test_a_revoked_key_opens_nothing_at_once(doors, database):
    client = doors.with_scopes("flags:read", name="old")
    assert client.get("/v1/flags").status_code == 200

    key_flow.revoke(database, "old", NOW)

    as_problem(client.get("/v1/flags"), "unauthenticated")


def test_replacing_a_key_ends_the_old_one(doors):
    old = doors.with_scopes("flags:read", name="one")

    new = doors.with_scopes("flags:read", name="one")

    assert (old.get("/v1/flags").status_code, new.get("/v1/flags").status_code) == (401, 200)


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/openapi.json", "/docs", "/problems/not-found"])
def test_what_holds_nothing_of_anybody_needs_no_key(doors, path):
    assert doors.without_key().get(path).status_code == 200


def test_a_route_without_a_scope_is_closed_to_everybody(doors, one_app, monkeypatch):
    monkeypatch.delattr(one_app.view_functions["flags.index"], "required_scope")

    answer = doors.with_scopes("admin").get("/v1/flags")

    as_problem(answer, "forbidden")


def test_the_source_of_a_flag_is_the_source_of_the_key(doors):
    doors.with_scopes("panels:write", source="lab-9").post("/v1/panels", json=panel(calcium("11.9")))

    items = doors.with_scopes("flags:read").get("/v1/flags").get_json()["items"]

    assert [item["source"] for item in items] == ["lab-9"]
