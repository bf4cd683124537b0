"""Who may do anything about subscriptions, and which endpoints may be subscribed."""

import pytest

from service.config import Settings
from service.delivery.door import channels
from tests.api.described import as_problem
from tests.api.subscribing import HERE, wanted

ROUTES = [
    ("get", HERE),
    ("post", HERE),
    ("get", f"{HERE}/sub_1"),
    ("patch", f"{HERE}/sub_1"),
    ("delete", f"{HERE}/sub_1"),
    ("post", f"{HERE}/sub_1/rotate"),
    ("post", f"{HERE}/sub_1/pause"),
    ("post", f"{HERE}/sub_1/resume"),
    ("post", f"{HERE}/sub_1/test"),
    ("post", f"{HERE}/sub_1/replay"),
    ("get", f"{HERE}/sub_1/deliveries"),
    ("get", "/v1/deliveries/dlv_1"),
    ("post", "/v1/deliveries/dlv_1/replay"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=[f"{method} {path}" for method, path in ROUTES])
def test_everything_about_subscriptions_needs_its_scope(doors, method, path):
    reader = doors.with_scopes("flags:read", "panels:write", "episodes:write")

    problem = as_problem(getattr(reader, method)(path), "forbidden")

    assert problem["detail"] == "this needs the scope subscriptions:write"


@pytest.mark.parametrize(("method", "path"), ROUTES[2:], ids=[f"{method} {path}" for method, path in ROUTES[2:]])
def test_what_there_is_not_is_not_found(client, method, path):
    body = {"json": {"failed_since": "2026-11-20T12:00:00Z"} if path.endswith("/sub_1/replay") else {}}

    answer = getattr(client, method)(path, **(body if method in {"post", "patch"} else {}))

    as_problem(answer, "not-found")


# (channel, endpoint, is it refused): by the channels themselves, as they are set when nobody sets anything
ENDPOINTS = [
    ("webhook", "https://alerts.example/hook", False),
    ("webhook", "http://alerts.example/hook", True),
    ("webhook", "https://127.0.0.1/hook", True),
    ("webhook", "https://user:pass@alerts.example/", True),
    ("webhook", "mailto:ward@hospital.example", True),
    ("pager", "https://pager.example/v2", False),
    ("pager", "https://169.254.169.254/", True),
    ("email", "https://alerts.example/hook", True),
]


@pytest.mark.parametrize(("channel", "endpoint", "refused"), ENDPOINTS, ids=[" ".join(row[:2]) for row in ENDPOINTS])
def test_the_channels_say_which_endpoints_may_be_subscribed(app, client, monkeypatch, channel, endpoint, refused):
    monkeypatch.setitem(app.extensions, "lab_alerts_senders", channels(Settings()))

    answer = client.post(HERE, json=wanted(channel=channel, endpoint=endpoint))

    assert (answer.status_code == 422) == refused
    if refused:
        errors = as_problem(answer, "invalid-subscription")["errors"]
        assert {(error["pointer"], error["code"]) for error in errors} == {("/endpoint", "endpoint-refused")}
        assert [word for word in ("user", "pass", "127.0.0.1", "169.254") if word in answer.text] == []
