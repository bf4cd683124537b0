"""Signing in on the pages, as a browser does it: forms, cookies, redirects, and what other sites may make it do."""

import re
from datetime import timedelta

import pytest
import time_machine

from service.domain.roles import SCOPES_OF, Role
from service.flows import people
from tests.api.described import as_problem
from tests.flows.build import NOW, calcium, panel

PASSWORD = "correct horse battery staple"
OURS = {"Origin": "http://localhost"}
HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def flag(doors):
    """A flag that is held."""
    answer = doors.with_scopes("panels:write").post("/v1/panels", json=panel(calcium("13.9")))
    return answer.json["flags"][0]


def add(database, role=Role.CLINICIAN, *, login="anna", must_change=False):
    return people.add(
        database, login=login, name="Anna <b>", role=role, password=PASSWORD, now=NOW, must_change=must_change
    )


def sign_in(client, *, password=PASSWORD, after="/account", **headers):
    return client.post("/sign-in", data={"login": "anna", "password": password, "next": after}, headers=headers or OURS)


@pytest.fixture
def browser(doors, database):
    """A browser of somebody who is signed in."""
    add(database)
    client = doors.without_key()
    assert sign_in(client).status_code == 303
    return client


def token_of(client) -> str:
    return re.search(r'name="csrf" value="([^"]+)"', client.get("/account").text)[1]


def test_whoever_is_not_signed_in_is_led_to_the_page_and_back(doors, database, flag):
    add(database)
    client, page = doors.without_key(), f"/flags/{flag['id']}"

    led = client.get(page, headers=HTML)
    form = client.get(led.location)
    back = sign_in(client, after=re.search(r'name="next" value="([^"]+)"', form.text)[1])

    assert (led.status_code, led.location) == (303, f"/sign-in?next=/flags/{flag['id']}")
    assert (back.status_code, back.location) == (303, page)
    assert "Possible hypercalcemia" in client.get(page).text


def test_a_machine_without_a_key_is_refused_as_ever(doors, flag):
    answer = doors.without_key().get(f"/flags/{flag['id']}")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_the_cookie_is_kept_from_scripts_and_from_other_sites(doors, database):
    add(database)

    session, browser = sign_in(doors.without_key()).headers.getlist("Set-Cookie")

    assert re.fullmatch(r"session=[\w-]{43}; HttpOnly; Path=/; SameSite=Lax", session)
    assert re.fullmatch(
        r"known-browser=[\w-]{43}; Expires=[^;]+; Max-Age=7776000; HttpOnly; Path=/; SameSite=Strict", browser
    )


def test_over_https_the_cookie_is_kept_to_this_host_and_to_https(doors, database):
    add(database)

    answer = doors.without_key().post(
        "/sign-in",
        data={"login": "anna", "password": PASSWORD},
        base_url="https://localhost",
        headers={"Origin": "https://localhost"},
    )

    session, browser = answer.headers.getlist("Set-Cookie")
    assert re.fullmatch(r"__Host-session=[\w-]{43}; Secure; HttpOnly; Path=/; SameSite=Lax", session)
    assert re.match(r"__Host-known-browser=[\w-]{43}; .*Secure; HttpOnly; Path=/; SameSite=Strict$", browser)


@pytest.mark.parametrize(("login", "password"), [("anna", "wrong"), ("nobody", PASSWORD), ("", "")])
def test_whoever_is_wrong_sees_the_form_again_and_always_the_same(doors, database, login, password):
    add(database)

    answer = doors.without_key().post("/sign-in", data={"login": login, "password": password}, headers=OURS)

    assert answer.status_code == 401
    assert "The login or the password is not right." in answer.text
    assert "Set-Cookie" not in answer.headers


def test_too_many_failures_are_told_with_the_time_to_wait(doors, database):
    add(database)
    client = doors.without_key()
    for _ in range(5):
        sign_in(client, password="wrong")

    answer = sign_in(client)

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) <= 6
    assert "Try again in" in answer.text


def test_whoever_has_signed_in_in_a_browser_does_not_wait_there_for_what_others_tried(browser, doors):
    browser.post("/sign-out", data={"csrf": token_of(browser)})
    stranger = doors.without_key()
    for _ in range(5):
        sign_in(stranger, password="wrong")

    assert sign_in(stranger).status_code == 429
    assert sign_in(browser).status_code == 303


def test_signing_in_gives_a_new_token_and_ends_the_one_before(browser):
    before = browser.get_cookie("session").value

    sign_in(browser)
    after = browser.get_cookie("session").value

    assert before != after
    browser.set_cookie("session", before)
    assert browser.get("/account", headers=HTML).status_code == 303


def test_signing_out_ends_the_session(browser):
    token = browser.get_cookie("session").value

    answer = browser.post("/sign-out", data={"csrf": token_of(browser)})

    assert (answer.status_code, answer.location) == (303, "/sign-in")
    assert browser.get_cookie("session") is None
    browser.set_cookie("session", token)
    assert browser.get("/account", headers=HTML).status_code == 303


def test_a_session_that_is_not_used_ends(browser):
    with time_machine.travel(NOW + timedelta(minutes=31), tick=True):
        assert browser.get("/account", headers=HTML).status_code == 303


# ------------------------------------------------------------------------------------------------------- other sites
@pytest.mark.parametrize("path", ["/sign-out", "/account"])
@pytest.mark.parametrize("token", [None, "", "x", "ä"])
def test_a_form_without_the_token_of_the_session_changes_nothing(browser, path, token):
    sent = {"old": PASSWORD, "password": "another long password 7", "again": "another long password 7"}

    answer = browser.post(path, data=sent if token is None else {**sent, "csrf": token})

    assert answer.status_code == 403
    assert browser.get("/account").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:81"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
        {"Referer": "http://localhost/sign-in"},
    ],
    ids=["cross-site", "same-site", "origin", "null", "other port", "both", "neither"],
)
def test_another_site_cannot_sign_anybody_in(doors, database, headers):
    add(database)

    answer = sign_in(doors.without_key(), **headers)

    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
        {"Origin": "https://alerts.hospital.example"},
    ],
    ids=["both", "origin withheld", "by hand", "over plain http", "behind a proxy that does not say so"],
)
def test_our_own_page_can(doors, database, app, monkeypatch, headers):
    add(database)
    monkeypatch.setitem(app.config, "PUBLIC_URL", "https://alerts.hospital.example/lab")

    assert sign_in(doors.without_key(), **headers).status_code == 303


def test_browsers_are_let_say_where_the_form_comes_from(doors):
    assert doors.without_key().get("/sign-in").headers["Referrer-Policy"] == "same-origin"


AWAY = [
    "https://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https:evil",
    "javascript:alert(1)", "/\t/evil.example", "/\n//evil.example", "evil.example", "", "http:/\\evil.example",
    "/%09/evil\\x", " //evil.example", "/" + "x" * 5_000,
]  # fmt: skip


@pytest.mark.parametrize("after", AWAY)
def test_nobody_is_led_away_after_signing_in(doors, database, after):
    add(database)

    answer = sign_in(doors.without_key(), after=after)

    assert (answer.status_code, answer.location) == (303, "/")


# -------------------------------------------------------------------------------------------------------------- roles
ROUTES = [
    ("GET", "/v1/flags", "flags:read"),
    ("GET", "/v1/notes", "rules:read"),
    ("POST", "/v1/acknowledgements", "episodes:write"),
    ("GET", "/v1/subscriptions", "subscriptions:write"),
    ("GET", "/v1/audit", "audit:read"),
    ("PUT", "/v1/sources/lab-1", "sources:write"),
    ("GET", "/metrics", "metrics:read"),
    ("POST", "/v1/panels", None),
    ("GET", "/v1/key", None),
]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("method", "path", "scope"), ROUTES, ids=[route[1] for route in ROUTES])
def test_what_a_role_may(doors, database, role, method, path, scope):
    add(database, role)
    client = doors.without_key()
    sign_in(client)
    allowed = scope is not None and (scope in SCOPES_OF[role] or "admin" in SCOPES_OF[role])

    answer = client.open(path, method=method, json={}, headers={"X-CSRF-Token": token_of(client)})

    assert (answer.status_code != 403) == allowed


def test_whoever_is_signed_in_is_told_which_feeds_are_silent(browser, doors):
    doors.with_scopes("sources:write").put("/v1/sources/lab-1/feed", json={"expected_minutes": 60})

    signed_in, stranger = (one.get("/health/ready").json["checks"] for one in (browser, doors.without_key()))

    assert ("feed:lab-1" in signed_in, "feed:lab-1" in stranger, "feeds" in stranger) == (True, False, True)


def test_a_script_of_ours_changes_something_only_with_the_token(browser, flag):
    body = {"reason": "acting", "note": "seen"}
    place = f"/v1/episodes/{flag['episode']}/acknowledgements"

    without = browser.post(place, json=body)
    with_token = browser.post(place, json=body, headers={"X-CSRF-Token": token_of(browser)})

    assert as_problem(without, "not-from-our-page")["remedy"].startswith("Send X-CSRF-Token")
    assert with_token.status_code == 201


def test_what_somebody_does_is_remembered_under_their_own_id(browser, database, flag):
    place = f"/v1/episodes/{flag['episode']}"
    body = {"reason": "acting", "note": "seen"}

    browser.post(f"{place}/acknowledgements", json=body, headers={"X-CSRF-Token": token_of(browser)})

    (anna,) = people.listed(database)
    assert browser.get(place).json["acts"][0]["by"] == {"kind": "person", "id": anna.id, "name": "Anna <b>"}


# ------------------------------------------------------------------------------------------------------------ account
def test_the_page_of_the_account_says_who_is_signed_in(browser):
    text = browser.get("/account").text

    assert "Anna &lt;b&gt;" in text
    assert "clinician" in text
    assert "You are signed in nowhere else." in text


def test_the_page_of_the_account_says_where_else_somebody_is_signed_in(browser, doors):
    sign_in(doors.without_key())

    assert "Last used" in browser.get("/account").text


def test_every_page_says_who_is_signed_in_and_lets_them_out(browser, flag):
    text = browser.get(f"/flags/{flag['id']}").text

    assert "Anna &lt;b&gt;" in text
    sent = {"csrf": re.search(r'name="csrf" value="([^"]+)"', text)[1]}
    assert browser.post("/sign-out", data=sent).status_code == 303
    assert browser.get("/account", headers=HTML).status_code == 303


def test_guessing_the_present_password_is_told_with_the_time_to_wait(browser):
    sent = {"old": "wrong", "password": "another long password 7", "again": "another long password 7"}
    for _ in range(5):
        browser.post("/account", data={**sent, "csrf": token_of(browser)})

    answer = browser.post("/account", data={**sent, "old": PASSWORD, "csrf": token_of(browser)})

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) <= 6


def test_a_key_beside_a_cookie_changes_no_account(browser, doors):
    sent = {"old": PASSWORD, "password": "another long password 7", "again": "another long password 7"}
    key = doors.with_scopes("flags:read").environ_base["HTTP_AUTHORIZATION"]

    answer = browser.post("/account", data=sent, headers={"Authorization": key})

    assert (answer.status_code, answer.location) == (303, "/sign-in?next=/")
    assert sign_in(browser).status_code == 303


def test_whoever_got_a_password_from_somebody_else_changes_it_first(doors, database, flag):
    add(database, must_change=True)
    client = doors.without_key()
    sign_in(client)

    led = client.get(f"/flags/{flag['id']}", headers=HTML)
    new = {"old": PASSWORD, "password": "another long password 7", "again": "another long password 7"}
    changed = client.post("/account", data={**new, "csrf": token_of(client)})

    assert (led.status_code, led.location) == (303, "/account")
    assert changed.status_code == 303
    assert client.get(f"/flags/{flag['id']}", headers=HTML).status_code == 200


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"old": "wrong", "password": "another long password 7", "again": "another long password 7"}, "present one"),
        ({"old": PASSWORD, "password": "short", "again": "short"}, "12 to 256 characters"),
        ({"old": PASSWORD, "password": "another long password 7", "again": "another"}, "differ"),
    ],
)
def test_a_password_that_cannot_be_changed_is_explained(browser, sent, said):
    answer = browser.post("/account", data={**sent, "csrf": token_of(browser)})

    assert answer.status_code == 422
    assert said in answer.text
    assert sent["password"] not in answer.text


def test_a_key_has_no_account(doors):
    answer = doors.with_scopes("admin").get("/account", headers=HTML)

    assert (answer.status_code, answer.location) == (303, "/sign-in?next=/account")


def test_nothing_that_opens_anything_is_logged(doors, database, capsys):
    add(database)
    client = doors.without_key()

    sign_in(client, password="wr0ng-password")
    sign_in(client)
    token = client.get_cookie("session").value
    client.post("/sign-out", data={"csrf": token_of(client)})

    logged = capsys.readouterr().out
    assert '"route":"/sign-in"' in logged
    assert not [secret for secret in ("wr0ng-password", PASSWORD, token, "anna") if secret in logged]


def test_the_form_works_without_a_script_and_within_the_policy(doors):
    answer = doors.without_key().get("/sign-in")

    assert "<script" not in answer.text
    assert "style=" not in answer.text
    assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
