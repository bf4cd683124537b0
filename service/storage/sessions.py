"""Rows of sessions, of failed attempts to sign in, and of sign-ins that are under way at a provider.

Law: what opens a session is kept as its digest, so that whoever reads the database opens none.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from service.storage import browsers
from service.storage.people import Person, find
from service.storage.rows import digest, upsert
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
    return _session(row, person)


def _session(row: Row[Any], person: Person) -> Session:
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
    """Every session of somebody ends, and no browser of theirs is known any more; answers how many sessions."""
    browsers.forget(connection, person_id)
    return connection.execute(delete(sessions).where(_S.person_id == person_id)).rowcount


def of_person(connection: Connection, person: Person) -> list[Session]:
    """Every session of somebody, the latest first."""
    rows = connection.execute(select(sessions).where(_S.person_id == person.id).order_by(_S.created_at.desc()))
    return [_session(row, person) for row in rows]


def clear(connection: Connection, *, now: datetime, forget: datetime) -> None:
    """Remove what has ended, and failures that are older than ``forget``."""
    browsers.clear(connection, now=now)
    connection.execute(delete(sessions).where(_S.ends_at <= now))
    connection.execute(delete(oidc_requests).where(_O.ends_at <= now))
    connection.execute(delete(sign_in_attempts).where(_A.last_at <= forget))


# ----------------------------------------------------------------------------------------------------------- attempts
@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """How often signing in has failed under a name, and when it last did."""

    who: str
    failures: int
    last_at: datetime


def attempted(connection: Connection, who: str, *, now: datetime) -> Attempts:
    """Count an attempt; answers what was counted before. Others who count this name wait until the transaction ends."""
    statement = upsert(connection.dialect.name, sign_in_attempts).values(who=who, failures=1, last_at=now)
    counted = statement.on_conflict_do_update(index_elements=[_A.who], set_={"failures": _A.failures + 1})
    row = connection.execute(counted.returning(_A.failures, _A.last_at)).one()
    return Attempts(who=who, failures=row.failures - 1, last_at=row.last_at)


def recount(connection: Connection, counted: Attempts) -> None:
    """Keep what was counted."""
    changed = {"failures": counted.failures, "last_at": counted.last_at}
    connection.execute(update(sign_in_attempts).where(_A.who == counted.who).values(**changed))


def take_back(connection: Connection, before: Attempts, *, now: datetime) -> None:
    """The attempt at ``now`` went well: it counts no more, and the last one is the one before, if none came since."""
    mine = _A.who == before.who
    row = connection.execute(select(sign_in_attempts).where(mine).with_for_update()).one_or_none()
    if row is not None and row.failures > 1:
        last = before.last_at if row.last_at == now else row.last_at
        connection.execute(update(sign_in_attempts).where(mine).values(failures=row.failures - 1, last_at=last))
    elif row is not None:
        connection.execute(delete(sign_in_attempts).where(mine))


def forget_attempts(connection: Connection, who: str) -> None:
    """Nothing counts any more under a name."""
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


def ask(connection: Connection, state: str, asked: Asked, *, now: datetime) -> None:
    """Keep a sign-in that has begun; those that were never finished go."""
    connection.execute(delete(oidc_requests).where(_O.ends_at <= now))
    plain: dict[str, Any] = {
        name: getattr(asked, name) for name in ("nonce", "verifier", "browser", "after", "ends_at")
    }
    connection.execute(insert(oidc_requests).values(state=digest(state), **plain))


def asked(connection: Connection) -> int:
    """How many sign-ins are under way."""
    return int(connection.execute(select(func.count()).select_from(oidc_requests)).scalar_one())


def take(connection: Connection, state: str) -> Asked | None:
    """The sign-in of this state, once: whoever comes second finds none."""
    taken = delete(oidc_requests).where(_O.state == digest(state)).returning(oidc_requests)
    row = connection.execute(taken).one_or_none()
    if row is None:
        return None
    return Asked(nonce=row.nonce, verifier=row.verifier, browser=row.browser, after=row.after, ends_at=row.ends_at)
