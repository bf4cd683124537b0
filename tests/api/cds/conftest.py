"""What the tests of CDS Hooks share: the door, with and without tokens."""

import json

import pytest

from service.api.cds_callers import issuers_from
from service.api.cds_hooks import Policy
from service.config import Settings

NAME = "lab_alerts_cds_hooks"


@pytest.fixture
def policy(app):
    """Call it with the policy under which callers are let in; the one of before is back afterward."""
    before, public = app.extensions[NAME], app.config["PUBLIC_URL"]

    def put(public_url=None, **chosen):
        app.extensions[NAME] = Policy(**{"issuers": None, **chosen})
        app.config["PUBLIC_URL"] = public_url

    yield put
    app.extensions[NAME], app.config["PUBLIC_URL"] = before, public


@pytest.fixture
def bedside(policy, doors):
    """A client of a trial, which shows no token."""
    policy(public_url="https://alerts.example")
    return doors.without_key()


@pytest.fixture
def listed(tmp_path):
    """Call it with the entries of the operator's file: the issuers of the list."""

    def read(*entries, public_url="https://alerts.example/base"):
        path = tmp_path / "issuers.json"
        path.write_text(json.dumps({"issuers": list(entries)}), encoding="utf-8")
        return issuers_from(Settings(cds_hooks_issuers=str(path), public_url=public_url))

    return read
