"""Sign-ins at a provider: remembered while they are under way, and joined to somebody here when they come back.

    begun, with state and nonce ─► taken up again, once ─► vouched for ─► somebody known, or nobody

Law: what a provider says of somebody counts by its own name for them. A mail address counts once, to find out who it
is, and only where the provider has verified it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from service.domain.errors import Unavailable
from service.domain.roles import Role
from service.flows import people as people_flow
from service.flows.means import Means
from service.storage import people, sessions
from service.storage.people import Person
from service.storage.rows import digest
from service.storage.sessions import Asked

_UNDER_WAY = 100_000  # sign-ins at a time: anybody may begin one


def remember(means: Means, state: str, asked: Asked, *, now: datetime) -> None:
    """Remember a sign-in that somebody is about at a provider. Raises ``Unavailable``."""
    with means.database.transaction() as connection:
        if sessions.asked(connection) >= _UNDER_WAY:
            raise Unavailable("too many sign-ins are under way")
        sessions.ask(connection, state, asked, now=now)


def take_up(means: Means, state: str, *, browser: str, now: datetime) -> Asked | None:
    """Take a sign-in up again: once, in time, and in the browser in which it was begun. Raises ``Unavailable``."""
    with means.database.transaction() as connection:
        asked = sessions.take(connection, state) if state else None
    good = asked is not None and now < asked.ends_at and asked.browser == digest(browser)
    return asked if good else None


def known(means: Means, issuer: str, claims: Mapping[str, Any], *, new: Role | None, now: datetime) -> Person | None:
    """Somebody here for whom a provider vouches; a new one in this role, where that is allowed.

    Raises ``Unavailable``.
    """
    named = _Named(issuer=issuer, subject=str(claims["sub"]), mail=_verified(claims))
    if not 0 < len(named.subject) <= _LONGEST_SUBJECT or named.subject != people_flow.storable(named.subject):
        return None
    try:
        return _known(means, named, new=new, now=now)
    except IntegrityError:  # in another window of theirs, they came first
        return _known(means, named, new=None, now=now)


_LONGEST_SUBJECT = 255  # OpenID Connect Core 1.0, section 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    issuer: str
    subject: str = field(repr=False)
    mail: str = field(repr=False)


def _verified(claims: Mapping[str, Any]) -> str:
    """The mail address that the provider has verified; empty where it has none."""
    mail = claims.get("email")
    # Logins are compared folded: of letters beyond ASCII two different mailboxes could become the same login.
    good = isinstance(mail, str) and mail.isascii() and claims.get("email_verified") is True
    return str(mail) if good and not people_flow.login_faults(people_flow.folded(str(mail))) else ""


def _known(means: Means, named: _Named, *, new: Role | None, now: datetime) -> Person | None:
    with means.database.transaction() as connection:
        found = people.by_subject(connection, named.issuer, named.subject)
        if found is not None or not named.mail:
            return found
        holder = people.by_login(connection, people_flow.folded(named.mail))
        if holder is not None:
            return _joined(connection, holder, named, now=now)
        if new is None:
            return None
        added = people_flow.vouched_for(named.mail, issuer=named.issuer, subject=named.subject, role=new, now=now)
        people.add(connection, added)
        return added


def _joined(connection: Connection, holder: Person, named: _Named, *, now: datetime) -> Person | None:
    """Whoever has the address as a login, unless a provider knows them already by another name."""
    found = people.held(connection, holder.login)
    if found.disabled_at is not None:
        return None
    if found.subject is not None:  # by the same name, if they came in another window of theirs meanwhile
        return found if (found.issuer, found.subject) == (named.issuer, named.subject) else None
    joined = replace(found, issuer=named.issuer, subject=named.subject, changed_at=now)
    if found.must_change:  # the password that an operator gave was never used, and is not needed any more
        joined = replace(joined, password=None, must_change=False)
    people.replace(connection, joined)
    return joined
