"""Sign-ins at a provider: remembered while they are under way, and joined to somebody here when they come back.

    begun, with state and nonce ─► taken up again, once ─► vouched for ─► somebody known, or nobody

Law: what a provider says of somebody counts by its own name for them. A mail address counts once, to find out who it
is, and only where the provider has verified it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from service.domain.roles import Role
from service.flows import people as people_flow
from service.flows.means import Means
from service.storage import people, sessions
from service.storage.people import Person
from service.storage.sessions import Asked


def remember(means: Means, state: str, asked: Asked, *, now: datetime) -> None:
    """Remember a sign-in that somebody is about at a provider. Raises ``Unavailable``."""
    with means.database.transaction() as connection:
        sessions.ask(connection, state, asked, now=now)


def take_up(means: Means, state: str, *, browser: str, now: datetime) -> Asked | None:
    """Take a sign-in up again: once, in time, and in the browser in which it was begun. Raises ``Unavailable``."""
    with means.database.transaction() as connection:
        asked = sessions.take(connection, state) if state else None
    good = asked is not None and now < asked.ends_at and asked.browser == sessions.digest(browser)
    return asked if good else None


def known(means: Means, issuer: str, claims: Mapping[str, Any], *, new: Role | None, now: datetime) -> Person | None:
    """Somebody here for whom a provider vouches; a new one in this role, where that is allowed.

    Raises ``Unavailable``.
    """
    subject, mail = str(claims["sub"]), str(claims.get("email", ""))
    with means.database.transaction() as connection:
        found = people.by_subject(connection, issuer, subject)
        if found is not None or not mail or claims.get("email_verified") is not True:
            return found
        joined = _joined(connection, mail, issuer=issuer, subject=subject, now=now)
        if joined is None and new is not None and people.by_login(connection, people_flow.folded(mail)) is None:
            joined = people_flow.vouched_for(mail, issuer=issuer, subject=subject, role=new, now=now)
            people.add(connection, joined)
        return joined


def _joined(connection: Connection, mail: str, *, issuer: str, subject: str, now: datetime) -> Person | None:
    """Who has this address as a login, and is known to no provider yet."""
    found = people.by_login(connection, people_flow.folded(mail))
    if found is None or found.subject is not None:
        return None
    joined = replace(found, issuer=issuer, subject=subject, changed_at=now)
    people.replace(connection, joined)
    return joined
