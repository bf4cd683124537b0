"""Browsers in which somebody signed in before: there, nobody waits for what others try. The clock is an argument."""

from datetime import timedelta
from threading import Barrier, Event, Thread

import pytest

from service.domain.errors import Unavailable
from service.domain.roles import Role
from service.flows import people, signing_in
from service.flows.signing_in import Wrong
from service.flows.throttle import TooMany
from tests.flows.build import NOW, kept
from tests.flows.test_signing_in import LIMITS, PASSWORD, THERE, sign_in

SOON = NOW + timedelta(seconds=1)


def add(database, login="anna@hospital.example"):
    return people.add(
        database, login=login, name="A", role=Role.CLINICIAN, password=PASSWORD, now=NOW, must_change=False
    )


@pytest.fixture
def anna(database):
    return add(database)


@pytest.fixture
def browser(database, anna):
    """What the browser was told in which Anna signed in."""
    return sign_in(database).browser


def guesses(database, times, *, logins=("anna@hospital.example",), browser="", now=NOW):
    """Wrong passwords from the address of Anna."""
    for number in range(times):
        with pytest.raises((Wrong, TooMany)):
            sign_in(database, logins[number % len(logins)], "wrong", browser=browser, now=now)


ATTACKS = {
    "her login, from her address": lambda database: guesses(database, 60),
    "many logins, from her address": lambda database: guesses(database, 60, logins=[f"g{i}" for i in range(60)]),
    "her login, with tokens that are invented": lambda database: guesses(database, 60, browser="invented"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_whoever_comes_in_a_browser_that_is_known_waits_for_nobody(database, browser, attack):
    ATTACKS[attack](database)

    entered = sign_in(database, browser=browser, now=SOON)

    assert entered.browser == browser
    with pytest.raises(TooMany):
        sign_in(database, now=SOON)


def test_a_login_that_is_tried_from_everywhere_opens_in_a_browser_that_is_known(database, browser):
    for number in range(60):
        with pytest.raises((Wrong, TooMany)):
            sign_in(database, password="wrong", address=f"198.51.100.{number}")

    assert sign_in(database, browser=browser, now=SOON)
    with pytest.raises(TooMany):
        sign_in(database, address=THERE, now=SOON)


def test_a_browser_is_known_for_one_person_only(database, browser):
    add(database, "otto@hospital.example")
    guesses(database, 5, logins=("otto@hospital.example",), browser=browser)

    with pytest.raises(TooMany):
        sign_in(database, "otto@hospital.example", browser=browser, now=SOON)
    assert sign_in(database, browser=browser, now=SOON)


def test_in_a_browser_that_is_known_failures_cost_waits_as_well(database, browser):
    guesses(database, 5, browser=browser)

    with pytest.raises(TooMany) as told:
        sign_in(database, browser=browser, now=SOON)
    assert told.value.seconds == 5
    assert sign_in(database, browser=browser, now=NOW + timedelta(seconds=6))
    assert sign_in(database, address=THERE, now=SOON)


@pytest.mark.parametrize(
    "end",
    [
        lambda database, login: people.disable(database, login, now=NOW) or people.enable(database, login, now=NOW),
        lambda database, login: people.set_password(database, login, PASSWORD, now=NOW, must_change=False),
        people.end_sessions,
    ],
    ids=["disabled and enabled", "given a password", "all sessions ended"],
)
def test_what_ends_every_session_makes_every_browser_unknown(database, browser, anna, end):
    end(database, anna.login)
    guesses(database, 5)

    with pytest.raises(TooMany):
        sign_in(database, browser=browser, now=SOON)


def test_whoever_changes_the_password_stays_known_where_they_do(database, anna):
    elsewhere = sign_in(database, address=THERE)
    here = sign_in(database)

    changed = signing_in.change_password(
        database, here.session, old=PASSWORD, new="another long password 7", limits=LIMITS, now=NOW
    )
    guesses(database, 5)

    assert sign_in(database, password="another long password 7", browser=changed.browser, now=SOON)
    for former in (here, elsewhere):
        with pytest.raises(TooMany):
            sign_in(database, password="another long password 7", browser=former.browser, now=SOON)


def test_a_browser_is_known_for_ninety_days_since_it_was_used(database, browser):
    later, in_time, too_late = (NOW + timedelta(days=days) for days in (80, 169, 260))

    assert sign_in(database, browser=browser, now=later).browser == browser
    assert sign_in(database, browser=browser, now=in_time).browser == browser
    assert sign_in(database, browser=browser, now=too_late).browser != browser


def test_of_one_person_twenty_browsers_are_known_those_used_last(database, anna):
    told = [sign_in(database, now=NOW + timedelta(seconds=number)).browser for number in range(22)]

    now = NOW + timedelta(minutes=1)
    known = [sign_in(database, browser=one, now=now).browser == one for one in reversed(told)]
    assert known == [True] * 20 + [False] * 2
    assert len(kept(database)["known_browsers"]) == 20


def test_what_a_browser_is_told_is_not_kept(database, browser):
    assert browser not in repr(kept(database))


def test_whoever_is_known_is_checked_when_all_places_for_anybody_are_taken(database, browser, monkeypatch):
    go_on, full = Event(), Barrier(3)
    checks = signing_in.checks

    def slowly(kept_password, password):
        if password == "wrong":
            full.wait(30)
            go_on.wait(30)
        return checks(kept_password, password)

    monkeypatch.setattr(signing_in, "checks", slowly)
    crowd = [Thread(target=_tries, args=(database, f"guess-{number}")) for number in range(6)]
    for one in crowd:
        one.start()
    full.wait(30)

    try:
        assert sign_in(database, browser=browser, now=SOON)
    finally:
        full.abort()
        go_on.set()
        for one in crowd:
            one.join()


def _tries(database, login):
    try:
        sign_in(database, login, "wrong")
    except (Wrong, Unavailable, RuntimeError):
        return
