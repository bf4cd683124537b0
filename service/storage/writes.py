"""What is to be written of one or many panels, gathered while they are judged and written together.

Law: a transaction gathers first and writes once, in an order that the constraints allow: what ends, then what begins
(what is pointed at before what points to it), then what follows from that. A table gets one statement, however many
rows there are for it; PostgreSQL gets all new rows of all tables in one.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import JSON, Connection, Date, Executable, Table

from service.storage.rows import upsert
from service.storage.tables import (
    Instant,
    episodes,
    flags,
    idempotency_keys,
    inbox,
    notes,
    outbox,
    panels,
    patients,
    results,
    verdicts,
)

Row = dict[str, Any]

# Each table after those that it points to.
_NEW = (inbox, panels, results, verdicts, episodes, flags, outbox, idempotency_keys)
# What is learned of a patient; the row itself was made when it was locked.
_LEARNED = ("sex", "sex_as_of", "born", "born_as_of", "name", "last_collected_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of many rows at once: those with these ``keys`` get these ``columns``.

    ``counts``: a column that counts the changes. ``only``: a condition besides; in it ``{state}`` stands for the new
    value of a column.
    """

    table: Table
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    counts: str = ""
    only: str = ""

    def run(self, connection: Connection, rows: list[Row]) -> None:
        """Change some rows."""
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(_change_from_json(self), (_json(rows),))
            return
        names = (*self.columns, *self.keys)
        connection.exec_driver_sql(_change_each(self), _tuples(self.table, names, rows))


Statement = Executable | Change


class Writes:
    """New rows, changes that come before them and changes that come after them."""

    def __init__(self) -> None:
        self._kept_notes: set[str] = set()
        self._begin()

    def _begin(self) -> None:
        self._new: dict[str, list[Row]] = {table.name: [] for table in _NEW}
        self._notes: dict[str, Row] = {}
        self._patients: dict[str, Row] = {}
        self._named: dict[tuple[str, Hashable], Row] = {}
        self._first: dict[Statement, dict[Hashable, Row]] = defaultdict(dict)
        self._before: dict[Statement, dict[Hashable, Row]] = defaultdict(dict)
        self._after: dict[Statement, dict[Hashable, Row]] = defaultdict(dict)

    def add(self, table: Table, row: Row, *, name: Hashable = None) -> None:
        """A new row. With a ``name`` it can still be amended before it is written."""
        self._new[table.name].append(row)
        if name is not None:
            self._named[table.name, name] = row

    def amend(self, table: Table, name: Hashable, values: Mapping[str, Any]) -> bool:
        """Change a row that is not written yet; False when there is none of that name."""
        row = self._named.get((table.name, name))
        if row is not None:
            row.update(values)
        return row is not None

    def note(self, note: Row) -> None:
        """A note that is kept from now on, if not before."""
        if note["id"] not in self._kept_notes:
            self._notes[note["id"]] = note

    @property
    def note_ids(self) -> Set[str]:
        """The notes that were written."""
        return self._kept_notes

    def learned(self, patient: Row) -> None:
        """What is known of a patient now."""
        self._patients[patient["id"]] = patient

    def before(self, statement: Statement, row: Row) -> None:
        """A change that makes room for new rows."""
        rows = self._before[statement]
        rows[len(rows)] = row

    def change(self, statement: Statement, row: Row, *, name: Hashable, ends: bool) -> None:
        """A change of a row of this ``name``, in place of one before. What ends makes room for what goes on.

        These are two statements: of the rows of one, PostgreSQL chooses the order.
        """
        self._first[statement].pop(name, None)
        self._before[statement].pop(name, None)
        (self._first if ends else self._before)[statement][name] = row

    def after(self, statement: Statement, row: Row) -> None:
        """A change that follows from new rows."""
        rows = self._after[statement]
        rows[len(rows)] = row

    def flush(self, connection: Connection) -> None:
        """Write everything, and begin anew."""
        _run(connection, self._first)
        _run(connection, self._before)
        # In one order: two transactions that keep the same notes wait for each other, but never in a circle.
        if kept := [self._notes[name] for name in sorted(self._notes)]:
            connection.execute(_keep_note(connection.dialect.name), kept)
        if connection.dialect.name == "postgresql":
            self._write_at_once(connection)
        else:
            self._write_each(connection)
        _run(connection, self._after)
        self._kept_notes.update(self._notes)
        self._begin()

    def _write_at_once(self, connection: Connection) -> None:
        rows = {name: rows for name, rows in self._new.items() if rows}
        if self._patients:
            rows["patients"] = list(self._patients.values())
        if rows:
            connection.exec_driver_sql(_all_at_once(tuple(rows)), tuple(_json(own) for own in rows.values()))

    def _write_each(self, connection: Connection) -> None:
        for table in _NEW:
            if rows := self._new[table.name]:
                columns = tuple(rows[0])
                connection.exec_driver_sql(_insert(table, columns), _tuples(table, columns, rows))
        if self._patients:
            _LEARN.run(connection, list(self._patients.values()))


def _run(connection: Connection, changes: Mapping[Statement, Mapping[Hashable, Row]]) -> None:
    for statement, rows in changes.items():
        if not rows:
            continue
        if isinstance(statement, Change):
            statement.run(connection, list(rows.values()))
        else:
            connection.execute(statement, list(rows.values()))


def insert_rows(connection: Connection, table: Table, rows: list[Row]) -> None:
    """New rows of one table, each with the same columns, in one statement."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"WITH {_insert_from_json(table)} SELECT 1", (_json(rows),))
        return
    columns = tuple(rows[0])
    connection.exec_driver_sql(_insert(table, columns), _tuples(table, columns, rows))


@cache
def _keep_note(dialect: str) -> Executable:
    return upsert(dialect, notes).on_conflict_do_nothing(index_elements=[notes.c.id])


def _json(value: Any) -> str:
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return "\\x" + value.hex()  # how PostgreSQL reads bytes from a text
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} cannot be kept")


# ---------------------------------------------------------------------------------------------------- PostgreSQL
@cache
def _all_at_once(names: tuple[str, ...]) -> str:
    """One statement for the new rows of some tables, each of which comes as JSON in a parameter of its own.

    PostgreSQL reads rows from JSON faster than from arrays, and as fast as COPY brings them (DECISIONS 38).
    """
    steps = ", ".join(_insert_from_json(table) for table in _NEW if table.name in names)
    if "patients" not in names:
        return f"WITH {steps} SELECT 1"
    return f"{f'WITH {steps} ' if steps else ''}{_change_from_json(_LEARN)}"


@cache
def _change_from_json(change: Change) -> str:
    table = change.table.name
    columns = ", ".join([*(f"{name} = new.{name}" for name in change.columns), *_count(change)])
    conditions = [f"{table}.{name} = new.{name}" for name in change.keys]
    if change.only:
        conditions.append(change.only.format(**{name: f"new.{name}" for name in change.columns}))
    return (
        f"UPDATE {table} SET {columns} FROM json_populate_recordset(NULL::{table}, %s::json) AS new "  # noqa: S608  our own names
        f"WHERE {' AND '.join(conditions)}"
    )


def _insert_from_json(table: Table) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.c if column.name != "seq")
    return (
        f"new_{table.name} AS (INSERT INTO {table.name} ({columns}) SELECT {columns} "  # noqa: S608  our own names
        f"FROM json_populate_recordset(NULL::{table.name}, %s::json))"
    )


# -------------------------------------------------------------------------------------------------------- SQLite
def _tuples(table: Table, columns: tuple[str, ...], rows: list[Row]) -> list[tuple[Any, ...]]:
    pick = itemgetter(*columns)
    odd = [(at, convert) for at, name in enumerate(columns) if (convert := _CONVERT.get(type(table.c[name].type)))]
    return [_converted(pick(row), odd) for row in rows]


def _converted(values: tuple[Any, ...], odd: list[tuple[int, Callable[[Any], str]]]) -> tuple[Any, ...]:
    found = list(values)
    for at, convert in odd:
        if found[at] is not None:
            found[at] = convert(found[at])
    return tuple(found)


def _instant(value: datetime) -> str:
    """As SQLAlchemy writes it, to the letter: times are compared as texts."""
    if value.tzinfo is None:
        raise ValueError("a time without a zone cannot be kept")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


_CONVERT: Mapping[type, Callable[[Any], str]] = {Instant: _instant, JSON: _json, Date: date.isoformat}


@cache
def _insert(table: Table, columns: tuple[str, ...]) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  our own names


@cache
def _change_each(change: Change) -> str:
    table, names = change.table.name, (*change.columns, *change.keys)
    place = {name: f"?{number}" for number, name in enumerate(names, start=1)}
    columns = ", ".join([*(f"{name} = {place[name]}" for name in change.columns), *_count(change)])
    conditions = [f"{table}.{name} = {place[name]}" for name in change.keys]
    if change.only:
        conditions.append(change.only.format(**place))
    return f"UPDATE {table} SET {columns} WHERE {' AND '.join(conditions)}"  # noqa: S608  our own names


def _count(change: Change) -> tuple[str, ...]:
    return (f"{change.counts} = {change.table.name}.{change.counts} + 1",) if change.counts else ()


_LEARN = Change(table=patients, keys=("id",), columns=_LEARNED)
