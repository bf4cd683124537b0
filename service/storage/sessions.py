"""Rows of sessions, of failed attempts to sign in, and of sign-ins that are under way at a provider.

Law: what opens a session is kept as its digest, so that whoever reads the database opens none.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from service.storage.people import Person, find
from service.storage.rows import upsert
from service.storage.tables_people import oidc_requests, sessions, sign_in_attempts

_S, _A, _O = sessions.c, sign_in_attempts.c, oidc_requests.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session. ``csrf`` is what its forms carry; ``seen_at`` is when it was used, to the minute."""

    digest: str = field(repr=False)
    person: Person
    csrf: str = field(repr=False)
    created_at: datetime
    seen_at: datetime
    ends_at: datetime


def digest(token: str) -> str:
    """What is kept of a token: it is random enough for a fast hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def add(connection: Connection, new: Session) -> None:
    """Keep a new session."""
    plain = {name: getattr(new, name) for name in ("digest", "csrf", "created_at", "seen_at", "ends_at")}
    connection.execute(insert(sessions).values(person_id=new.person.id, **plain))


def of(connection: Connection, token: str) -> Session | None:
    """The session that a token opens, whether it has ended or not."""
    row = connection.execute(select(sessions).where(_S.digest == digest(token))).one_or_none()
    person = None if row is None else find(connection, row.person_id)
    if row is None or person is None:
        return None
    return Session(
        digest=row.digest,
        person=person,
        csrf=row.csrf,
        created_at=row.created_at,
        seen_at=row.seen_at,
        ends_at=row.ends_at,
    )


def seen(connection: Connection, session: Session, *, now: datetime) -> None:
    """A session was used."""
    connection.execute(update(sessions).where(_S.digest == session.digest).values(seen_at=now))


def end(connection: Connection, token: str) -> None:
    """A session ends."""
    connection.execute(delete(sessions).where(_S.digest == digest(token)))


def end_all(connection: Connection, person_id: str) -> int:
    """Every session of somebody ends; answers how many there were."""
    return connection.execute(delete(sessions).where(_S.person_id == person_id)).rowcount


def count(connection: Connection, person_id: str, *, now: datetime) -> int:
    """How many sessions of somebody have not come to their end."""
    wanted = (_S.person_id == person_id) & (_S.ends_at > now)
    return len(connection.execute(select(_S.digest).where(wanted)).all())


def clear(connection: Connection, *, now: datetime, forget: datetime) -> None:
    """Remove what has ended, and failures that are older than ``forget``."""
    connection.execute(delete(sessions).where(_S.ends_at <= now))
    connection.execute(delete(oidc_requests).where(_O.ends_at <= now))
    connection.execute(delete(sign_in_attempts).where(_A.last_at <= forget))


# ----------------------------------------------------------------------------------------------------------- attempts
def failures(connection: Connection, who: str) -> tuple[int, datetime | None]:
    """How often signing in has failed for a login or from an address, and when it last did."""
    row = connection.execute(select(_A.failures, _A.last_at).where(_A.who == who)).one_or_none()
    return (0, None) if row is None else (row.failures, row.last_at)


def failed(connection: Connection, who: str, *, now: datetime) -> None:
    """Signing in has failed once more."""
    statement = upsert(connection.dialect.name, sign_in_attempts).values(who=who, failures=1, last_at=now)
    changed = {"failures": _A.failures + 1, "last_at": now}
    connection.execute(statement.on_conflict_do_update(index_elements=[_A.who], set_=changed))


def forget_failures(connection: Connection, who: str) -> None:
    """Signing in went well."""
    connection.execute(delete(sign_in_attempts).where(_A.who == who))


# ------------------------------------------------------------------------------------------------------------ OpenID
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A sign-in that somebody is about at a provider. ``browser``: the digest of what only their browser has."""

    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    browser: str = field(repr=False)
    after: str
    ends_at: datetime


def ask(connection: Connection, state: str, asked: Asked) -> None:
    """Keep a sign-in that has begun."""
    plain: dict[str, Any] = {
        name: getattr(asked, name) for name in ("nonce", "verifier", "browser", "after", "ends_at")
    }
    connection.execute(insert(oidc_requests).values(state=digest(state), **plain))


def take(connection: Connection, state: str) -> Asked | None:
    """The sign-in of this state, once: whoever comes second finds none."""
    taken = delete(oidc_requests).where(_O.state == digest(state)).returning(oidc_requests)
    row = connection.execute(taken).one_or_none()
    if row is None:
        return None
    return Asked(nonce=row.nonce, verifier=row.verifier, browser=row.browser, after=row.after, ends_at=row.ends_at)
