"""A database that was filled long ago, made in minutes: a few real panels of the service, cloned by SQL.

Law: nothing is invented but names and times. A clone is a row that the service wrote, under names that sort before all
new ones, with everything else as it was; tables and columns are found in the database, not listed here.
"""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from bench.databases import connect
from bench.rows import columns, tables

_NAME = re.compile(r"[a-z]{3}_[0-9A-Z]{26}")
# How a new name is made of an old one (``{}``) and the number of the clone: the part that tells the time is replaced,
# so that clones are older than everything that comes later.
_RENAMED = {
    "postgresql": "left({0}, 4) || lpad(n::text, 10, '0') || right({0}, 16)",
    "sqlite": "substr({0}, 1, 4) || printf('%010d', n) || substr({0}, -16)",
}
_AT_ONCE = 100_000  # rows in one transaction: what the log of a database still takes easily
_NUMBERS = {
    "postgresql": "generate_series({}, {}) AS numbers(n)",
    "sqlite": "(WITH RECURSIVE u(n) AS (SELECT {} UNION ALL SELECT n + 1 FROM u WHERE n < {}) SELECT n FROM u) numbers",
}


def clone_everything(address: str, times: int) -> None:
    """Clone every patient with everything of theirs, so many times."""
    with closing(connect(address)) as connection:
        unchecked(connection)
        for table in tables():
            clone(connection, table, times, changed=_changed(connection, table))
        settle(connection)


def clone(connection: Any, table: str, times: int, *, changed: Mapping[str, str], where: str = "true") -> None:
    """Clone rows of a table: ``changed`` gives SQL for columns, in which ``t`` is the old row and ``n`` the number."""
    names = columns(table)
    taken = ", ".join(changed.get(name, f"t.{name}") for name in names)
    # Read from a copy: a database that reads and writes one table at once would keep all of it aside first.
    connection.execute(f"CREATE TEMPORARY TABLE model AS SELECT * FROM {table} t WHERE {where}")
    step = max(1, _AT_ONCE // connection.execute("SELECT 1 + count(*) FROM model").fetchone()[0])
    for first in range(1, times + 1, step):
        # The numbers go first: names that grow are put into indexes at one end.
        source = f"{_NUMBERS[_kind(connection)].format(first, min(times, first + step - 1))} CROSS JOIN model t"
        connection.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {taken} FROM {source}")
    connection.execute("DROP TABLE model")


def renamed(kind: str, column: str) -> str:
    """SQL for the name of a clone."""
    return _RENAMED[kind].format(f"t.{column}")


def _changed(connection: Any, table: str) -> dict[str, str]:
    names, kind = columns(table), _kind(connection)
    rows = connection.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()
    own = [name for place, name in enumerate(names) if _is_name([row[place] for row in rows])]
    changed = {name: renamed(kind, name) for name in own}
    return changed | ({"identifier": "n || '-' || t.identifier"} if table == "patients" else {})


def _is_name(values: Sequence[object]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(isinstance(value, str) and _NAME.fullmatch(value) for value in given)


def _kind(connection: Any) -> str:
    return "sqlite" if isinstance(connection, sqlite3.Connection) else "postgresql"


def unchecked(connection: Any) -> None:
    """Do not look up each foreign key of this connection: clones keep what the service has checked."""
    ways = {
        "postgresql": ("SET session_replication_role = replica", "SET synchronous_commit = off"),
        "sqlite": ("PRAGMA foreign_keys = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -262144"),
    }
    _each(connection, ways[_kind(connection)])


def settle(connection: Any) -> None:
    """Bring the database to where it would be after some time: written out, and with statistics."""
    ways = {"postgresql": ("ANALYZE", "CHECKPOINT"), "sqlite": ("ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)")}
    _each(connection, ways[_kind(connection)])


def _each(connection: Any, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement)
