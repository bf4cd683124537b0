"""Rows of the audit: a chain to which is only added at its end, and from which only the oldest go.

Law: whoever adds holds the head first, so that there is one order. A row is never changed.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, literal, select, tuple_, update

from service.domain.audit import Data, Entry, Mark, as_data, seal
from service.storage.audit_cells import Kept, cells, kept, read
from service.storage.rows import upsert
from service.storage.tables import Instant
from service.storage.tables_audit import audit, audit_head
from service.storage.writes import insert_rows

_C, _H = audit.c, audit_head.c
_AT_ONCE = 500  # rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last entry of the chain, and the one after which the chain that is kept begins."""

    last: Mark
    kept_after: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries are wanted: of an actor, about a subject, from ``since`` on and before ``until``."""

    actor: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


# ------------------------------------------------------------------------------------------------------------ the end
def head(connection: Connection) -> Head | None:
    """The head of the chain; None before the first entry."""
    row = connection.execute(select(audit_head)).one_or_none()
    return None if row is None else _head(row)


def _head(row: Row[Any]) -> Head:
    return Head(last=Mark(place=row.place, hash=row.hash), kept_after=Mark(place=row.from_place, hash=row.from_hash))


def hold(connection: Connection) -> Head:
    """The head; until the transaction ends nobody else adds to the chain or takes from it."""
    held = select(audit_head).with_for_update()
    row = connection.execute(held).one_or_none()
    if row is None:
        none = Mark()
        new = {"place": none.place, "hash": none.hash, "from_place": none.place, "from_hash": none.hash}
        first = upsert(connection.dialect.name, audit_head).values(id=1, **new)
        connection.execute(first.on_conflict_do_nothing())
        row = connection.execute(held).one()
    return _head(row)


def append(connection: Connection, entries: Iterable[Entry]) -> Mark:
    """Add entries at the end of the chain, in their order; answers the new end."""
    last, rows = hold(connection).last, []
    for entry in entries:
        data = as_data(entry, last)
        last = Mark(place=data["place"], hash=seal(data))
        rows.append(_row(entry, last, data))
    if rows:
        insert_rows(connection, audit, rows)
        connection.execute(update(audit_head).values(place=last.place, hash=last.hash))
    return last


def _row(entry: Entry, own: Mark, data: Data) -> dict[str, Any]:
    return {
        "place": own.place,
        "at": entry.at,
        "kind": entry.kind,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "request_id": entry.request_id,
        "outcome": entry.outcome,
        "detail": data["detail"],
        "before": data["before"],
        "hash": own.hash,
    }


# ------------------------------------------------------------------------------------------------------------ reading
def rows(connection: Connection, wanted: AuditFilter | None = None) -> Generator[Kept, None, None]:
    """Every entry that is wanted, in the order of the chain; memory does not grow with their number."""
    statement = select(*cells(connection.dialect.name)).where(*_conditions(wanted or AuditFilter())).order_by(_C.place)
    options = {"stream_results": True, "yield_per": _AT_ONCE}
    with connection.execute(statement, execution_options=options) as found:
        yield from map(kept, found)


def page(
    connection: Connection, wanted: AuditFilter, *, after: tuple[datetime, int] | None, limit: int
) -> Sequence[Kept]:
    """Up to ``limit`` entries from the newest backward, beginning after a time and a place."""
    statement = select(*cells(connection.dialect.name)).where(*_conditions(wanted))
    if after is not None:
        time, place = after
        # Its time as it stands there, which may be none; where it is kept no longer, as it was told.
        there = select(_C.at).where(_C.place == place).scalar_subquery()
        statement = statement.where(
            tuple_(_C.at, _C.place) < tuple_(func.coalesce(there, literal(time, Instant)), place)
        )
    return list(map(kept, connection.execute(statement.order_by(_C.at.desc(), _C.place.desc()).limit(limit))))


def hash_at(connection: Connection, place: int) -> str | None:
    """The hash of the entry at a place, if it is kept."""
    found: str | None = connection.execute(select(_C.hash).where(_C.place == place)).scalar_one_or_none()
    return found


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.actor is not None:
        found.append(_C.actor == wanted.actor)
    if wanted.subject is not None:
        found.append(_C.subject == wanted.subject)
    if wanted.since is not None:
        found.append(_C.at >= wanted.since)
    if wanted.until is not None:
        found.append(_C.at < wanted.until)
    return found


# --------------------------------------------------------------------------------------------------- the oldest end
def oldest(connection: Connection, *, after: int, limit: int) -> Sequence[tuple[int, datetime]]:
    """The oldest entries that are kept, beginning after a place: each with its place and its time.

    One whose time cannot be read is as old as the one after it, so that it keeps back no other.
    """
    times = select(*cells(connection.dialect.name, "at"))
    found: list[tuple[int, datetime]] = []
    rows = connection.execute(times.where(_C.place > after).order_by(_C.place).limit(limit)).all()
    for one in map(read, reversed(rows)):
        if "at" in one or found:
            found.append((one["place"], one.get("at") or found[-1][1]))
    return found[::-1]


def remove(connection: Connection, through: int) -> frozenset[int]:
    """Take everything through a place from the oldest end; answers the places that went.

    The chain that is left begins after the last of them, whose hash is noted for it.
    """
    hold(connection)
    taken = delete(audit).where(_C.place <= through).returning(_C.place, _C.hash)
    gone = {row.place: row.hash for row in connection.execute(taken)}
    if gone:
        place = max(gone)
        connection.execute(update(audit_head).values(from_place=place, from_hash=gone[place]))
    return frozenset(gone)
