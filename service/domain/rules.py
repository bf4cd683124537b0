"""Kinds of rule: each looks at values and says what it found, with the row of its table that says so.

Law: a rule answers from its table alone. What the table cannot tell is ``UNKNOWN``, never absent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

from service.domain.analytes import Cut
from service.domain.errors import BadCatalogue
from service.domain.people import Person, Population, prove_cover
from service.domain.quantities import EXACT, Measured


class Finding(StrEnum):
    """What can be found. Always read as "possible": a finding is not a diagnosis."""

    HYPERCALCEMIA = "hypercalcemia"
    RAISED_ALP = "raised_alp"
    ANEMIA = "anemia"
    THROMBOCYTOPENIA = "thrombocytopenia"
    PATTERN = "pattern"


class Severity(StrEnum):
    """How much a finding weighs, from least to most."""

    INFO = "info"
    MILD = "mild"
    MODERATE = "moderate"
    SEVERE = "severe"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_SEVERITIES = tuple(Severity)
_RANKS = {severity: rank for rank, severity in enumerate(_SEVERITIES)}


class Direction(StrEnum):
    """On which side of its limits a value lies."""

    LOW = "low"
    HIGH = "high"

    @property
    def other(self) -> "Direction":
        return _LOW if self is _HIGH else _HIGH

    def beyond(self, measured: Measured, limit: Decimal) -> bool | None:
        """Does the value lie beyond ``limit`` on this side? None when it cannot be told."""
        return measured.above(limit) if self is _HIGH else measured.below(limit)

    def worse(self, one: Decimal, other: Decimal) -> bool:
        """Does ``one`` lie further out on this side than ``other``?"""
        return one > other if self is _HIGH else one < other


# The members once more: to look one up in its class takes longer than the comparison of two numbers.
_LOW, _HIGH = Direction.LOW, Direction.HIGH


class Standing(StrEnum):
    """Whether a finding stands."""

    RAISED = "raised"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a graded table: from ``start`` outward, up to the start of the next row.

    ``start`` is a published number, or None for the reference limit itself; ``multiple`` instead states it as a
    multiple of the reference limit. ``rests_on`` names the grade, the critical limit or the class behind the severity.
    """

    severity: Severity
    grade: str | None
    rests_on: str
    sources: tuple[str, ...]
    start: Cut | None = None
    multiple: Decimal | None = None

    def begins(self, family: str, limit: Decimal | None) -> Decimal | None:
        """Where this row begins, in canonical units; None where that rests on a limit that is not known."""
        if self.start is not None:
            return self.start[family]
        return None if limit is None else EXACT.multiply(limit, self.multiple or Decimal(1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """What a graded table says of one value. ``at_least``: a worse row is possible but not certain."""

    standing: Standing
    row: int | None = None
    at_least: bool = False


_ABSENT, _UNKNOWN = Graded(standing=Standing.ABSENT), Graded(standing=Standing.UNKNOWN)
_RAISED = Standing.RAISED


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """One population of a classification, with where each class begins; from mild to severe."""

    population: Population
    begins: Mapping[str, Cut] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """A second, published way to class a value by population, shown beside the grade (WHO 2024 for anemia)."""

    scale: str
    direction: Direction
    classes: tuple[Class, ...]
    not_defined: tuple[Population, ...]
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        prove_cover(self.populations, place=self.scale)
        for number, entry in enumerate(self.classes, start=1):
            if not all(self._ordered(one, other) for one, other in pairwise(entry.begins.values())):
                detail = f"unreachable: a class of {entry.population.label} begins no further out than the one before"
                raise BadCatalogue(detail, place=self.scale, row=number)

    def _ordered(self, milder: Cut, worse: Cut) -> bool:
        return all(self.direction.worse(worse[family], milder[family]) for family in milder.by_family)

    @property
    def populations(self) -> Iterator[Population]:
        """Everybody of whom it says something, if only that nothing is defined for them."""
        yield from (entry.population for entry in self.classes)
        yield from self.not_defined

    def candidates(self, who: Person) -> tuple[Class, ...]:
        """Every population that may be this person's; none where no class is defined for one of them."""
        if any(population.may_hold(who) for population in self.not_defined):
            return ()
        return tuple(entry for entry in self.classes if entry.population.may_hold(who))

    def among(self, entries: Sequence[Class], measured: Measured, family: str) -> str | None:
        """The class if it is the same for all of these populations, else None."""
        found = {self._class(entry, measured, family) for entry in entries}
        return found.pop() if len(found) == 1 else None

    def _class(self, entry: Class, measured: Measured, family: str) -> str | None:
        reached = [(name, self.direction.beyond(measured, cut[family])) for name, cut in entry.begins.items()]
        if any(beyond is None for _, beyond in reached):
            return None
        names = [name for name, beyond in reached if beyond]
        return f"{self.scale} {names[-1]}" if names else None


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedLimit:
    """A finding raised by one analyte beyond its reference limit, and graded by how far.

    Grades count only outside the reference limit, so that a healthy infant is not graded (DESIGN: CTCAE's grade 2 and
    up ignore the limit, and a healthy newborn's hemoglobin or calcium would be graded). Every row begins beyond, not
    at, its number: CTCAE v5.0 writes "> 11.5" and "< 10.0".
    """

    key: str
    finding: Finding
    analytes: tuple[str, ...]
    direction: Direction
    scale: str
    rows: tuple[Row, ...]
    families: tuple[str, ...]
    classification: Classification | None = None

    def __post_init__(self) -> None:
        if not self.rows or self.rows[0].start is not None or self.rows[0].multiple is not None:
            raise BadCatalogue("the first row must begin at the reference limit", place=self.key, row=1)
        for number, row in enumerate(self.rows[1:], start=2):
            if (row.start is None) == (row.multiple is None):
                raise BadCatalogue("a row begins at a number or at a multiple", place=self.key, row=number)
            if (row.start is None) != (self.rows[1].start is None):
                raise BadCatalogue("numbers and multiples of the limit cannot be ordered", place=self.key, row=number)
        for family in self.families:
            self._prove_order(family)

    def _prove_order(self, family: str) -> None:
        """Each row must begin further out than the one before, or nothing can ever reach that one.

        A number cannot be ordered against the reference limit of the first row, which differs from person to person.
        """
        first = 2 if len(self.rows) > 1 and self.rows[1].start is not None else 1
        for number, (row, following) in enumerate(pairwise(self.rows[first - 1 :]), start=first):
            here, there = row.begins(family, Decimal(1)), following.begins(family, Decimal(1))
            if here is None or there is None or not self.direction.worse(there, here):
                detail = f"unreachable in {family}: the next row begins no further out"
                raise BadCatalogue(detail, place=self.key, row=number)

    def begins(self, family: str, limit: Decimal | None) -> tuple[Decimal | None, ...]:
        """Where each row begins in canonical units; None where that rests on a limit that is not known."""
        return tuple(row.begins(family, limit) for row in self.rows)

    def assess(self, measured: Measured, *, family: str, limit: Decimal | None) -> Graded:
        """Where a value in canonical units stands. Without a ``limit`` only rows with numbers of their own can tell."""
        return self.place(measured, self.begins(family, limit))

    def place(self, measured: Measured, begins: Sequence[Decimal | None]) -> Graded:
        """Where a value stands, given where each row ``begins``; the first one does at the limit."""
        limit, beyond = begins[0], self.direction.beyond
        outside = None if limit is None else beyond(measured, limit)
        if outside is False:
            return _ABSENT
        at_least = False
        for index in range(len(begins) - 1, -1, -1):
            start = begins[index]
            passed = None if start is None else beyond(measured, start)
            if passed and (outside or limit is None):
                return Graded(standing=_RAISED, row=index, at_least=at_least)
            at_least = at_least or passed is None
        return _UNKNOWN

    def label(self, row: Row) -> str | None:
        """The grade with its scale and version, as people read it."""
        return f"{self.scale} grade {row.grade}" if row.grade else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """An observation that several findings stand in one collection. It weighs nothing of its own."""

    key: str
    finding: Finding
    of: tuple[Finding, ...]
    at_least: int
    severity: Severity
    rests_on: str
    sources: tuple[str, ...]

    def stands(self, raised: frozenset[Finding]) -> bool:
        return len(raised & set(self.of)) >= self.at_least
