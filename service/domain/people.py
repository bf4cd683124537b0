"""Whom a limit is for, and whom a result is from: sex, age, pregnancy.

Law: what is not known stays open. A person of unknown age may be of any age, and every population that may be
theirs is a candidate.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum

from service.domain.errors import BadCatalogue

SEXES = frozenset({"female", "male"})
NOT_PREGNANT = frozenset({0})
ANY_TRIMESTER = frozenset({1, 2, 3})

# Completed months between which somebody may be pregnant; judgement: wide enough that nobody is left out.
MAY_BE_PREGNANT = (10 * 12, 60 * 12)

_DAYS_A_MONTH = 30.4375


class Sex(StrEnum):
    """Administrative sex as sent (FHIR AdministrativeGender)."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """Completed days and completed calendar months of life."""

    days: int = field(repr=False)
    months: int = field(repr=False)

    @classmethod
    def between(cls, born: date, on: date) -> "Age":
        """The age on a day. A birth after that day counts as the day itself (time zones can differ by a day)."""
        days, months = completed(born, on)
        return cls(days=days, months=months)

    @classmethod
    def of_years(cls, years: int) -> tuple["Age", "Age"]:
        """The youngest and the oldest that somebody of so many completed years can be."""
        youngest = cls(days=math.ceil(years * 365.25), months=12 * years)
        oldest = cls(days=math.ceil((years + 1) * 365.25) - 1, months=12 * years + 11)
        return youngest, oldest


def completed(born: date, on: date) -> tuple[int, int]:
    """Completed days and completed calendar months of life; none before birth."""
    days = (on - born).days
    months = (on.year - born.year) * 12 + on.month - born.month - (on.day < born.day)
    return (days, months) if days > 0 else (0, 0)


def born_late(born: date, on: date) -> bool:
    """Does a birth date lie after the collection, by more than time zones can differ?"""
    return (on - born).days < -1


BIRTH = Age(days=0, months=0)
NO_END = Age(days=10**6, months=10**5)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeBound:
    """An age as a published table states it: so many days, months or years."""

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> "AgeBound":
        count, _, unit = text.partition(" ")
        if not count.isdigit() or unit not in {"d", "mo", "y"}:
            raise BadCatalogue(f"{text!r} is not an age; write for example '14 d', '6 mo', '18 y'")
        return cls(count=int(count), unit=unit)

    def reached(self, age: Age) -> bool:
        match self.unit:
            case "d":
                return age.days >= self.count
            case "mo":
                return age.months >= self.count
            case _:
                return age.months >= 12 * self.count

    @property
    def age(self) -> Age:
        """The youngest age that has reached this bound (months taken as 30.44 days)."""
        if self.unit == "d":
            return Age(days=self.count, months=int(self.count / _DAYS_A_MONTH))
        months = self.count * (12 if self.unit == "y" else 1)
        return Age(days=math.ceil(months * _DAYS_A_MONTH), months=months)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What is known of somebody at the time of a collection: every sex, age and state they may be in.

    ``states``: 0 is not pregnant, 1 to 3 the trimesters. ``impossible`` says why the facts contradict each other.
    """

    sexes: frozenset[str] = field(default=SEXES, repr=False)
    youngest: Age = field(default=BIRTH, repr=False)
    oldest: Age = field(default=NO_END, repr=False)
    states: frozenset[int] = field(default=NOT_PREGNANT, repr=False)
    pregnancy_stated: bool = False
    impossible: str | None = None

    @property
    def could_be_pregnant(self) -> bool:
        """Does the age allow it? (Whoever is pregnant says so; the sex on record may say otherwise.)"""
        youngest, oldest = MAY_BE_PREGNANT
        return self.oldest.months >= youngest and self.youngest.months < oldest

    @property
    def sex_known(self) -> bool:
        return len(self.sexes) == 1

    @property
    def age_known(self) -> bool:
        return self.oldest != NO_END


def person(
    *,
    sex: Sex,
    born: date | None,
    age_years: int | None,
    pregnant: bool | None,
    trimester: int | None,
    on: date,
) -> Person:
    """The person at a collection ``on`` a day (UTC).

    The birth date, when there is one, outranks ``age_years``; one that lies after the collection tells no age.
    """
    late_birth = born is not None and born_late(born, on)
    ages = _ages(None if late_birth else born, age_years, on)
    who = Person(
        sexes=frozenset({sex.value}) & SEXES or SEXES,
        youngest=ages[0],
        oldest=ages[1],
        states=_states(pregnant, trimester),
        pregnancy_stated=pregnant is not None or trimester is not None,
    )
    if late_birth:
        return replace(who, impossible="the birth date lies after the collection")
    if who.states != NOT_PREGNANT and not who.could_be_pregnant:
        return replace(who, impossible="the patient is said to be pregnant at an age at which nobody is")
    return who


def _ages(born: date | None, age_years: int | None, on: date) -> tuple[Age, Age]:
    if born is not None:
        age = Age.between(born, on)
        return age, age
    return (BIRTH, NO_END) if age_years is None else Age.of_years(age_years)


def _states(pregnant: bool | None, trimester: int | None) -> frozenset[int]:
    if trimester is not None:
        return frozenset({trimester})
    return ANY_TRIMESTER if pregnant else NOT_PREGNANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """A part of all people for whom a table states something. ``start`` is inclusive, ``end`` exclusive."""

    label: str
    sexes: frozenset[str] = SEXES
    start: AgeBound | None = None
    end: AgeBound | None = None
    states: frozenset[int] = NOT_PREGNANT

    def __post_init__(self) -> None:
        if not self.sexes <= SEXES or not self.sexes or not self.states:
            raise BadCatalogue("a population needs a sex and a state of pregnancy", place=self.label)
        if self.start and self.end and self.start.age.days >= self.end.age.days:
            raise BadCatalogue("a population that ends before it begins", place=self.label)

    def may_hold(self, who: Person) -> bool:
        """May this person belong to this population?"""
        return bool(
            self.sexes & who.sexes
            and self.states & who.states
            and (self.start is None or self.start.reached(who.oldest))
            and (self.end is None or not self.end.reached(who.youngest))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """The ages at which something changes in some table: completed days, and completed months, in ascending order."""

    days: tuple[int, ...]
    months: tuple[int, ...]

    @classmethod
    def told_apart_by(cls, populations: Iterable[Population]) -> "Ages":
        """The ages at which one of the populations begins or ends, and those between which one may be pregnant."""
        bounds = {bound for one in populations for bound in (one.start, one.end) if bound}
        days = {bound.count for bound in bounds if bound.unit == "d"}
        months = {bound.count * (12 if bound.unit == "y" else 1) for bound in bounds if bound.unit != "d"}
        return cls(days=tuple(sorted(days)), months=tuple(sorted(months.union(MAY_BE_PREGNANT))))

    def cell(self, days: int, months: int) -> tuple[int, int]:
        """How many of these ages somebody has reached. Two ages in one cell are the same to every table."""
        return bisect_right(self.days, days), bisect_right(self.months, months)


def prove_cover(populations: Iterable[Population], *, place: str) -> None:
    """Raise ``BadCatalogue`` unless everybody is in exactly one of the populations."""
    populations = tuple(populations)
    for cell in _cells(populations):
        holders = [population.label for population in populations if population.may_hold(cell)]
        if len(holders) != 1:
            what = f"overlap: {' and '.join(holders)}" if holders else f"gap: nothing for {_describe(cell)}"
            raise BadCatalogue(what, place=place)


def _cells(populations: Iterable[Population]) -> Iterator[Person]:
    """Everybody the populations can tell apart: one person for each sex, state and age between two bounds."""
    bounds = {bound.age for population in populations for bound in (population.start, population.end) if bound}
    for age in sorted({BIRTH, *bounds}, key=lambda age: (age.days, age.months)):
        for sex in sorted(SEXES):
            for state in range(4):
                yield Person(sexes=frozenset({sex}), youngest=age, oldest=age, states=frozenset({state}))


def _describe(cell: Person) -> str:
    (sex,), (state,) = cell.sexes, cell.states
    pregnancy = f", pregnant, trimester {state}" if state else ""
    return f"{sex}, {cell.youngest.days} days old{pregnancy}"
