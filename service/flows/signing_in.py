"""Signing in, sessions, signing out.

    login and password ─► not too many failures lately? ─► right? ─► a session, known to the browser by a token

Law: nobody learns whether a login exists. Failures cost growing waits, to the same login from the same place first, so
that nobody is kept out by what somebody else tries. Times are arguments.
"""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from threading import BoundedSemaphore

from sqlalchemy import Connection

from service.domain.errors import BadInput, Fault, LabAlertsError, Unavailable
from service.flows import people as people_flow
from service.flows.people import checks, folded, hashed, password_faults
from service.storage import people, sessions
from service.storage.database import Database
from service.storage.people import Person
from service.storage.sessions import Attempts, Session


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """``free``: failures that cost nothing; ``longest``: the longest wait; ``forgiven``: the time that undoes one."""

    free: int
    longest: timedelta
    forgiven: timedelta

    def counted(self, failures: int, last: datetime, now: datetime) -> int:
        """How many failures still count."""
        if last > now + _AHEAD:
            return 0
        return failures - min(failures, max(0, (now - last) // self.forgiven))

    def until(self, counted: int, last: datetime) -> datetime:
        """When the next attempt may be made."""
        if counted < self.free:
            return last - _AHEAD
        wait: timedelta = min(_FIRST_WAIT * (1 << min(counted - self.free, 16)), self.longest)
        return last + wait


# The same login from the same address; everybody from an address; a login from anywhere. Behind an address there can be
# a whole hospital, and others can try a login: these two waits are short, and their failures are soon forgiven.
_PAIR = Limit(free=5, longest=timedelta(minutes=15), forgiven=timedelta(hours=1))
_ADDRESS = Limit(free=30, longest=timedelta(minutes=1), forgiven=timedelta(minutes=1))
_LOGIN = Limit(free=50, longest=timedelta(minutes=1), forgiven=timedelta(minutes=1))
_FIRST_WAIT = timedelta(seconds=5)
_FORGET = timedelta(hours=24)
_AHEAD = timedelta(minutes=5)  # a failure that lies further ahead was timed by a clock that has gone back
_SEEN_EVERY = timedelta(minutes=1)


def sign_in(database: Database, login: str, password: str, *, address: str, limits: Limits, now: datetime) -> Opened:
    """Open a session. Raises ``Wrong``, ``TooMany`` and ``Unavailable``."""
    tries = _tries(folded(login), address)
    with _in_line():
        found, former = _begin(database, folded(login), tries, now=now)
        # Somebody unknown takes as long as somebody known.
        good = checks((found and found.password) or _nobody(), password[: people_flow.LONGEST + 1])
    if found is None or found.password is None or found.disabled_at is not None or not good:
        raise Wrong
    opened = _open(database, found, limits=limits, now=now)
    _went_well(database, former, now=now)
    return opened


@contextmanager
def _in_line() -> Iterator[None]:
    """A place to have a password checked, which takes a processor and 32 MiB. Raises ``Unavailable``.

    Two are checked at a time and four may wait, so that all other requests have threads left.
    """
    if not _LINE.acquire(blocking=False):
        raise Unavailable("too many passwords are being checked")
    try:
        with _CHECKED_AT_ONCE:
            yield
    finally:
        _LINE.release()


_CHECKED_AT_ONCE, _LINE = BoundedSemaphore(2), BoundedSemaphore(6)

_Tries = Sequence[tuple[str, Limit]]


def _tries(login: str, address: str) -> _Tries:
    """Under which names failures are counted; none of them says a login."""
    name, place = hashlib.sha256(login.encode()).hexdigest(), _place(address)
    return ((f"pair:{name}:{place}", _PAIR), (f"address:{place}", _ADDRESS), (f"login:{name}", _LOGIN))


def _place(address: str) -> str:
    """Where somebody is. Of IPv6 the network: whoever has one address of it has all of them."""
    read = _read(address)
    if isinstance(read, IPv6Address) and read not in _NAT64:
        return str(ip_network((read, 64), strict=False))
    return "elsewhere" if read is None else str(read)


_NAT64 = ip_network("64:ff9b::/96")  # each address stands for one of IPv4 (RFC 6052)


def _read(address: str) -> IPv4Address | IPv6Address | None:
    """An address as a server or a proxy writes it: perhaps with a port, perhaps one of IPv4 mapped into IPv6."""
    bare = address.partition("]")[0].removeprefix("[") if address.startswith("[") else address
    bare = bare.partition(":")[0] if bare.count(":") == 1 else bare
    try:
        read = ip_address(bare)
    except ValueError:
        return None
    return (read.ipv4_mapped or read) if isinstance(read, IPv6Address) else read


def _begin(database: Database, login: str, tries: _Tries, *, now: datetime) -> tuple[Person | None, list[Attempts]]:
    """Who wants to sign in. Raises ``TooMany``.

    The attempt counts as failed until it has gone well: of many at the same time, no more are let through than one
    after another.
    """
    with database.transaction() as connection:
        former = _counted(connection, tries, now=now)
        return people.by_login(connection, login), former


def _counted(connection: Connection, tries: _Tries, *, now: datetime) -> list[Attempts]:
    """Count one attempt more; answers what was counted before. Raises ``TooMany``."""
    former = []
    for who, limit in tries:
        before = sessions.attempted(connection, who, now=now)
        counted = limit.counted(before.failures, before.last_at, now)
        until = limit.until(counted, before.last_at)
        if counted and until > now:
            raise TooMany(int((until - now).total_seconds()) + 1)
        sessions.recount(connection, Attempts(who=who, failures=counted + 1, last_at=now))
        former.append(before)
    return former


def _went_well(database: Database, former: Sequence[Attempts], *, now: datetime) -> None:
    """The attempt was no failure. Those before stay, but of the login from this address: others may have failed."""
    with suppress(Unavailable), database.transaction() as connection:
        sessions.forget_attempts(connection, former[0].who)
        for before in former[1:]:
            sessions.take_back(connection, before, now=now)


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
        digest=sessions.digest(token),
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
    return session.created_at - _AHEAD <= now < session.ends_at and idle < timedelta(minutes=limits.idle_minutes)


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
    tries = ((f"person:{person.id}", _PAIR),)
    with _in_line():
        with database.transaction() as connection:
            _counted(connection, tries, now=now)
        good = person.password is not None and checks(person.password, old[: people_flow.LONGEST + 1])
    if not good:
        raise BadInput([Fault(pointer="old", code="password-wrong", detail="is not the password until now")])
    with database.transaction() as connection:
        sessions.forget_attempts(connection, tries[0][0])
    kept = _checked(person, old, new)
    with database.transaction() as connection:
        present = people.held(connection, person.login)
        if present.disabled_at is not None or present.password != person.password:
            raise Wrong
        changed = replace(present, password=kept, must_change=False, changed_at=now)
        people.replace(connection, changed)
        sessions.end_all(connection, person.id)
    return _open(database, changed, limits=limits, now=now)


def _checked(person: Person, old: str, new: str) -> str:
    """A new password, as it is kept. Raises ``BadInput``."""
    faults = password_faults(new, person.login)
    if not faults and old == new:
        faults = [Fault(pointer="password", code="password-weak", detail="is the one until now")]
    if faults:
        raise BadInput(faults)
    return hashed(new)
