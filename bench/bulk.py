"""NDJSON in one request, against COPY on PostgreSQL and executemany on SQLite (goals 4, 5).

Law: the baseline writes the very rows that the service wrote in the same round, into tables with the same constraints
and indexes, with a commit for every thousand panels; where the rows differ afterwards, the bench fails.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bench import raw, rows
from bench.common import NO_GOAL, Goal, Row, Size, compared, row_of
from bench.machine import Ground, ground
from bench.measured import Measured, done_here, streamed
from bench.synthetic import bodies, identifier

CHUNK = 1000
COPY = Goal(number="4", goal=0.65, floor=0.30)
MANY = Goal(number="5", goal=0.50, floor=0.25)
# What writes the rows of some spans of patients again: makes ready, and gives what works.
Writer = Callable[[str, str, Sequence[rows.Span]], Callable[[], None]]


def measure(size: Size) -> list[Row]:
    """Both databases."""
    with ground() as place:
        return [*_on_postgresql(place, size), *_on_sqlite(place, size)]


def _on_postgresql(place: Ground, size: Size) -> Iterator[Row]:
    bulk = Bulk(place, "postgresql", [_copied, _copied_by_row])
    turns = bulk.turns(size)
    yield bulk.row("NDJSON, PostgreSQL, 1 client / COPY", turns, goal=COPY)
    yield bulk.row("NDJSON, PostgreSQL, 1 client / COPY of Python rows", turns, place=1)


def _on_sqlite(place: Ground, size: Size) -> Iterator[Row]:
    bulk = Bulk(place, "sqlite", [_executed])
    yield bulk.row("NDJSON, SQLite, 1 client / executemany", bulk.turns(size), goal=MANY)


def _copied(kept: str, target: str, spans: Sequence[rows.Span]) -> Callable[[], None]:
    return partial(raw.copied_in, target, raw.copies(kept, spans))


def _copied_by_row(kept: str, target: str, spans: Sequence[rows.Span]) -> Callable[[], None]:
    return partial(raw.copied_by_row, target, [rows.joined(rows.units(kept, span)) for span in spans])


def _executed(kept: str, target: str, spans: Sequence[rows.Span]) -> Callable[[], None]:
    return partial(raw.executed_many, target, [rows.joined(rows.units(kept, span)) for span in spans])


# The service and each writer, of one round.
Turn = tuple[Measured, ...]


class Bulk:
    """The service, and for each writer a database into which it writes the rows of the service again."""

    def __init__(self, place: Ground, kind: str, writers: Sequence[Writer]) -> None:
        self.kept, self.writers = place.database(kind), writers
        self.copied = [place.database(kind) for _ in writers]
        self.ours = place.service(self.kept)
        place.wait()
        self.postmaster = place.postmaster if kind == "postgresql" else 0
        self.next_patient = 0

    def turns(self, size: Size) -> list[Turn]:
        """Some rounds, after one that makes everything warm."""
        self._turn(size.of(20, 200, 1000))
        return [self._turn(size.of(40, 1000, 5000)) for _ in range(size.of(1, 2, 3))]

    def _turn(self, count: int) -> Turn:
        first = self.next_patient
        self.next_patient += count
        ours = streamed(self.ours, b"\n".join(bodies(count, first=first)), database=self.postmaster)
        if ours.statuses["201"] != count:
            raise RuntimeError(f"of {count} panels only these were kept: {ours.statuses}")
        spans = [_span(place, min(place + CHUNK, first + count)) for place in range(first, first + count, CHUNK)]
        return ours, *(self._again(place, spans, count) for place in range(len(self.writers)))

    def _again(self, place: int, spans: Sequence[rows.Span], count: int) -> Measured:
        target = self.copied[place]
        rows.share(self.kept, target)
        write = self.writers[place](self.kept, target, spans)
        return done_here(write, count=count, database=self.postmaster)

    def row(self, measure_: str, turns: Sequence[Turn], *, place: int = 0, goal: Goal = NO_GOAL) -> Row:
        """The service against one of the writers."""
        ours, baseline = [turn[0] for turn in turns], [turn[1 + place] for turn in turns]
        both = compared([one.rate for one in ours], [one.rate for one in baseline])
        limit = f"{ours[-1].told()}; baseline: {baseline[-1].told()}"
        return row_of(measure_, both, goal, unit="panels/s", limit=limit, work=self._same_rows(place))

    def _same_rows(self, place: int) -> tuple[int, int]:
        ours, copied = rows.counted(self.kept), rows.counted(self.copied[place])
        if ours != copied:
            raise RuntimeError(f"the raw driver wrote other rows: {ours} and {copied}")
        return sum(ours.values()), sum(copied.values())


def _span(first: int, end: int) -> rows.Span:
    return rows.Span(first=identifier(first), last=identifier(end - 1))
