"""What is measured: analytes, the units they come in, and the reference intervals published for them.

Law: every limit names its source and the people it is for, and for everybody there is either one interval or a
stated reason why there is none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from service.domain.errors import BadCatalogue
from service.domain.people import Person, Population, prove_cover
from service.domain.quantities import EXACT, Measured
from service.domain.units import UnitTable

LOINC = "http://loinc.org"
LOINC_NAMES = frozenset({LOINC, "urn:oid:2.16.840.1.113883.6.1", "LN", "LOINC"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a number or a statement was published. ``evidence``: confirmed, transcribed or judgement."""

    key: str
    title: str
    url: str | None = None
    evidence: str = "confirmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A published number, in the analyte's canonical unit, for each unit family.

    Publications round each unit family separately (CTCAE v5.0: 11.5 mg/dL and 2.9 mmol/L differ by 1 %), so the
    number that counts is the one stated for the family in which the result was reported. ``published`` are the
    families for which a number is stated; the others have a converted one.
    """

    by_family: Mapping[str, Decimal]
    published: frozenset[str] = frozenset()

    def __getitem__(self, family: str) -> Decimal:
        return self.by_family[family]

    @classmethod
    def stated(cls, numbers: Mapping[str, Decimal], units: UnitTable) -> "Cut":
        """From numbers by unit code. A family for which nothing is stated takes the first number, converted."""
        if not numbers:
            raise BadCatalogue("no number is stated")
        unknown = [code for code in numbers if code not in units.codes]
        if unknown:
            raise BadCatalogue(f"unknown unit {unknown[0]!r}; known: {', '.join(units.codes)}")
        stated = {units[code].family: EXACT.multiply(number, units[code].factor) for code, number in numbers.items()}
        first = next(iter(stated.values()))
        filled = {family: stated.get(family, first) for family in units.families}
        return cls(by_family=MappingProxyType(filled), published=frozenset(stated))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceInterval:
    """The published interval for a population; a side that is not published is None. Bounds are inclusive.

    ``high_source`` names where the upper limit is from when that is another source than the lower one's.
    """

    population: Population
    low: Cut | None = None
    high: Cut | None = None
    source: Source
    high_source: Source | None = None
    note: str | None = None
    # The limits made of it, by unit family and side: they are the same every time.
    memo: dict[tuple[str, str], Any] = field(init=False, default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotEstablished:
    """A population for which no interval is published, and why."""

    population: Population
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A closed range in canonical units; with ``low_excluded`` the lower end is outside."""

    low: Decimal
    high: Decimal
    low_excluded: bool = False

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise BadCatalogue("the lower bound is not below the upper one")

    def may_hold(self, measured: Measured) -> bool:
        """May the true value lie within?"""
        if measured.exact:
            return self.low <= measured.number <= self.high and not (self.low_excluded and measured.number == self.low)
        if measured.below(self.low) or measured.above(self.high):
            return False
        return not (self.low_excluded and measured.above(self.low) is False)

    def holds(self, number: Decimal) -> bool:
        return self.low <= number <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyte:
    """One thing that a laboratory measures, with all that is needed to read and place a value of it."""

    key: str
    name: str
    aliases: tuple[str, ...] = ()
    loinc: Mapping[str, str] = field(default_factory=dict)
    canonical_unit: str
    units: UnitTable
    plausible: Bounds
    credible_low: Bounds
    credible_high: Bounds
    intervals: tuple[ReferenceInterval, ...]
    not_established: tuple[NotEstablished, ...] = ()
    sources: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        if self.canonical_unit not in self.units.codes or self.units[self.canonical_unit].factor != 1:
            raise BadCatalogue("the canonical unit must be in the table with factor 1", place=self.key)
        strangers = set(self.units.families) - set(self.units.codes)
        if strangers:
            raise BadCatalogue(f"a unit family must be a unit: {sorted(strangers)[0]}", place=self.key)
        placed = [interval.population for interval in self.intervals]
        prove_cover([*placed, *(gap.population for gap in self.not_established)], place=self.key)

    def candidates(self, who: Person) -> tuple[ReferenceInterval, ...]:
        """Every interval that may be this person's."""
        return tuple(interval for interval in self.intervals if interval.population.may_hold(who))

    def gaps(self, who: Person) -> tuple[NotEstablished, ...]:
        """Every population without an interval that may be this person's."""
        return tuple(gap for gap in self.not_established if gap.population.may_hold(who))


@dataclass(frozen=True, slots=True, kw_only=True)
class Analytes:
    """All analytes, found by key, by alias or by LOINC code."""

    all: tuple[Analyte, ...]
    _by_key: Mapping[str, Analyte] = field(init=False, repr=False, compare=False)
    _by_name: Mapping[str, Analyte] = field(init=False, repr=False, compare=False)
    _by_loinc: Mapping[str, Analyte] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_key", MappingProxyType({one.key: one for one in self.all}))
        names = ((name.casefold(), one) for one in self.all for name in (one.key, one.name, *one.aliases))
        object.__setattr__(self, "_by_name", _unique(names))
        object.__setattr__(self, "_by_loinc", _unique((code, one) for one in self.all for code in one.loinc))

    def __getitem__(self, key: str) -> Analyte:
        return self._by_key[key]

    def get(self, key: str) -> Analyte | None:
        return self._by_key.get(key)

    def named(self, name: str) -> Analyte | None:
        return self._by_name.get(name.strip().casefold())

    def coded(self, code: str) -> Analyte | None:
        return self._by_loinc.get(code.strip())

    def nearest(self, name: str) -> str | None:
        """The known name most like ``name``, for "did you mean"."""
        close = get_close_matches(name.strip().casefold(), self._by_name, n=1)
        return self._by_name[close[0]].key if close else None


def _unique(pairs: Iterable[tuple[str, Analyte]]) -> Mapping[str, Analyte]:
    index: dict[str, Analyte] = {}
    for name, analyte in pairs:
        if index.setdefault(name, analyte) is not analyte:
            raise BadCatalogue(f"{name!r} also names {index[name].key}", place=analyte.key)
    return MappingProxyType(index)
