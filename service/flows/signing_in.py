"""Signing in, sessions, signing out.

    login and password ─► not too many failures lately? ─► right? ─► a session, known to the browser by a token

Law: nobody learns whether a login exists, nor keeps somebody else out by what they try. Times are arguments.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import Connection

from service.domain.errors import BadInput, Fault, LabAlertsError, Unavailable
from service.flows import people as people_flow
from service.flows import throttle
from service.flows.people import checks, folded, hashed, password_faults
from service.flows.throttle import Tries
from service.storage import browsers, people, sessions
from service.storage.database import Database
from service.storage.people import Person
from service.storage.rows import digest
from service.storage.sessions import Attempts, Session

_FORGET = timedelta(hours=24)
_SEEN_EVERY = timedelta(minutes=1)
BROWSER_KNOWN = timedelta(days=90)  # since somebody last signed in there
_BROWSERS = 20  # of one person; the one that was used the longest ago is known no more


class Wrong(LabAlertsError):
    """The login or the password is wrong, or the person may not sign in; nobody is told which.

    ``person``: whose login it was, if anybody's; for the audit only.
    """

    def __init__(self, person: Person | None = None) -> None:
        self.person = person
        super().__init__()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a session lasts: in all, and without being used."""

    hours: int
    idle_minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A session that was opened, and what only its browser is told.

    ``token`` opens the session; ``browser``, if any, says later that the person has signed in there before.
    """

    session: Session
    token: str = field(repr=False)
    browser: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where somebody signs in from: the network address, and what the browser was told when they last did."""

    address: str
    browser: str = field(default="", repr=False)


def sign_in(database: Database, login: str, password: str, *, origin: Origin, limits: Limits, now: datetime) -> Opened:
    """Open a session. Raises ``Wrong``, ``TooMany`` and ``Unavailable``."""
    known = _knows(database, folded(login), origin.browser, now=now)
    names = throttle.tries_of_browser(known) if known else throttle.tries(folded(login), origin.address)
    with (throttle.KNOWN if known else throttle.ANYBODY).place():
        found, former = _begin(database, folded(login), names, now=now)
        # Somebody unknown takes as long as somebody known.
        good = checks((found and found.password) or _nobody(), password[: people_flow.LONGEST + 1])
    if found is None or found.password is None or found.disabled_at is not None or not good:
        raise Wrong(found)
    opened = _open(database, found, limits=limits, now=now)
    with suppress(Unavailable), database.transaction() as connection:  # it is not worth refusing whoever is in
        throttle.went_well(connection, former, now=now)
        opened = _known_again(connection, opened, origin.browser if known else None, now=now)
    return opened


def _knows(database: Database, login: str, token: str, *, now: datetime) -> str | None:
    """The digest of a browser in which whoever has this login signed in before."""
    if not token:
        return None
    with database.reading() as connection:
        return browsers.known(connection, token, login=login, now=now)


def _begin(database: Database, login: str, names: Tries, *, now: datetime) -> tuple[Person | None, list[Attempts]]:
    """Who wants to sign in. Raises ``TooMany``."""
    with database.transaction() as connection:
        former = throttle.count(connection, names, now=now)
        return people.by_login(connection, login), former


def _known_again(connection: Connection, opened: Opened, token: str | None, *, now: datetime) -> Opened:
    """This browser is known for some time: by its token, or by a new one."""
    token, person = token or secrets.token_urlsafe(32), opened.session.person
    browsers.keep(connection, token, person_id=person.id, ends_at=now + BROWSER_KNOWN, most=_BROWSERS)
    return replace(opened, browser=token)


@cache
def _nobody() -> str:
    """What is checked where there is nobody; made once, as making it takes as long as checking."""
    return hashed(secrets.token_urlsafe(24))


def open_for(database: Database, person: Person, *, limits: Limits, now: datetime) -> Opened:
    """Open a session for somebody whom a provider has vouched for. Raises ``Wrong`` and ``Unavailable``."""
    return _open(database, person, limits=limits, now=now)


def _open(database: Database, person: Person, *, limits: Limits, now: datetime) -> Opened:
    token = secrets.token_urlsafe(32)
    session = Session(
        digest=digest(token),
        person=person,
        csrf=secrets.token_urlsafe(24),
        created_at=now,
        seen_at=now,
        ends_at=now + timedelta(hours=limits.hours),
    )
    with database.transaction() as connection:
        present = people.held(connection, person.login)
        # Whoever was disabled or given another password meanwhile had all sessions ended, and begins none now.
        if present.disabled_at is not None or present.password != person.password:
            raise Wrong
        sessions.clear(connection, now=now, forget=now - _FORGET)
        sessions.add(connection, session)
    return Opened(session=session, token=token)


def session_of(database: Database, token: str, *, limits: Limits, now: datetime) -> Session | None:
    """The session that a token opens; None when there is none, or it has ended. Raises ``Unavailable``."""
    with database.reading() as connection:
        found = sessions.of(connection, token)
    if found is None or found.person.disabled_at is not None or not _lasts(found, limits, now):
        return None
    if now - found.seen_at >= _SEEN_EVERY:
        with suppress(Unavailable), database.transaction() as connection:  # it is not worth refusing a page
            sessions.seen(connection, found, now=now)
    return found


def _lasts(session: Session, limits: Limits, now: datetime) -> bool:
    idle = now - session.seen_at
    return session.created_at - throttle.AHEAD <= now < session.ends_at and idle < timedelta(
        minutes=limits.idle_minutes
    )


def sign_out(database: Database, token: str) -> None:
    """End a session. Raises ``Unavailable``."""
    with database.transaction() as connection:
        sessions.end(connection, token)


def others_of(database: Database, session: Session, *, limits: Limits, now: datetime) -> list[Session]:
    """The other sessions of the same person that last, the latest first. Raises ``Unavailable``."""
    with database.reading() as connection:
        found = sessions.of_person(connection, session.person)
    return [one for one in found if one.digest != session.digest and _lasts(one, limits, now)]


def change_password(
    database: Database, session: Session, *, old: str, new: str, limits: Limits, now: datetime
) -> Opened:
    """Change one's own password: every session ends, and a new one begins.

    Raises ``BadInput`` when the old one is wrong or the new one is weak, ``TooMany``, ``Wrong`` when somebody else
    changed it or disabled the person meanwhile, and ``Unavailable``.
    """
    person = session.person
    # Whoever found a browser that was left open must not find out the password.
    with throttle.KNOWN.place():
        with database.transaction() as connection:
            former = throttle.count(connection, throttle.tries_of_person(person.id), now=now)
        good = person.password is not None and checks(person.password, old[: people_flow.LONGEST + 1])
    if not good:
        raise BadInput([Fault(pointer="old", code="password-wrong", detail="is not the password until now")])
    with database.transaction() as connection:
        throttle.went_well(connection, former, now=now)
    kept = _checked(person, old, new)
    with database.transaction() as connection:
        present = people.held(connection, person.login)
        if present.disabled_at is not None or present.password != person.password:
            raise Wrong
        changed = replace(present, password=kept, must_change=False, changed_at=now)
        people.replace(connection, changed)
        sessions.end_all(connection, person.id)
    opened = _open(database, changed, limits=limits, now=now)
    with suppress(Unavailable), database.transaction() as connection:
        opened = _known_again(connection, opened, None, now=now)
    return opened


def _checked(person: Person, old: str, new: str) -> str:
    """A new password, as it is kept. Raises ``BadInput``."""
    faults = password_faults(new, person.login, person.name)
    if not faults and old == new:
        faults = [Fault(pointer="password", code="password-weak", detail="is the one until now")]
    if faults:
        raise BadInput(faults)
    return hashed(new)
