"""The raw drivers, writing rows that the service wrote before: baselines.

Law: as fast as the driver allows with the same durability and the same constraints. One statement and one round trip
for a panel on PostgreSQL; prepared COPY and executemany in bulk.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from typing import Any

import psycopg

from bench.common import Answers
from bench.databases import connect
from bench.rows import Span, Unit, columns, insert, of_span, tables


def one_by_one(address: str, parts: Sequence[Unit], connections: int) -> Callable[[], Answers]:
    """A side of a bench: a transaction for each unit, on so many connections."""
    opened = [connect(address) for _ in range(connections)]
    statements = [_statement(address, unit) for unit in parts]
    shares = [(connection, statements[place::connections]) for place, connection in enumerate(opened)]
    for connection, own in shares:
        _warm(connection, own)

    def work() -> Answers:
        cpu, started = time.process_time(), time.monotonic()
        gave = _at_once(shares)
        end, cpu = time.monotonic(), time.process_time() - cpu
        statuses = {"kept": len(parts)}
        return {"start": started, "end": end, "cpu": cpu, "latencies": list(chain(*gave)), "statuses": statuses}

    return work


def _statement(address: str, unit: Unit) -> tuple[str, list[Any]]:
    """All of a unit as one statement, so that it is one round trip and one transaction."""
    *before, (last, rows) = unit.items()
    steps = [f"s{place} AS ({insert(address, table, len(own))})" for place, (table, own) in enumerate(before)]
    values = [value for own in unit.values() for row in own for value in row]
    return f"WITH {', '.join(steps)} {insert(address, last, len(rows))}", values


def _warm(connection: Any, work: Sequence[tuple[str, list[Any]]]) -> None:
    """Let each different statement be prepared on the connection, and keep nothing."""
    connection.prepare_threshold = 0
    for statement, values in dict(work).items():
        with connection.transaction(force_rollback=True):
            connection.execute(statement, values)


def _at_once(shares: Sequence[tuple[Any, Sequence[tuple[str, list[Any]]]]]) -> list[list[float]]:
    with ThreadPoolExecutor(len(shares)) as threads:
        return list(threads.map(_write, *zip(*shares, strict=True)))


def _write(connection: Any, work: Sequence[tuple[str, list[Any]]]) -> list[float]:
    taken = []
    for statement, values in work:
        started = time.monotonic()
        connection.execute(statement, values)  # commits by itself
        taken.append(time.monotonic() - started)
    return taken


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
