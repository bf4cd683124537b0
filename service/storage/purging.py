"""Rows that are deleted once their time is over: messages as they came, and answers remembered for repeated requests.

Law: no other table is named here. Patients, panels, results, verdicts, flags, episodes, notes, events and API keys are
never deleted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, delete, func, literal, select, tuple_

from service.storage.tables import Instant, idempotency_keys, inbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """A row whose time is over: the moment by which it is old, its primary key, and the length of its body in bytes."""

    moment: datetime
    key: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Where rows of a kind are, and the moment by which they are old."""

    moment: Column[Any]
    key: tuple[Column[Any], ...]
    body: Column[Any]


_MESSAGES, _ANSWERS = "messages", "answers"
_KINDS = {
    _MESSAGES: _Kind(moment=inbox.c.received_at, key=(inbox.c.id,), body=inbox.c.body),
    _ANSWERS: _Kind(
        moment=idempotency_keys.c.expires_at,
        key=(idempotency_keys.c.client, idempotency_keys.c.route, idempotency_keys.c.key),
        body=idempotency_keys.c.body,
    ),
}
MESSAGES, ANSWERS = _KINDS


def oldest(
    connection: Connection, kind: str, *, before: datetime, after: Old | None = None, limit: int
) -> Sequence[Old]:
    """The oldest rows of a kind that are older than a moment, beginning after one of them."""
    of = _KINDS[kind]
    place = tuple_(of.moment, *of.key)
    statement = select(of.moment, func.length(of.body), *of.key).where(of.moment < before)
    if after is not None:
        statement = statement.where(place > tuple_(literal(after.moment, Instant), *map(literal, after.key)))
    rows = connection.execute(statement.order_by(of.moment, *of.key).limit(limit))
    return [Old(moment=row[0], bytes=row[1], key=tuple(row[2:])) for row in rows]


def remove(connection: Connection, kind: str, rows: Sequence[Old]) -> Sequence[Old]:
    """Delete rows of a kind, given the oldest first; answers those of them that were still there and as old."""
    if connection.dialect.name == "sqlite":
        # Otherwise the bytes would stay readable in the file until something else is written over them.
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    of = _KINDS[kind]
    # A key may have been used again since it was found old. The times also lead SQLite to the rows, by their index.
    as_old = of.moment.between(rows[0].moment, rows[-1].moment)
    wanted = as_old & tuple_(*of.key).in_([row.key for row in rows])
    gone = {tuple(row) for row in connection.execute(delete(of.body.table).where(wanted).returning(*of.key))}
    return [row for row in rows if row.key in gone]
