"""People: added, changed, disabled; by an operator at the command line.

Law: whatever takes something from somebody ends their sessions at once.
"""

import re
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from werkzeug.security import check_password_hash, generate_password_hash
from zxcvbn import zxcvbn  # type: ignore[import-untyped]  # it has no types

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
# How soon a password would be guessed is what zxcvbn says of its beginning: of longer ones it takes seconds to say it.
_LOOKED_AT, _SAFELY_UNGUESSABLE = 24, 3
_TRIED_HERE = ("lab-alerts", "labalerts", "hospital", "passwort", "krankenhaus")


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
    faults = [*login_faults(folded(login)), *(password_faults(password, login, name) if password is not None else ())]
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


def password_faults(password: str, *own: str) -> list[Fault]:
    """What speaks against a password, in words that do not repeat it. ``own``: the login and the name of its owner."""
    if not SHORTEST <= len(password) <= LONGEST:
        return [_weak(f"has to have from {SHORTEST} to {LONGEST} characters")]
    words = [word for text in map(folded, own) for word in (text, *_WORD.findall(text))]
    guessed = zxcvbn(folded(password)[:_LOOKED_AT], user_inputs=[*words, *_TRIED_HERE])
    if guessed["score"] < _SAFELY_UNGUESSABLE:
        return [_weak("is one that others would guess soon: take several words that do not belong together")]
    return []


_WORD = re.compile(r"\w{3,}")


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

    def changed(found: Person) -> Person:
        faults = password_faults(password, found.login, found.name)
        if faults:
            raise BadInput(faults)
        return replace(found, password=kept, must_change=must_change)

    kept = hashed(password[: LONGEST + 1])
    _change(database, login, changed, now=now)


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
