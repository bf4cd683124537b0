"""People: added, changed, disabled; by an operator at the command line.

Law: whatever takes something from somebody ends their sessions at once.
"""

import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from werkzeug.security import check_password_hash, generate_password_hash

from service.domain.errors import BadInput, Fault
from service.domain.roles import Role
from service.storage import people, sessions
from service.storage.database import Database
from service.storage.ids import new_id
from service.storage.people import Person

# NIST SP 800-63B, 5.1.1.2: length instead of composition, and nothing that everybody would try first.
SHORTEST, LONGEST = 12, 256
_LONGEST_LOGIN = 200
# scrypt (RFC 7914) with the cost that OWASP's Password Storage Cheat Sheet names for 32 MiB; kept with each hash.
_METHOD = "scrypt:32768:8:3"
_TRIED_FIRST = ("password", "passwort", "123456", "qwerty", "letmein", "welcome", "lab-alerts", "labalerts", "hospital")


def folded(login: str) -> str:
    """A login in the form in which logins are compared."""
    return unicodedata.normalize("NFKC", storable(login)).strip().casefold()


def storable(text: str) -> str:
    """A text without what no database keeps (NUL) and what is no character (half a pair of UTF-16)."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def add(
    database: Database, *, login: str, name: str, role: Role, password: str | None, now: datetime, must_change: bool
) -> Person:
    """Add somebody. Without a password they sign in at a provider only. Raises ``BadInput``."""
    faults = [*login_faults(folded(login)), *(password_faults(password, login) if password is not None else ())]
    if faults:
        raise BadInput(faults)
    new = Person(
        id=new_id("usr"),
        login=folded(login),
        name=storable(name).strip() or folded(login),
        role=role,
        password=None if password is None else hashed(password),
        must_change=must_change,
        created_at=now,
        changed_at=now,
    )
    try:
        with database.transaction() as connection:
            people.add(connection, new)
    except IntegrityError:
        raise BadInput([Fault(pointer="login", code="name-taken", detail="somebody has this login")]) from None
    return new


def vouched_for(mail: str, *, issuer: str, subject: str, role: Role, now: datetime) -> Person:
    """Somebody new, for whom a provider vouches; they have no password here."""
    return Person(
        id=new_id("usr"),
        login=folded(mail),
        name=mail,
        role=role,
        issuer=issuer,
        subject=subject,
        created_at=now,
        changed_at=now,
    )


def login_faults(login: str) -> list[Fault]:
    """What speaks against a login."""
    plain = login.isprintable() and " " not in login and "\ufffd" not in login
    if 0 < len(login) <= _LONGEST_LOGIN and plain:
        return []
    return [Fault(pointer="login", code="text-invalid", detail="is empty, too long, or has a space in it")]


def password_faults(password: str, login: str) -> list[Fault]:
    """What speaks against a password, in words that do not repeat it."""
    plain = folded(password)
    if not SHORTEST <= len(password) <= LONGEST:
        return [_weak(f"has to have from {SHORTEST} to {LONGEST} characters")]
    own = plain
    for tried in (folded(login), *_TRIED_FIRST):
        own = own.replace(tried, "")
    if len(own) < SHORTEST // 2 or len(set(own)) < SHORTEST // 3:
        return [_weak("is one that others would try first")]
    return []


def _weak(detail: str) -> Fault:
    return Fault(pointer="password", code="password-weak", detail=detail)


def hashed(password: str) -> str:
    """What is kept of a password: its scrypt hash, with cost and salt."""
    return generate_password_hash(_prepared(password), method=_METHOD)


def checks(kept: str, password: str) -> bool:
    """Is it this password?"""
    return check_password_hash(kept, _prepared(password))


def _prepared(password: str) -> str:
    # The same password typed on another keyboard may come in another form of Unicode (NIST SP 800-63B, 5.1.1.2).
    return unicodedata.normalize("NFKC", storable(password))


def one_time() -> str:
    """A password for somebody to change."""
    return secrets.token_urlsafe(15)


def set_role(database: Database, login: str, role: Role, *, now: datetime) -> None:
    """Give somebody another role. Raises ``NotFound``."""
    _change(database, login, lambda found: replace(found, role=role), now=now)


def disable(database: Database, login: str, *, now: datetime) -> None:
    """Let somebody sign in no more. Raises ``NotFound``."""
    _change(database, login, lambda found: replace(found, disabled_at=found.disabled_at or now), now=now)


def enable(database: Database, login: str, *, now: datetime) -> None:
    """Let somebody sign in again. Raises ``NotFound``."""
    _change(database, login, lambda found: replace(found, disabled_at=None), now=now)


def set_password(database: Database, login: str, password: str, *, now: datetime, must_change: bool) -> None:
    """Give somebody another password. Raises ``NotFound`` and ``BadInput``."""
    faults = password_faults(password, login)
    if faults:
        raise BadInput(faults)
    kept = hashed(password)
    _change(database, login, lambda found: replace(found, password=kept, must_change=must_change), now=now)


def end_sessions(database: Database, login: str) -> int:
    """End every session of somebody; answers how many there were. Raises ``NotFound``."""
    with database.transaction() as connection:
        return sessions.end_all(connection, people.held(connection, folded(login)).id)


def listed(database: Database) -> list[Person]:
    """Everybody."""
    with database.reading() as connection:
        return people.every(connection)


def _change(database: Database, login: str, change: Callable[[Person], Person], *, now: datetime) -> None:
    with database.transaction() as connection:
        found = people.held(connection, folded(login))
        people.replace(connection, replace(change(found), changed_at=now))
        sessions.end_all(connection, found.id)
