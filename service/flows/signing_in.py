"""Signing in, sessions, signing out.

    login and password ─► not too many failures lately? ─► right? ─► a session, known to the browser by a token

Law: nobody learns whether a login exists. Failures cost growing waits, to the same login from the same place first, so
that nobody is kept out by what somebody else tries. Times are arguments.
"""

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import Connection

from service.domain.errors import BadInput, Fault, LabAlertsError, Unavailable
from service.flows import people as people_flow
from service.flows.people import checks, folded, hashed, password_faults
from service.storage import people, sessions
from service.storage.database import Database
from service.storage.people import Person
from service.storage.sessions import Session


class Wrong(LabAlertsError):
    """The login or the password is wrong, or the person may not sign in; nobody is told which."""


class TooMany(LabAlertsError):
    """Signing in has failed too often. ``seconds``: how long to wait."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__("signing in has failed too often")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a session lasts: in all, and without being used."""

    hours: int
    idle_minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A session that was opened, and the token that only its browser is told."""

    session: Session
    token: str = field(repr=False)


# (of whom, failures that cost nothing, the longest wait): the same login from the same address, everybody from an
# address, and a login from anywhere. The last one is short: it must not keep its owner out.
_PAIR, _ADDRESS, _LOGIN = (5, timedelta(minutes=15)), (30, timedelta(minutes=15)), (50, timedelta(minutes=1))
_FIRST_WAIT = timedelta(seconds=5)
_FORGET = timedelta(hours=24)
_AHEAD = timedelta(minutes=5)  # a failure that lies further ahead was timed by a clock that has gone back
_SEEN_EVERY = timedelta(minutes=1)


def sign_in(database: Database, login: str, password: str, *, address: str, limits: Limits, now: datetime) -> Opened:
    """Open a session. Raises ``Wrong``, ``TooMany`` and ``Unavailable``."""
    tried = _tried(folded(login), address)
    with database.reading() as connection:
        wait = max(_wait(connection, who, limit, now=now) for who, limit in tried)
        found = people.by_login(connection, folded(login))
    if wait > timedelta():
        raise TooMany(int(wait.total_seconds()) + 1)
    # Somebody unknown takes as long as somebody known.
    good = checks((found and found.password) or _nobody(), password[: people_flow.LONGEST + 1])
    if found is None or found.password is None or found.disabled_at is not None or not good:
        _note_failure(database, tried, now=now)
        raise Wrong
    return _open(database, found, tried=tried, limits=limits, now=now)


_Tried = Sequence[tuple[str, tuple[int, timedelta]]]


def _tried(login: str, address: str) -> _Tried:
    """Under which names failures are counted; none of them says a login."""
    name = hashlib.sha256(login.encode("utf-8", "replace")).hexdigest()
    return ((f"pair:{name}:{address}", _PAIR), (f"address:{address}", _ADDRESS), (f"login:{name}", _LOGIN))


def _wait(connection: Connection, who: str, limit: tuple[int, timedelta], *, now: datetime) -> timedelta:
    free, longest = limit
    failures, last = sessions.failures(connection, who)
    if last is None or failures < free or last > now + _AHEAD:
        return timedelta()
    wait: timedelta = min(_FIRST_WAIT * (1 << min(failures - free, 16)), longest)
    return last + wait - now


@cache
def _nobody() -> str:
    """What is checked where there is nobody; made once, as making it takes as long as checking."""
    return hashed(secrets.token_urlsafe(24))


def _note_failure(database: Database, tried: _Tried, *, now: datetime) -> None:
    with database.transaction() as connection:
        for who, _ in tried:
            sessions.failed(connection, who, now=now)


def open_for(database: Database, person: Person, *, limits: Limits, now: datetime) -> Opened:
    """Open a session for somebody whom a provider has vouched for. Raises ``Wrong`` and ``Unavailable``."""
    if person.disabled_at is not None:
        raise Wrong
    return _open(database, person, tried=(), limits=limits, now=now)


def _open(database: Database, person: Person, *, tried: _Tried, limits: Limits, now: datetime) -> Opened:
    token = secrets.token_urlsafe(32)
    session = Session(
        digest=sessions.digest(token),
        person=person,
        csrf=secrets.token_urlsafe(24),
        created_at=now,
        seen_at=now,
        ends_at=now + timedelta(hours=limits.hours),
    )
    with database.transaction() as connection:
        sessions.clear(connection, now=now, forget=now - _FORGET)
        for who, _ in tried[:1]:  # those of the address stay: others may have failed there
            sessions.forget_failures(connection, who)
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
    return session.created_at - _AHEAD <= now < session.ends_at and idle < timedelta(minutes=limits.idle_minutes)


def sign_out(database: Database, token: str) -> None:
    """End a session. Raises ``Unavailable``."""
    with database.transaction() as connection:
        sessions.end(connection, token)


def change_password(
    database: Database, session: Session, *, old: str, new: str, limits: Limits, now: datetime
) -> Opened:
    """Change one's own password: every session ends, and a new one begins.

    Raises ``BadInput`` when the old one is wrong or the new one is weak, and ``Unavailable``.
    """
    person = session.person
    if person.password is None or not checks(person.password, old[: people_flow.LONGEST + 1]):
        raise BadInput([Fault(pointer="old", code="password-wrong", detail="is not the password until now")])
    faults = password_faults(new, person.login)
    if not faults and old == new:
        faults = [Fault(pointer="password", code="password-weak", detail="is the one until now")]
    if faults:
        raise BadInput(faults)
    changed = replace(person, password=hashed(new), must_change=False, changed_at=now)
    with database.transaction() as connection:
        people.replace(connection, changed)
        sessions.end_all(connection, person.id)
    return _open(database, changed, tried=(), limits=limits, now=now)
