"""Signing in at a provider of OpenID Connect: a real one, in a process of its own, and one that is not honest."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import time_machine

from service.api import auditing
from service.config import Settings
from service.domain.roles import Role
from service.flows import people, vouching
from service.pages import oidc
from service.pages.oidc import Provider
from tests.flows.build import NOW

PATIENCE = 30.0
PUBLIC = "http://localhost"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A provider that vouches for whoever is named to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "-n", "true"]
    for sub, claims in USERS.items():
        command += ["--user-claims", f'{{"sub": "{sub}"{claims}}}']
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": {**os.environ, "PYTHONWARNINGS": ""}}
    with subprocess.Popen(command, **quiet) as process:  # noqa: S603  a program of the tests
        address = f"http://localhost:{port}"
        _wait_for(address)
        yield address
        process.kill()


USERS = {
    "anna-1": ', "email": "anna@hospital.example", "email_verified": true',
    "berta-2": ', "email": "berta@hospital.example", "email_verified": false',
    "clara-3": ', "email": "clara@hospital.example", "email_verified": true',
}


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            requests.get(f"{address}/.well-known/openid-configuration", timeout=5).raise_for_status()
        except requests.RequestException:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the provider does not start")


@pytest.fixture
def provided(app, issuer, database):
    """Lets the service use the provider, with further settings; at the time that it is, as the provider's clock."""
    before = app.extensions["lab_alerts_oidc"]

    def use(**more) -> None:
        given = {"oidc_issuer": issuer, "oidc_client_id": "lab-alerts", "oidc_client_secret": "s", **more}
        app.extensions["lab_alerts_oidc"] = Provider(Settings(public_url=PUBLIC, **given))

    use()
    with time_machine.travel(time_machine.escape_hatch.time.time(), tick=True):
        yield use
    app.extensions["lab_alerts_oidc"] = before


def add(database, login="anna@hospital.example", **more):
    given = {"name": "Anna", "role": Role.CLINICIAN, "password": None, "must_change": False, **more}
    return people.add(database, login=login, now=NOW, **given)


def to_the_provider(client, after="/account") -> str:
    answer = client.get("/sign-in/elsewhere", query_string={"next": after})
    assert answer.status_code == 303
    return answer.location


def back_from_the_provider(address: str, sub: str) -> str:
    """What the browser is sent back with, after somebody has signed in there."""
    answer = requests.post(address, data={"sub": sub}, allow_redirects=False, timeout=PATIENCE)
    place = urlsplit(answer.headers["Location"])
    return f"{place.path}?{place.query}"


def sign_in(client, sub="anna-1"):
    return client.get(back_from_the_provider(to_the_provider(client), sub))


def test_somebody_who_is_known_by_a_verified_mail_address_is_signed_in(doors, database, provided):
    anna = add(database)
    client = doors.without_key()

    answer = sign_in(client)

    assert (answer.status_code, answer.location) == (303, "/account")
    assert "Anna" in client.get("/account").text
    (found,) = people.listed(database)
    assert (found.id, found.subject) == (anna.id, "anna-1")


def test_the_request_has_state_nonce_and_a_challenge(doors, provided, issuer):
    asked = parse_qs(urlsplit(to_the_provider(doors.without_key())).query)

    assert asked["code_challenge_method"] == ["S256"]
    assert all(re.fullmatch(r"[\w-]{43}", asked[name][0]) for name in ("state", "nonce", "code_challenge"))
    assert asked["redirect_uri"] == [f"{PUBLIC}/sign-in/back"]
    assert asked["response_type"] == ["code"]
    assert "openid" in asked["scope"][0].split()


def test_once_known_it_is_the_name_at_the_provider_that_counts(doors, database, provided):
    add(database)
    sign_in(doors.without_key())
    other = add(database, "clara@hospital.example", name="Clara")

    answer = sign_in(doors.without_key(), "clara-3")

    assert answer.status_code == 303
    assert {one.login: one.subject for one in people.listed(database)} == {
        "anna@hospital.example": "anna-1",
        other.login: "clara-3",
    }


@pytest.mark.parametrize("sub", ["clara-3", "berta-2"], ids=["nobody here", "address not verified"])
def test_whoever_is_not_known_is_told_whom_to_ask(doors, database, provided, sub):
    add(database, "berta@hospital.example")
    client = doors.without_key()

    answer = sign_in(client, sub)

    assert answer.status_code == 403
    assert "Ask the administrator to add you." in answer.text
    assert client.get_cookie("session") is None


def test_whoever_is_not_known_can_be_added_as_a_viewer(doors, database, provided):
    provided(oidc_new_people="viewer")

    assert sign_in(doors.without_key(), "clara-3").status_code == 303
    (clara,) = people.listed(database)
    assert (clara.login, clara.role, clara.password) == ("clara@hospital.example", Role.VIEWER, None)


def test_whoever_was_disabled_is_not_signed_in(doors, database, provided):
    add(database)
    people.disable(database, "anna@hospital.example", now=NOW)

    assert sign_in(doors.without_key()).status_code == 403


def test_a_sign_in_is_finished_once(doors, database, provided):
    add(database)
    client = doors.without_key()
    back = back_from_the_provider(to_the_provider(client), "anna-1")

    assert (client.get(back).status_code, client.get(back).status_code) == (303, 403)


def test_only_the_browser_that_began_a_sign_in_finishes_it(doors, database, provided):
    add(database)
    back = back_from_the_provider(to_the_provider(doors.without_key()), "anna-1")
    victim = doors.without_key()

    assert victim.get(back).status_code == 403
    assert victim.get_cookie("session") is None


def test_a_sign_in_that_took_too_long_is_begun_anew(doors, database, provided):
    add(database)
    client = doors.without_key()
    back = back_from_the_provider(to_the_provider(client), "anna-1")

    with time_machine.travel(time.time() + 11 * 60, tick=True):
        assert client.get(back).status_code == 403


@pytest.mark.parametrize(
    "query",
    ["", "state=x&code=y", "code=y", "state=%00&code=%00", "error=access_denied", "state=&code="],
)
def test_whoever_comes_back_without_having_left_is_not_let_in(doors, provided, query):
    answer = doors.without_key().get(f"/sign-in/back?{query}")

    assert answer.status_code in (400, 403)


@pytest.mark.parametrize("changed", ["code", "iss"])
def test_an_answer_that_was_changed_on_the_way_is_not_believed(doors, database, provided, changed):
    add(database)
    client = doors.without_key()
    back = back_from_the_provider(to_the_provider(client), "anna-1")
    path, _, query = back.partition("?")
    sent = {name: values[0] for name, values in parse_qs(query).items()} | {changed: "https://evil.example"}

    assert client.get(path, query_string=sent).status_code == 403


def test_a_provider_that_names_another_issuer_is_not_used(doors, provided, issuer, monkeypatch):
    real = oidc._json
    monkeypatch.setattr(oidc, "_json", lambda address: {**real(address), "issuer": "https://evil.example"})

    answer = doors.without_key().get("/sign-in/elsewhere")

    assert answer.status_code == 503
    assert "does not answer" in answer.text


def test_a_provider_that_is_away_is_said_in_words(doors, provided):
    provided(oidc_issuer="http://127.0.0.1:1", oidc_name="the hospital's sign-on")

    answer = doors.without_key().get("/sign-in/elsewhere")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert "the hospital&#39;s sign-on does not answer" in answer.text


def test_a_provider_that_is_away_is_not_asked_again_by_everybody(doors, provided, monkeypatch):
    provided(oidc_issuer="http://127.0.0.1:1")
    asked, real = [], oidc._json
    monkeypatch.setattr(oidc, "_json", lambda address: asked.append(address) or real(address))

    answers = [doors.without_key().get("/sign-in/elsewhere").status_code for _ in range(3)]

    assert (answers, len(asked)) == ([503, 503, 503], 1)


def test_without_a_provider_there_is_no_button(doors):
    client = doors.without_key()

    assert "elsewhere" not in client.get("/sign-in").text
    assert client.get("/sign-in/elsewhere").status_code == 404


# ------------------------------------------------------------------------------------------------------------ joining
VERIFIED = {"sub": "anna-1", "email": "Anna@Hospital.example", "email_verified": True}


@pytest.mark.parametrize(
    ("changed", "known"),
    [
        ({}, True),
        ({"email_verified": False}, False),
        ({"email_verified": "true"}, False),
        ({"email_verified": None}, False),
        ({"email": None}, False),
        ({"email": ["anna@hospital.example"]}, False),
        ({"email": "anna@hospital.example\x00"}, False),
        ({"email": ""}, False),
        ({"email": "ａnna@hospital.example"}, False),
        ({"email": "anna@hoſpital.example"}, False),
        ({"sub": "x" * 256}, False),
        ({"sub": ""}, False),
        ({"sub": "anna\x00"}, False),
        ({"sub": "anna\ud800"}, False),
    ],
    ids=repr,
)
def test_for_whom_a_provider_vouches(means, database, changed, known):
    add(database)
    claims = {**VERIFIED, **changed}

    found = vouching.known(means, "https://id.example", claims, new=None, now=NOW)

    assert (found is not None) == known


@pytest.mark.parametrize("mail", ["a b@hospital.example", "x" * 300, "\x00@hospital.example"])
def test_nobody_is_added_under_a_login_that_cannot_be_one(means, database, mail):
    found = vouching.known(means, "https://id.example", {**VERIFIED, "email": mail}, new=Role.VIEWER, now=NOW)

    assert found is None
    assert people.listed(database) == []


def test_somebody_new_who_comes_in_two_windows_at_once_is_added_once(means, database):
    def come(_number: int) -> str:
        return vouching.known(means, "https://id.example", VERIFIED, new=Role.VIEWER, now=NOW).id

    with ThreadPoolExecutor(4) as threads:
        ids = set(threads.map(come, range(8)))

    assert ids == {one.id for one in people.listed(database)}
    assert len(ids) == 1


def test_nobody_who_was_disabled_is_joined(means, database):
    add(database)
    people.disable(database, "anna@hospital.example", now=NOW)

    assert vouching.known(means, "https://id.example", VERIFIED, new=None, now=NOW) is None
    assert people.listed(database)[0].subject is None


def test_who_comes_by_the_provider_needs_no_password_that_an_operator_gave(means, database):
    people.add(
        database, login="anna@hospital.example", name="Anna", role=Role.VIEWER, password="given by an operator 7",
        now=NOW, must_change=True,
    )  # fmt: skip

    found = vouching.known(means, "https://id.example", VERIFIED, new=None, now=NOW)

    assert (found.must_change, found.password) == (False, None)


def test_sign_ins_that_are_begun_and_never_finished_have_an_end(means, database, doors, provided, issuer, monkeypatch):
    monkeypatch.setattr(vouching, "_UNDER_WAY", 3)

    answers = [doors.without_key().get("/sign-in/elsewhere").status_code for _ in range(5)]

    assert answers == [303, 303, 303, 503, 503]


def test_signing_in_at_the_provider_is_written_down_with_who_it_was(app, doors, database, provided, issuer):
    add(database)
    client = doors.without_key()

    client.get(back_from_the_provider(to_the_provider(client), "anna-1"))

    app.extensions[auditing.NAME].flush()
    told = doors.with_scopes("audit:read").get("/v1/audit").json["items"]
    assert ("GET /sign-in/back", people.listed(database)[0].id) in [
        (one["action"], (one["actor"] or {}).get("id")) for one in told
    ]


def test_another_issuer_with_the_same_name_for_somebody_is_somebody_else(means, database):
    add(database)
    vouching.known(means, "https://id.example", VERIFIED, new=None, now=NOW)

    assert vouching.known(means, "https://other.example", VERIFIED, new=Role.VIEWER, now=NOW) is None
