"""What was kept for a time is deleted when that time is over: messages as they came, remembered answers, what was sent
to whom, and the oldest end of the audit.

    limits ─► walk, the oldest first, some rows at a time ─► delete them, in a transaction of their own ─► what went

Law: what is foreseen and what is done is the same walk. It can end at any row; what is left goes the next time.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce

import structlog

from service.storage import purging
from service.storage.database import Database
from service.storage.purging import Old

CHUNK_ROWS = 1_000
CHUNK_BYTES = 8 * 2**20
# Between two chunks others have the database: SQLite lets one write at a time, and who waits looks again now and then.
REST = 0.05  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What goes of one kind: its rows, the bytes in them, and the oldest and newest moment of them.

    ``before``: what is older goes; None where all of it stays.
    """

    kind: str
    before: datetime | None
    rows: int = 0
    bytes: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None

    def with_(self, chunk: Sequence[Old]) -> "Share":
        """This and some more rows, which are newer."""
        if not chunk:
            return self
        return replace(
            self,
            rows=self.rows + len(chunk),
            bytes=self.bytes + sum(one.bytes for one in chunk),
            oldest=self.oldest or chunk[0].moment,
            newest=chunk[-1].moment,
        )


def limits(
    *, now: datetime, keep_inbox_days: int, keep_deliveries_days: int = 0, keep_audit_days: int = 0
) -> Mapping[str, datetime | None]:
    """The moment before which each kind goes. With 0 days it stays for ever; answers say themselves how long."""

    def before(days: int) -> datetime | None:
        return now - timedelta(days=days) if days else None

    return {
        purging.MESSAGES: before(keep_inbox_days),
        purging.ANSWERS: now,
        purging.DELIVERIES: before(keep_deliveries_days),
        purging.AUDIT: before(keep_audit_days),
    }


def foreseen(database: Database, of: Mapping[str, datetime | None]) -> tuple[Share, ...]:
    """What would go; nothing is changed. Raises ``Unavailable``."""
    return tuple(
        reduce(Share.with_, _walk(database, kind, before), Share(kind=kind, before=before))
        for kind, before in of.items()
    )


def purge(
    database: Database, of: Mapping[str, datetime | None], *, rest: Callable[[float], None] = time.sleep
) -> tuple[Share, ...]:
    """Delete what is older than the limits, and answer what went.

    Raises ``Unavailable``; what went until then is gone.
    """
    return tuple(_purged(database, Share(kind=kind, before=before), rest=rest) for kind, before in of.items())


def _purged(database: Database, share: Share, *, rest: Callable[[float], None]) -> Share:
    try:
        for chunk in _walk(database, share.kind, share.before):
            if share.rows:
                rest(REST)
            with database.transaction() as connection:
                gone = purging.remove(connection, share.kind, chunk)
            share = share.with_(gone)
    finally:
        structlog.get_logger().info("purged", kind=share.kind, rows=share.rows, bytes=share.bytes)
    return share


def _walk(database: Database, kind: str, before: datetime | None) -> Iterator[Sequence[Old]]:
    """The rows of a kind that are older than a moment, some at a time, the oldest first."""
    after: Old | None = None
    while before is not None:
        with database.reading() as connection:
            found = purging.oldest(connection, kind, before=before, after=after, limit=CHUNK_ROWS)
        yield from _portions(found)
        if len(found) < CHUNK_ROWS:
            return
        after = found[-1]


def _portions(rows: Sequence[Old]) -> Iterator[Sequence[Old]]:
    """Some rows in portions with so few bytes in them that each goes in a moment; a large row is one of its own."""
    first = size = 0
    for place, row in enumerate(rows):
        if place > first and size + row.bytes > CHUNK_BYTES:
            yield rows[first:place]
            first, size = place, 0
        size += row.bytes
    if rows:
        yield rows[first:]
