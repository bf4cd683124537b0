"""Signing in: who gets in, who waits, and when a session ends. The clock is an argument."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from service.domain.errors import BadInput, NotFound
from service.domain.roles import Role
from service.flows import people, signing_in
from service.flows.signing_in import Limits, Origin, Wrong
from service.flows.throttle import TooMany
from tests.flows.build import NOW, kept

LIMITS = Limits(hours=12, idle_minutes=30)
PASSWORD = "correct horse battery staple"
HERE, THERE = "203.0.113.5", "203.0.113.9"


@pytest.fixture
def anna(database):
    return people.add(
        database, login="Anna@Hospital.example", name="Anna", role=Role.CLINICIAN, password=PASSWORD, now=NOW,
        must_change=False,
    )  # fmt: skip


def sign_in(database, login="anna@hospital.example", password=PASSWORD, *, address=HERE, browser="", now=NOW):
    origin = Origin(address=address, browser=browser)
    return signing_in.sign_in(database, login, password, origin=origin, limits=LIMITS, now=now)


def fails(database, times, **more):
    for _ in range(times):
        with pytest.raises(Wrong):
            sign_in(database, password="wrong", **more)


@pytest.mark.parametrize("login", ["anna@hospital.example", "ANNA@HOSPITAL.EXAMPLE", " anna@hospital.example ",
                                   "ａｎｎａ@hospital.example"])  # fmt: skip
def test_a_login_is_compared_as_people_read_it(database, anna, login):
    assert sign_in(database, login).session.person.id == anna.id


@pytest.mark.parametrize(
    ("login", "password"),
    [("anna@hospital.example", "wrong"), ("anna@hospital.example", ""), ("nobody", PASSWORD), ("", ""),
     ("\x00", "\x00"), ("anna@hospital.example", PASSWORD * 20), ("x" * 10_000, PASSWORD), ("\ud800", PASSWORD)],
)  # fmt: skip
def test_whoever_is_wrong_hears_the_same_words(database, anna, login, password):
    with pytest.raises(Wrong) as told:
        sign_in(database, login, password)

    assert str(told.value) == ""


def test_whoever_was_disabled_does_not_get_in_and_is_out_at_once(database, anna):
    opened = sign_in(database)

    people.disable(database, anna.login, now=NOW)

    assert signing_in.session_of(database, opened.token, limits=LIMITS, now=NOW) is None
    with pytest.raises(Wrong):
        sign_in(database)


def test_nothing_that_opens_anything_is_kept(database, anna):
    opened = sign_in(database)

    rows = repr([rows for name, rows in kept(database).items() if name in ("people", "sessions")])
    assert opened.token not in rows
    assert PASSWORD not in rows
    assert "scrypt:" in rows


def test_finding_out_a_password_is_as_dear_as_it_should_be(password_method):
    assert password_method == "scrypt:32768:8:3"


# ---------------------------------------------------------------------------------------------------------- throttling
def test_after_five_failures_each_further_one_costs_a_longer_wait(database, anna):
    now, waits = NOW, []
    fails(database, 5)

    for _ in range(10):
        with pytest.raises(TooMany) as told:
            sign_in(database, now=now)
        waits.append(told.value.seconds)
        now += timedelta(seconds=told.value.seconds)
        fails(database, 1, now=now)

    assert waits[:8] == [6, 11, 21, 41, 81, 161, 321, 641]
    assert waits[8:] == [901, 901]


def test_after_the_wait_the_right_password_opens_and_the_count_begins_anew(database, anna):
    fails(database, 5)
    later = NOW + timedelta(minutes=1)

    sign_in(database, now=later)
    fails(database, 4, now=later)

    assert sign_in(database, now=later).session.person.id == anna.id


def test_what_somebody_tries_elsewhere_keeps_the_owner_out_for_a_minute_at_most(database, anna):
    for number in range(60):
        with pytest.raises((Wrong, TooMany)):
            sign_in(database, password="wrong", address=f"198.51.100.{number}")

    assert sign_in(database, address=THERE, now=NOW + timedelta(seconds=61)).session.person.id == anna.id


def test_an_address_that_tries_many_logins_waits_as_well(database, anna):
    for number in range(30):
        with pytest.raises(Wrong):
            sign_in(database, f"guess-{number}")

    with pytest.raises(TooMany):
        sign_in(database, "another")
    assert sign_in(database, address=THERE).session.person.id == anna.id


def test_failures_of_somebody_unknown_are_throttled_alike(database):
    fails(database, 5, login="nobody")

    with pytest.raises(TooMany):
        sign_in(database, "nobody")


def test_a_clock_that_went_back_keeps_nobody_out(database, anna):
    fails(database, 12 - 7)
    back = NOW - timedelta(days=1)

    assert sign_in(database, now=back).session.person.id == anna.id


def test_at_the_same_time_no_more_are_let_through_than_one_after_another(database, anna):
    def fail(_number: int) -> type[Exception]:
        with pytest.raises((Wrong, TooMany)) as told:
            sign_in(database, password="wrong")
        return told.type

    with ThreadPoolExecutor(4) as threads:
        told = list(threads.map(fail, range(8)))

    assert Counter(told) == {Wrong: 5, TooMany: 3}


def test_whoever_signs_in_well_adds_no_failure_to_those_of_the_address(database, anna):
    for number in range(3):
        fails(database, 1, login=f"guess-{number}")

    for second in range(1, 4):
        sign_in(database, now=NOW + timedelta(seconds=second))

    attempts = [row for row in kept(database)["sign_in_attempts"] if row[0].startswith("address:")]
    assert attempts == [(f"address:{HERE}", 3, NOW)]


# ------------------------------------------------------------------------------------------------------------ sessions
@pytest.mark.parametrize(
    ("steps", "lasts"),
    [
        ([29], True),
        ([30], False),
        ([29, 58, 87], True),
        ([29, 58, 89], False),
        ([*range(25, 720, 25)], True),
        ([*range(25, 720, 25), 720], False),
        ([-10], False),
    ],
    ids=["used soon", "idle", "used again and again", "idle later", "used all day", "used all day and longer",
         "before it began"],
)  # fmt: skip
def test_a_session_lasts_while_it_is_used_and_no_longer_than_its_hours(database, anna, steps, lasts):
    token = sign_in(database).token

    found = [
        signing_in.session_of(database, token, limits=LIMITS, now=NOW + timedelta(minutes=minute)) for minute in steps
    ]

    assert (found[-1] is not None) == lasts


def test_a_session_that_was_ended_is_over(database, anna):
    opened = sign_in(database)

    signing_in.sign_out(database, opened.token)

    assert signing_in.session_of(database, opened.token, limits=LIMITS, now=NOW) is None


@pytest.mark.parametrize("token", ["", "x", "\x00", "ä", "a" * 10_000])
def test_a_token_that_nobody_was_given_opens_nothing(database, anna, token):
    sign_in(database)

    assert signing_in.session_of(database, token, limits=LIMITS, now=NOW) is None


def change(database, opened, old=PASSWORD, new="another long password 7"):
    return signing_in.change_password(database, opened.session, old=old, new=new, limits=LIMITS, now=NOW)


def test_changing_the_password_ends_every_other_session_and_begins_a_new_one(database, anna):
    mine, others = sign_in(database), sign_in(database, address=THERE)

    fresh = change(database, mine)

    alive = [
        signing_in.session_of(database, one.token, limits=LIMITS, now=NOW) is not None for one in (mine, others, fresh)
    ]
    assert alive == [False, False, True]
    with pytest.raises(Wrong):
        sign_in(database)
    assert sign_in(database, password="another long password 7").session.person.id == anna.id


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("wrong", "another long password 7", "password-wrong"),
        (PASSWORD, "short", "password-weak"),
        (PASSWORD, "x" * 300, "password-weak"),
        (PASSWORD, "aaaaaaaaaaaaaaaa", "password-weak"),
        (PASSWORD, "password12345678", "password-weak"),
        (PASSWORD, "my anna@hospital.example!", "password-weak"),
        (PASSWORD, "anna anna anna", "password-weak"),
        (PASSWORD, "123456789012", "password-weak"),
        (PASSWORD, "iloveyou1234", "password-weak"),
        (PASSWORD, "Changeme1234", "password-weak"),
        (PASSWORD, "qwertyuiop12", "password-weak"),
        (PASSWORD, "Krankenhaus1", "password-weak"),
        (PASSWORD, "Lab-Alerts 2026", "password-weak"),
        (PASSWORD, PASSWORD, "password-weak"),
    ],
)
def test_passwords_that_are_refused(database, anna, old, new, code):
    opened = sign_in(database)

    with pytest.raises(BadInput) as told:
        change(database, opened, old=old, new=new)

    assert [fault.code for fault in told.value.faults] == [code]
    assert new not in str(told.value)
    assert sign_in(database).session.person.id == anna.id


def test_guessing_the_present_password_in_an_open_session_is_throttled(database, anna):
    opened = sign_in(database)
    for _ in range(5):
        with pytest.raises(BadInput):
            change(database, opened, old="wrong")

    with pytest.raises(TooMany):
        change(database, opened)


def test_choosing_weak_passwords_is_not(database, anna):
    opened = sign_in(database)
    for _ in range(6):
        with pytest.raises(BadInput):
            change(database, opened, new="short")

    assert change(database, opened).session.person.id == anna.id


@pytest.mark.parametrize("new", ["welcome to the jungle", "hospital bed by the window", "密码密码不是这个密码的十二字"])
def test_passwords_that_are_taken(database, anna, new):
    change(database, sign_in(database), new=new)

    assert sign_in(database, password=new).session.person.id == anna.id


# ------------------------------------------------------------------------------------------ what happens in between
def test_whoever_is_disabled_while_signing_in_begins_no_session(database, anna):
    people.disable(database, anna.login, now=NOW)

    with pytest.raises(Wrong):
        signing_in.open_for(database, anna, limits=LIMITS, now=NOW)

    assert kept(database)["sessions"] == []


def test_a_password_that_was_replaced_while_it_was_checked_begins_no_session(database, anna):
    people.set_password(database, anna.login, "another long password 7", now=NOW, must_change=False)

    with pytest.raises(Wrong):
        signing_in.open_for(database, anna, limits=LIMITS, now=NOW)


def test_changing_the_password_undoes_nothing_that_an_administrator_did_meanwhile(database, anna):
    opened = sign_in(database)
    people.set_role(database, anna.login, Role.VIEWER, now=NOW)

    change(database, opened)

    assert people.listed(database)[0].role is Role.VIEWER


def test_somebody_who_was_disabled_meanwhile_changes_no_password(database, anna):
    opened = sign_in(database)
    people.disable(database, anna.login, now=NOW)

    with pytest.raises(Wrong):
        change(database, opened)

    assert people.listed(database)[0].password == anna.password


def test_others_see_where_somebody_is_signed_in(database, anna):
    mine = sign_in(database)
    first = sign_in(database, address=THERE, now=NOW + timedelta(minutes=1))
    sign_in(database, address=THERE, now=NOW - timedelta(minutes=31))

    found = signing_in.others_of(database, mine.session, limits=LIMITS, now=NOW + timedelta(minutes=2))

    assert [one.digest for one in found] == [first.session.digest]


# -------------------------------------------------------------------------------------------------------------- people
def test_a_login_is_given_once_however_it_is_written(database, anna):
    with pytest.raises(BadInput) as told:
        people.add(
            database, login="ANNA@hospital.example", name="", role=Role.VIEWER, password=None, now=NOW,
            must_change=False,
        )  # fmt: skip

    assert [fault.code for fault in told.value.faults] == ["name-taken"]


@pytest.mark.parametrize("login", ["", " ", "a b", "a\tb", "x" * 201, "a\x00"])
def test_odd_logins_are_refused(database, login):
    with pytest.raises(BadInput):
        people.add(database, login=login, name="", role=Role.VIEWER, password=None, now=NOW, must_change=False)


def test_another_role_ends_the_sessions(database, anna):
    opened = sign_in(database)

    people.set_role(database, anna.login, Role.VIEWER, now=NOW)

    assert signing_in.session_of(database, opened.token, limits=LIMITS, now=NOW) is None
    assert sign_in(database).session.person.role is Role.VIEWER


def test_whoever_is_not_there_cannot_be_changed(database):
    with pytest.raises(NotFound):
        people.disable(database, "nobody", now=NOW)


def test_what_has_ended_is_removed_when_somebody_signs_in(database, anna):
    sign_in(database)
    fails(database, 1, login="nobody")

    sign_in(database, now=NOW + timedelta(days=2))

    assert len(kept(database)["sessions"]) == 1
    assert kept(database)["sign_in_attempts"] == []
