"""How much may be tried: who waits after failures, and how many passwords are checked at a time.

    an attempt ─► from a browser that its owner signed in with before? ─► its own count, else those of login and place

Law: an attempt counts as failed until it has gone well, and what others try keeps nobody out who comes in the browser
that they came in before. Times are arguments.

Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from threading import BoundedSemaphore

from sqlalchemy import Connection

from service.domain.errors import LabAlertsError, Unavailable
from service.storage import sessions
from service.storage.sessions import Attempts


class TooMany(LabAlertsError):
    """Signing in has failed too often. ``seconds``: how long to wait."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__("signing in has failed too often")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """``free``: failures that cost nothing; ``longest``: the longest wait; ``forgiven``: the time that undoes one."""

    free: int
    longest: timedelta
    forgiven: timedelta

    def counted(self, failures: int, last: datetime, now: datetime) -> int:
        """How many failures still count."""
        if last > now + AHEAD:
            return 0
        return failures - min(failures, max(0, (now - last) // self.forgiven))

    def until(self, counted: int, last: datetime) -> datetime:
        """When the next attempt may be made."""
        if counted < self.free:
            return last - AHEAD
        wait: timedelta = min(_FIRST_WAIT * (1 << min(counted - self.free, 16)), self.longest)
        return last + wait


# The same login from the same address; everybody from an address; a login from anywhere. Behind an address there can be
# a whole hospital, and others can try a login: these two waits are short, and their failures are soon forgiven.
PAIR = Limit(free=5, longest=timedelta(minutes=15), forgiven=timedelta(hours=1))
ADDRESS = Limit(free=30, longest=timedelta(minutes=1), forgiven=timedelta(minutes=1))
LOGIN = Limit(free=50, longest=timedelta(minutes=1), forgiven=timedelta(minutes=1))
_FIRST_WAIT = timedelta(seconds=5)
AHEAD = timedelta(minutes=5)  # a failure that lies further ahead was timed by a clock that has gone back

Tries = Sequence[tuple[str, Limit]]


# ------------------------------------------------------------------------------------------ under which names it counts
def tries(login: str, address: str) -> Tries:
    """Under which names failures are counted; none of them says a login."""
    name, where = hashlib.sha256(login.encode()).hexdigest(), place(address)
    return ((f"pair:{name}:{where}", PAIR), (f"address:{where}", ADDRESS), (f"login:{name}", LOGIN))


def tries_of_browser(digest: str) -> Tries:
    """Under which name failures are counted in a browser in which the same person has signed in before."""
    return ((f"browser:{digest}", PAIR),)


def tries_of_person(person_id: str) -> Tries:
    """Under which name failures are counted of somebody who is signed in and says the present password."""
    return ((f"person:{person_id}", PAIR),)


def place(address: str) -> str:
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


# ------------------------------------------------------------------------------------------------------------- counting
def count(connection: Connection, names: Tries, *, now: datetime) -> list[Attempts]:
    """Count one attempt more; answers what was counted before. Raises ``TooMany``.

    It counts as failed until it has gone well: of many at the same time, no more are let through than one after
    another.
    """
    former = []
    for who, limit in names:
        before = sessions.attempted(connection, who, now=now)
        counted = limit.counted(before.failures, before.last_at, now)
        until = limit.until(counted, before.last_at)
        if counted and until > now:
            raise TooMany(int((until - now).total_seconds()) + 1)
        sessions.recount(connection, Attempts(who=who, failures=counted + 1, last_at=now))
        former.append(before)
    return former


def went_well(connection: Connection, former: Sequence[Attempts], *, now: datetime) -> None:
    """The attempt was no failure. Those before stay, but of the first name: under the rest others may have failed."""
    sessions.forget_attempts(connection, former[0].who)
    for before in former[1:]:
        sessions.take_back(connection, before, now=now)


# ------------------------------------------------------------------------------------------------------------- the line
class Line:
    """Places to have a password checked: ``at_once`` of them, and ``waiting`` more who wait."""

    def __init__(self, *, at_once: int, waiting: int) -> None:
        self._at_once, self._all = BoundedSemaphore(at_once), BoundedSemaphore(at_once + waiting)

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place, for as long as a password is checked. Raises ``Unavailable``."""
        if not self._all.acquire(blocking=False):
            raise Unavailable("too many passwords are being checked")
        try:
            with self._at_once:
                yield
        finally:
            self._all.release()


# Checking takes a processor and 32 MiB: all other requests keep threads. Anybody can fill the first line; into the
# second only those get who come in a browser in which they have signed in before, or who are signed in.
ANYBODY, KNOWN = Line(at_once=2, waiting=4), Line(at_once=1, waiting=3)
