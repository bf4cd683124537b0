"""How much signing in may cost: others, who wait or do not, and the machine. The tables say when who waits."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event

import pytest

from service.domain.errors import Unavailable
from service.domain.roles import Role
from service.flows import people, signing_in, throttle
from service.flows.signing_in import Wrong
from tests.flows.build import NOW, kept
from tests.flows.test_signing_in import PASSWORD, sign_in


def test_however_many_sign_in_well_from_one_address_nobody_waits(database):
    for number in range(40):
        people.add(
            database, login=f"p{number}", name="P", role=Role.VIEWER, password=PASSWORD, now=NOW, must_change=False
        )

    def enter(number: int) -> str:
        return sign_in(database, f"p{number}", now=NOW + timedelta(milliseconds=number)).session.person.login

    with ThreadPoolExecutor(4) as threads:
        entered = list(threads.map(enter, range(40)))

    assert len(entered) == 40
    assert kept(database)["sign_in_attempts"] == []


def test_no_more_passwords_are_checked_at_a_time_than_leaves_room_for_the_rest(database, monkeypatch):
    go_on, line = Event(), Barrier(7)
    monkeypatch.setattr(signing_in, "checks", lambda *_: go_on.wait(30))

    def enter(number: int) -> str:
        line.wait(30)
        try:
            sign_in(database, f"guess-{number}")
        except Unavailable:
            go_on.set()
            return "no room"
        except Wrong:
            return "checked"
        return "in"

    with ThreadPoolExecutor(7) as threads:
        told = Counter(threads.map(enter, range(7)))

    assert told == {"no room": 1, "checked": 6}


PAIR, ADDRESS = throttle.PAIR, throttle.ADDRESS


@pytest.mark.parametrize(
    ("limit", "failures", "minutes", "counted", "waits"),
    [
        (PAIR, 4, 0, 4, -300),
        (PAIR, 5, 0, 5, 5),
        (PAIR, 5, 59, 5, 5),
        (PAIR, 5, 60, 4, -300),
        (PAIR, 30, 0, 30, 900),
        (PAIR, 10_000, 0, 10_000, 900),
        (PAIR, 5, 24 * 60, 0, -300),
        (ADDRESS, 29, 0, 29, -300),
        (ADDRESS, 30, 0, 30, 5),
        (ADDRESS, 30, 1, 29, -300),
        (ADDRESS, 500, 0, 500, 60),
        (ADDRESS, 500, 480, 20, -300),
        (ADDRESS, 30, -4, 30, 5),
        (ADDRESS, 30, -6, 0, -300),
    ],
)
def test_failures_are_forgiven_one_after_another(limit, failures, minutes, counted, waits):
    now = NOW + timedelta(minutes=minutes)

    found = limit.counted(failures, NOW, now)

    assert (found, limit.until(found, NOW) - NOW) == (counted, timedelta(seconds=waits))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.5", "203.0.113.6", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("", "", True),
        ("unix:", "unix:", True),
        ("::ffff:203.0.113.5", "203.0.113.5", True),
        ("::ffff:203.0.113.5", "::ffff:203.0.113.6", False),
        ("64:ff9b::cb00:7105", "64:ff9b::cb00:7106", False),
        ("203.0.113.5:4000", "203.0.113.5:4001", True),
        ("[2001:db8:1:2::1]:4000", "2001:db8:1:2::9", True),
    ],
)
def test_where_somebody_is(one, other, same):
    assert (throttle.place(one) == throttle.place(other)) == same
