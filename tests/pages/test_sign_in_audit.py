"""What the audit says of signing in: who did, and whose login was tried; whoever tries is told neither."""

import json

import pytest

from service.api import auditing
from service.domain.roles import Role
from service.flows import people
from service.flows.audit import lines
from service.storage.audit import AuditFilter
from tests.flows.build import NOW

PASSWORD = "correct horse battery staple"


@pytest.fixture
def anna(database):
    return people.add(
        database, login="anna", name="Anna", role=Role.VIEWER, password=PASSWORD, now=NOW, must_change=False
    )


@pytest.mark.parametrize(
    ("login", "password", "outcome", "actor", "tried"),
    [
        ("anna", PASSWORD, "303", True, False),
        ("anna", "wrong", "401", False, True),
        ("nobody", PASSWORD, "401", False, False),
    ],
)
def test_the_audit_says_who_came_and_whose_login_was_tried(
    doors, app, database, anna, login, password, outcome, actor, tried
):
    sent = {"login": login, "password": password}

    answer = doors.without_key().post("/sign-in", data=sent, headers={"Origin": "http://localhost"})

    assert app.extensions[auditing.NAME].flush()
    (entry,) = [json.loads(line) for line in lines(database, AuditFilter())]
    told = entry["outcome"], (entry["actor"] or {}).get("id"), entry["detail"]
    assert told == (outcome, anna.id if actor else None, {"tried": anna.id} if tried else {})
    assert anna.id not in answer.text + str(answer.headers)
