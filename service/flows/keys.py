"""API keys are given out, listed and revoked.

Law: a key is shown once, when it is made.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from service.domain.errors import BadInput, Fault
from service.domain.texts import says_something
from service.storage import keys
from service.storage.database import Database
from service.storage.keys import ApiKey


def add(
    database: Database,
    *,
    name: str,
    scopes: Sequence[str],
    now: datetime,
    source: str | None = None,
    days: int | None = None,
    replace: bool = False,
) -> str:
    """Make a key and answer it. ``source`` is the name of the sending system, the key's own name if left out.

    ``replace`` revokes the active key of this name first. Raises ``BadInput`` when there is one and it stays.
    """
    faults = [
        _empty(which)
        for which, text in (("name", name), ("source", source))
        if text is not None and not says_something(text)
    ]
    if faults:
        raise BadInput(faults, kind="invalid-key")
    expires_at = None if days is None else now + timedelta(days=days)
    with database.transaction() as connection:
        if keys.active(connection, name) is not None:
            if not replace:
                raise BadInput([_taken()], kind="invalid-key")
            keys.revoke(connection, name, now)
        return keys.add(connection, name=name, source=source or name, scopes=scopes, now=now, expires_at=expires_at)


def _empty(which: str) -> Fault:
    return Fault(pointer=which, code="empty", detail="must not be empty")


def _taken() -> Fault:
    detail = "there is an active key of this name"
    return Fault(pointer="name", code="name-taken", detail=detail, hint="revoke it, or use --replace")


def listed(database: Database) -> list[ApiKey]:
    """Every key ever made, the oldest first."""
    with database.reading() as connection:
        return keys.every(connection)


def revoke(database: Database, name: str, now: datetime) -> None:
    """Revoke the active key of a name, at once. Raises ``NotFound``."""
    with database.transaction() as connection:
        keys.revoke(connection, name, now)
