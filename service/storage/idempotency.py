"""Rows of remembered answers: what a request with an Idempotency-Key was answered.

Law: an answer is remembered in the transaction of what it tells of, and recalled to the letter until its time is over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, select
from sqlalchemy.exc import IntegrityError

from service.storage.rows import given, listed
from service.storage.tables import Instant, idempotency_keys
from service.storage.writes import Writes

# Client, route and key: the same key of another client, or on another route, is another one.
Name = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A request that shall have one answer however often it is sent. ``fingerprint`` is made of all that it asks."""

    client: str
    route: str
    key: str = field(repr=False)
    fingerprint: str

    @property
    def name(self) -> Name:
        return self.client, self.route, self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, to the letter."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """An answer as it was given, and the fingerprint of the request that had it."""

    fingerprint: str
    answer: Answer


def find(connection: Connection, claims: Sequence[Claim], *, now: datetime) -> Mapping[Name, Remembered]:
    """What is remembered of some claims, and not yet over."""
    dialect = connection.dialect.name
    parameters = {**given(dialect, _NAME, [claim.name for claim in claims]), "now": now}
    return {
        (row.client, row.route, row.key): Remembered(
            fingerprint=row.fingerprint, answer=Answer(status=row.status, headers=row.headers, body=row.body)
        )
        for row in connection.execute(_find(dialect), parameters)
    }


_NAME = ("of_client", "of_route", "of_key")
_C = idempotency_keys.c


@cache
def _find(dialect: str) -> Select[Any]:
    wanted = listed(dialect, *_NAME).c
    same = (_C.client == wanted.of_client) & (_C.route == wanted.of_route) & (_C.key == wanted.of_key)
    return (
        select(idempotency_keys)
        .join_from(listed(dialect, *_NAME), idempotency_keys, same)
        .where(_C.expires_at > bindparam("now", type_=Instant))
    )


def keep(writes: Writes, claim: Claim, answer: Answer, *, now: datetime, until: datetime) -> None:
    """Remember an answer. One under the same name whose time is over makes room."""
    writes.before(_OVER, dict(zip((*_NAME, "now"), (*claim.name, now), strict=True)))
    row = {
        "client": claim.client,
        "route": claim.route,
        "key": claim.key,
        "fingerprint": claim.fingerprint,
        "status": answer.status,
        "headers": dict(answer.headers),
        "body": answer.body,
        "created_at": now,
        "expires_at": until,
    }
    writes.add(idempotency_keys, row)


_OVER = delete(idempotency_keys).where(
    _C.client == bindparam("of_client"),
    _C.route == bindparam("of_route"),
    _C.key == bindparam("of_key"),
    _C.expires_at <= bindparam("now", type_=Instant),
)


def is_taken(error: IntegrityError) -> bool:
    """Does an error say that somebody else has remembered an answer under the same name meanwhile?"""
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    return constraint == "pk_idempotency_keys" or "idempotency_keys.client" in str(error.orig)
