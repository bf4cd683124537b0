"""Who did what is written down, checked and handed out.

    entries ─► the end of the chain, held ─► each sealed after the one before ─► kept together

Law: nothing here changes an entry. A chain that was tampered with is told by the first place that cannot be right.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import orjson
import structlog

from service.domain.audit import MENDED, Entry, Mark, fault, writable
from service.storage import audit
from service.storage.audit import AuditFilter, Head
from service.storage.audit_cells import Kept
from service.storage.database import Database


def record(database: Database, entries: Sequence[Entry]) -> Mark:
    """Add entries at the end of the chain; answers the new end. Raises ``Unavailable``."""
    with database.transaction() as connection:
        return audit.append(connection, [_writable(one) for one in entries])


def _writable(entry: Entry) -> Entry:
    found = writable(entry)
    if found is not entry:
        log = structlog.get_logger()
        log.error("audit entry mended", of_request=found.request_id, fields=found.detail[MENDED])
    return found


def lines(database: Database, wanted: AuditFilter) -> Iterator[bytes]:
    """The entries that are wanted, in the order of the chain, each as a line of JSON. Raises ``Unavailable``."""
    with database.reading() as connection, closing(audit.rows(connection, wanted)) as rows:
        for row in rows:
            yield orjson.dumps(row.shown) + b"\n"


# ------------------------------------------------------------------------------------------------------------- verify
@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first place at which the chain cannot be right, and why."""

    place: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What came of checking the chain: how many entries are good, from when to when, and up to which mark.

    ``kept_after``: the kept chain begins after it, for what was older was purged.
    """

    entries: int
    first_at: datetime | None
    last_at: datetime | None
    last: Mark
    kept_after: Mark
    broken: Broken | None


class _Walk:
    """The chain as far as it was walked."""

    def __init__(self, head: Head) -> None:
        self.head, self.last = head, head.kept_after
        self.entries = 0
        self.first_at: datetime | None = None
        self.last_at: datetime | None = None
        self.broken: Broken | None = None

    def step(self, row: Kept) -> bool:
        """Go on by one entry; False when it cannot be right."""
        why = fault(row.data, str(row.hash), after=self.last)
        if row.odd and row.place == self.last.place + 1:
            why = f"the entry cannot be read ({', '.join(row.odd)})"
        if why is not None:
            self.broken = Broken(place=row.place, why=why)
            return False
        self.last = Mark(place=row.place, hash=str(row.hash))
        self.entries += 1
        self.first_at, self.last_at = self.first_at or row.at, row.at
        return True

    def end(self, noted: Mark | None, found: str | None) -> None:
        """The chain was walked to its end: is it the one that the head names, and is what was noted in it?"""
        if self.last != self.head.last:
            self.broken = _wrong_end(self.last.place, self.head.last.place)
        elif noted is not None and noted.hash != found and noted not in (Mark(), self.head.kept_after):
            self.broken = Broken(place=noted.place, why=_why_not(noted, self.head))

    @property
    def result(self) -> Verified:
        return Verified(
            entries=self.entries,
            first_at=self.first_at,
            last_at=self.last_at,
            last=self.last,
            kept_after=self.head.kept_after,
            broken=self.broken,
        )


def _wrong_end(last: int, said: int) -> Broken:
    """The end is not where the head says, or not what it says."""
    if last == said:
        return Broken(place=last, why="the head does not name this last entry: one of them was changed")
    added = "" if last < said else ": the head was set back, or entries were added"
    return Broken(place=min(last, said) + 1, why=f"the chain should end at place {said}{added}")


def _why_not(noted: Mark, head: Head) -> str:
    if noted.place > head.last.place:
        return f"the chain ends at place {head.last.place}: its end was cut off"
    if noted.place < head.kept_after.place:
        return "the entry that was noted is no longer kept: note a newer one"
    return "another entry stands where the noted one was"


def verify(database: Database, *, noted: Mark | None = None) -> Verified:
    """Check every entry that is kept, in order, and that an end which was ``noted`` earlier is in the chain.

    Raises ``Unavailable``.
    """
    with database.reading() as connection:
        walk = _Walk(audit.head(connection) or Head(last=Mark(), kept_after=Mark()))
        with closing(audit.rows(connection)) as rows:
            whole = all(walk.step(row) for row in rows)
        if whole:
            walk.end(noted, None if noted is None else audit.hash_at(connection, noted.place))
        return walk.result
