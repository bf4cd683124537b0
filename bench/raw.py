"""The raw drivers, writing rows that the service wrote before: baselines.

Law: as fast as the driver allows with the same durability and the same constraints. One prepared statement and one
round trip for a panel on PostgreSQL; ready-made COPY, and executemany, in bulk.
"""

import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import chain, count
from typing import Any

import psycopg
from psycopg.pq import ExecStatus

from bench.common import Answers
from bench.databases import connect
from bench.rows import Span, Unit, columns, insert, of_span, tables

# One connection, and what it writes: pairs of a statement and its values.
Share = tuple[psycopg.Connection[Any], Sequence[tuple[Any, Sequence[Any]]]]


def prepared(address: str, parts: Sequence[Unit], connections: int) -> Callable[[], Answers]:
    """A side of a bench: a transaction for each unit, on so many connections to PostgreSQL.

    Statements are prepared and values are bytes before it begins: what is left is libpq and the database.
    """
    shares: list[Share] = []
    for place in range(connections):
        connection = psycopg.connect(address, autocommit=True)
        shares.append((connection, _prepared(connection, address, parts[place::connections])))
    return partial(_at_once, shares, _exec_prepared)


def executed(address: str, parts: Sequence[Unit], connections: int) -> Callable[[], Answers]:
    """The same through ``execute``, as programs do it. It reads a statement as long as these anew each time."""
    shares: list[Share] = []
    for place in range(connections):
        connection = psycopg.connect(address, autocommit=True)
        shares.append((connection, [(_statement(address, unit), _values(unit)) for unit in parts[place::connections]]))
    return partial(_at_once, shares, _execute)


def _at_once(shares: Sequence[Share], write: Callable[..., None]) -> Answers:
    cpu, started = time.process_time(), time.monotonic()
    with ThreadPoolExecutor(len(shares)) as threads:
        latencies = list(chain(*threads.map(partial(_written, write), *zip(*shares, strict=True))))
    end, cpu = time.monotonic(), time.process_time() - cpu
    return {"start": started, "end": end, "cpu": cpu, "latencies": latencies, "statuses": {"kept": len(latencies)}}


def _written(write: Callable[..., None], connection: Any, work: Sequence[tuple[Any, Sequence[Any]]]) -> list[float]:
    taken = []
    for statement, values in work:
        started = time.monotonic()
        write(connection, statement, values)  # each commits by itself
        taken.append(time.monotonic() - started)
    return taken


def _exec_prepared(connection: Any, name: bytes, values: Sequence[bytes]) -> None:
    _kept(connection.pgconn.exec_prepared(name, values))


def _execute(connection: Any, statement: str, values: Sequence[str]) -> None:
    connection.execute(statement, values, prepare=True)


def _prepared(connection: Any, address: str, parts: Sequence[Unit]) -> list[tuple[bytes, list[bytes | None]]]:
    names: dict[str, bytes] = {}
    found = []
    for unit in parts:
        statement = _statement(address, unit)
        if statement not in names:
            names[statement] = f"s{len(names)}".encode()
            _kept(connection.pgconn.prepare(names[statement], _numbered(statement)))
        found.append((names[statement], [None if value is None else value.encode() for value in _values(unit)]))
    return found


def _kept(result: Any) -> None:
    if result.status != ExecStatus.COMMAND_OK:
        raise RuntimeError(result.error_message.decode(errors="replace"))


def _statement(address: str, unit: Unit) -> str:
    """All of a unit as one statement, so that it is one round trip and one transaction."""
    *before, (last, rows) = unit.items()
    steps = [f"s{place} AS ({insert(address, table, len(own))})" for place, (table, own) in enumerate(before)]
    return f"WITH {', '.join(steps)} {insert(address, last, len(rows))}"


def _numbered(statement: str) -> bytes:
    """A statement with its places numbered, as the database itself wants them."""
    number = count(1)
    return re.sub("%s", lambda _: f"${next(number)}", statement).encode()


def _values(unit: Unit) -> list[Any]:
    return [value for rows in unit.values() for row in rows for value in row]


def copies(source: str, spans: Sequence[Span]) -> list[dict[str, bytes]]:
    """For each span, the rows of each table as COPY takes them."""
    with psycopg.connect(source) as connection:
        return [{table: _copied(connection, table, span) for table in tables()} for span in spans]


def _copied(connection: psycopg.Connection[Any], table: str, span: Span) -> bytes:
    names = columns(table)
    wanted = f"SELECT {', '.join(names)} FROM ({of_span(table, names, span)}) whole"
    with connection.cursor().copy(f"COPY ({wanted}) TO STDOUT") as copy:
        return b"".join(bytes(part) for part in copy)


def copied_in(target: str, chunks: Sequence[dict[str, bytes]]) -> None:
    """COPY everything, a transaction for each chunk."""
    with closing(connect(target)) as connection:
        for chunk in chunks:
            with connection.transaction():
                for table, data in chunk.items():
                    with connection.cursor().copy(f"COPY {table} ({', '.join(columns(table))}) FROM STDIN") as copy:
                        copy.write(data)


def copied_by_row(target: str, chunks: Sequence[Unit]) -> None:
    """The same from rows that are Python's, as a program has them that does not keep the bytes of COPY."""
    with closing(connect(target)) as connection:
        for chunk in chunks:
            with connection.transaction():
                for table, rows in chunk.items():
                    with connection.cursor().copy(f"COPY {table} ({', '.join(columns(table))}) FROM STDIN") as copy:
                        for row in rows:
                            copy.write_row(row)


def executed_many(target: str, chunks: Sequence[Unit]) -> None:
    """executemany on SQLite, a transaction for each chunk."""
    with closing(connect(target)) as connection:
        for chunk in chunks:
            connection.execute("BEGIN IMMEDIATE")
            for table, rows in chunk.items():
                connection.executemany(insert(target, table), rows)
            connection.execute("COMMIT")
