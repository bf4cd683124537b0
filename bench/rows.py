"""The rows that the service wrote, read back, to be written again by the raw driver.

Law: every table is either taken or named as left out; what a baseline writes is counted against what was read.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from bench.databases import connect, kind_of
from service.storage.tables import metadata

# Written by hand of an operator, or only where a client asks for it; and what all patients share.
# The audit is written beside the panels and later, by the service only: what it costs is on our side alone.
LEFT_OUT = frozenset({"api_keys", "idempotency_keys", "audit", "audit_head"})
SHARED = frozenset({"notes"})

Rows = list[tuple[Any, ...]]
# Everything that one panel (or several) wrote: the rows of each table, parents first.
Unit = dict[str, Rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Patients from one identifier to another, both included."""

    first: str
    last: str


def columns(table: str) -> list[str]:
    """The columns that are written; a number that the database gives is not."""
    known = metadata.tables[table]
    given = known.autoincrement_column
    return [column.name for column in known.columns if column is not given]


def tables() -> list[str]:
    """The tables that a panel writes to, parents first."""
    named = [table for table in metadata.sorted_tables if table.name not in LEFT_OUT | SHARED]
    return [table.name for table in named if _owner(table)]


def _owner(table: Table) -> str:
    """What tells whose a row is, as SQL on the table; empty where nothing does."""
    if "patient_id" in table.columns:
        return "patient_id"
    return {"patients": "id", "inbox": "id"}.get(table.name, "")


def of_span(table: str, names: Sequence[str], span: Span) -> str:
    """SQL for the rows of a table that belong to the patients of a span, each after its patient's id."""
    wanted = f"SELECT id FROM patients WHERE identifier BETWEEN '{span.first}' AND '{span.last}'"
    listed = ", ".join(f"t.{name}" for name in names)
    if table == "inbox":
        seen = f"FROM panels WHERE patient_id IN ({wanted}) GROUP BY inbox_id"
        own = f"SELECT inbox_id AS id, min(patient_id) AS whose {seen}"
        return f"SELECT o.whose, {listed} FROM inbox t JOIN ({own}) o ON o.id = t.id"
    owner = _owner(metadata.tables[table])
    return f"SELECT t.{owner} AS whose, {listed} FROM {table} t WHERE t.{owner} IN ({wanted})"


def units(address: str, span: Span) -> list[Unit]:
    """What the service wrote for each patient of a span, as the raw driver takes it cheapest."""
    as_text = "::text" if kind_of(address) == "postgresql" else ""
    found: dict[str, Unit] = {}
    with closing(connect(address)) as connection:
        for table in tables():
            names = [f"{name}{as_text}" for name in columns(table)]
            for patient, *row in connection.execute(of_span(table, names, span)):
                found.setdefault(patient, {}).setdefault(table, []).append(tuple(row))
    return list(found.values())


def share(source: str, target: str) -> None:
    """Copy what all patients share from one database to another of the same kind."""
    as_text = "::text" if kind_of(source) == "postgresql" else ""
    with closing(connect(source)) as one, closing(connect(target)) as other:
        for table in sorted(SHARED):
            names = ", ".join(f"{name}{as_text}" for name in columns(table))
            for row in one.execute(f"SELECT {names} FROM {table}"):
                other.execute(f"{insert(target, table)} ON CONFLICT DO NOTHING", row)


def insert(address: str, table: str, rows: int = 1) -> str:
    """SQL that writes so many rows."""
    names = columns(table)
    sign = "?" if kind_of(address) == "sqlite" else "%s"
    values = f"({', '.join(sign for _ in names)})"
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([values] * rows)}"


def counted(address: str) -> dict[str, int]:
    """How many rows each table has that a panel can write to."""
    with closing(connect(address)) as connection:
        names = [table.name for table in metadata.sorted_tables if table.name not in LEFT_OUT]
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def joined(parts: Iterable[Unit]) -> Unit:
    """Several units as one."""
    whole: Unit = {table: [] for table in tables()}
    for part in parts:
        for table, rows in part.items():
            whole[table] += rows
    return whole


def chunks(parts: Sequence[Unit], size: int) -> Iterator[Unit]:
    """Units joined by so many at a time."""
    for first in range(0, len(parts), size):
        yield joined(parts[first : first + size])
