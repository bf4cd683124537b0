"""Rows that are deleted once their time is over: messages as they came, answers remembered for repeated requests, what
was sent to whom, and the oldest end of the audit.

Law: no other table is named here. Patients, panels, results, verdicts, flags, episodes, notes, events and API keys are
never deleted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, delete, func, literal, select, true, tuple_

from service.storage import audit
from service.storage.tables import Instant, idempotency_keys, inbox
from service.storage.tables_delivery import deliveries, delivery_attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """A row whose time is over: the moment by which it is old, its primary key, and the length of its body in bytes."""

    moment: datetime
    key: tuple[Any, ...]
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Where rows of a kind are, and the moment by which they are old; ``done``: only those of which this is true."""

    moment: Column[Any]
    key: tuple[Column[Any], ...]
    body: Column[Any] | None = None
    done: ColumnElement[bool] = field(default_factory=true)

    @property
    def bytes(self) -> ColumnElement[int]:
        return literal(0) if self.body is None else func.length(self.body)


_MESSAGES, _ANSWERS, _DELIVERIES, AUDIT = "messages", "answers", "deliveries", "audit"
_KINDS = {
    _MESSAGES: _Kind(moment=inbox.c.received_at, key=(inbox.c.id,), body=inbox.c.body),
    _ANSWERS: _Kind(
        moment=idempotency_keys.c.expires_at,
        key=(idempotency_keys.c.client, idempotency_keys.c.route, idempotency_keys.c.key),
        body=idempotency_keys.c.body,
    ),
    # By when they were made, in which order an index has them; what is still on its way is not done.
    _DELIVERIES: _Kind(moment=deliveries.c.created_at, key=(deliveries.c.id,), done=deliveries.c.done_at.is_not(None)),
}
MESSAGES, ANSWERS, DELIVERIES = _KINDS


def oldest(
    connection: Connection, kind: str, *, before: datetime, after: Old | None = None, limit: int
) -> Sequence[Old]:
    """The oldest rows of a kind that are older than a moment, beginning after one of them."""
    if kind == AUDIT:
        return _oldest_entries(connection, before=before, after=after, limit=limit)
    of = _KINDS[kind]
    place = tuple_(of.moment, *of.key)
    statement = select(of.moment, of.bytes, *of.key).where(of.moment < before, of.done)
    if after is not None:
        statement = statement.where(place > tuple_(literal(after.moment, Instant), *map(literal, after.key)))
    rows = connection.execute(statement.order_by(of.moment, *of.key).limit(limit))
    return [Old(moment=row[0], bytes=row[1], key=tuple(row[2:])) for row in rows]


def _oldest_entries(connection: Connection, *, before: datetime, after: Old | None, limit: int) -> Sequence[Old]:
    """The same of the audit: only from the oldest end, so that the chain which is left is whole."""
    found = audit.oldest(connection, after=after.key[0] if after else 0, limit=limit)
    old = takewhile(lambda one: one[1] < before, found)
    return [Old(moment=at, key=(place,), bytes=0) for place, at in old]


def remove(connection: Connection, kind: str, rows: Sequence[Old]) -> Sequence[Old]:
    """Delete rows of a kind, given the oldest first; answers those of them that were still there and as old."""
    if connection.dialect.name == "sqlite":
        # Otherwise the bytes would stay readable in the file until something else is written over them.
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    if kind == AUDIT:
        taken = audit.remove(connection, rows[-1].key[0])
        return [row for row in rows if row.key[0] in taken]
    of = _KINDS[kind]
    # A key may have been used again since it was found old. The times also lead SQLite to the rows, by their index.
    as_old = of.moment.between(rows[0].moment, rows[-1].moment)
    wanted: ColumnElement[bool] = as_old & of.done & tuple_(*of.key).in_([row.key for row in rows])
    if kind == DELIVERIES:
        wanted = deliveries.c.id.in_(_without_attempts(connection, wanted))
    gone = {tuple(row) for row in connection.execute(delete(of.moment.table).where(wanted).returning(*of.key))}
    return [row for row in rows if row.key in gone]


def _without_attempts(connection: Connection, wanted: ColumnElement[bool]) -> Sequence[str]:
    """Delete the attempts of deliveries that are done; answers which, held until the transaction ends.

    What somebody replays at this moment is not done, and keeps what was tried.
    """
    held = select(deliveries.c.id).where(wanted).with_for_update(skip_locked=True)
    names = connection.execute(held).scalars().all()
    connection.execute(delete(delivery_attempts).where(delivery_attempts.c.delivery_id.in_(names)))
    return names
