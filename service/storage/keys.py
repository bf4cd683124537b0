"""Rows of API keys.

Law: only the SHA-256 of a key is kept. A key is 256 random bits, so that a slow password hash would protect nothing.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from service.domain.errors import NotFound
from service.storage.ids import new_id
from service.storage.tables import api_keys

PREFIX = "lak_"
SCOPES = (
    "panels:write",
    "flags:read",
    "episodes:write",
    "rules:read",
    "rules:write",
    "sources:write",
    "subscriptions:write",
    "metrics:read",
    "audit:read",
    "admin",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as kept. ``source`` names the system that sends with it; results are told apart by it."""

    id: str
    name: str
    source: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def usable(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def may(self, scope: str) -> bool:
        """``admin`` may everything."""
        return scope in self.scopes or "admin" in self.scopes


def add(
    connection: Connection, *, name: str, source: str, scopes: Sequence[str], now: datetime, expires_at: datetime | None
) -> str:
    """Keep a new key and answer the key itself, which nobody can ask for again."""
    secret = PREFIX + secrets.token_urlsafe(32)
    row = {"id": new_id("key"), "name": name, "source": source, "digest": digest(secret), "scopes": list(scopes)}
    connection.execute(insert(api_keys).values(**row, created_at=now, expires_at=expires_at))
    return secret


def find(connection: Connection, secret: str) -> ApiKey | None:
    """The key, if it was ever given out; whether it may still be used is for ``usable`` to say."""
    row = connection.execute(_BY_DIGEST, {"of_digest": digest(secret)}).one_or_none()
    return None if row is None else _key(row)


_BY_DIGEST = select(api_keys).where(api_keys.c.digest == bindparam("of_digest"))


def every(connection: Connection) -> list[ApiKey]:
    """All keys, the oldest first."""
    return [_key(row) for row in connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id))]


def active(connection: Connection, name: str) -> ApiKey | None:
    """The key with this name that is not revoked, if there is one."""
    wanted = (api_keys.c.name == name) & api_keys.c.revoked_at.is_(None)
    row = connection.execute(select(api_keys).where(wanted)).one_or_none()
    return None if row is None else _key(row)


def revoke(connection: Connection, name: str, now: datetime) -> None:
    """Revoke the active key with this name. Raises ``NotFound``."""
    wanted = (api_keys.c.name == name) & api_keys.c.revoked_at.is_(None)
    if connection.execute(update(api_keys).where(wanted).values(revoked_at=now)).rowcount == 0:
        raise NotFound("active key with this name")


def digest(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        source=row.source,
        scopes=tuple(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
