"""Units: a closed table per analyte, each spelling with an exact factor to the analyte's canonical unit.

Law: a spelling that is not in the table is unknown. It is never parsed, guessed or scaled by the look of the value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, Inexact
from functools import lru_cache
from types import MappingProxyType

from service.domain.errors import BadCatalogue
from service.domain.quantities import EXACT, plain

# Micro sign and Greek mu, modifier circumflex, multiplication sign, dot operator: the same unit, typed otherwise.
_TYPOGRAPHY = str.maketrans({"\u00b5": "u", "\u03bc": "u", "\u02c6": "^", "\u00d7": "x", "\u22c5": "*", "\u00b7": "*"})


def tidy(spelling: str) -> str:
    """A spelling without white space and typographic variants; case is kept (UCUM is case-sensitive)."""
    return "".join(spelling.split()).translate(_TYPOGRAPHY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit of one analyte.

    ``code`` is the UCUM code, ``family`` the unit in which published cut-offs for it are stated, and ``factor`` turns
    a value in this unit into the analyte's canonical unit.
    """

    code: str
    family: str
    factor: Decimal
    spellings: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.factor <= 0:
            raise BadCatalogue("the factor must be above zero", place=f"unit {self.code}")

    def express(self, canonical: Decimal) -> str | None:
        """The number that ``canonical`` is in this unit, or None where that would need rounding."""
        return _divided(canonical, self.factor)


@lru_cache(maxsize=4096)  # limits are few, and each is said in explanations again and again
def _divided(canonical: Decimal, factor: Decimal) -> str | None:
    try:
        return plain(EXACT.divide(canonical, factor))
    except Inexact:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitTable:
    """Every spelling of an analyte's units. Spellings listed as ``exact`` are matched with their case."""

    units: tuple[Unit, ...]
    _exact: Mapping[str, Unit] = field(init=False, repr=False, compare=False)
    _folded: Mapping[str, Unit] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        exact = _index((tidy(name), unit) for unit in self.units for name in (unit.code, *unit.exact))
        folded = _index(
            (tidy(name).casefold(), unit)
            for unit in self.units
            for name in (*unit.spellings, *(() if unit.exact else (unit.code,)))
        )
        object.__setattr__(self, "_exact", exact)
        object.__setattr__(self, "_folded", folded)

    def find(self, spelling: str) -> Unit | None:
        """The unit meant by ``spelling``, or None when it is not one of this analyte's."""
        # Most laboratories write it as it stands in the table, and then there is nothing to tidy.
        if unit := self._exact.get(spelling) or self._folded.get(spelling):
            return unit
        name = tidy(spelling)
        return self._exact.get(name) or self._folded.get(name.casefold())

    def __getitem__(self, code: str) -> Unit:
        for unit in self.units:
            if unit.code == code:
                return unit
        raise KeyError(code)

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(unit.code for unit in self.units)

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(unit.family for unit in self.units))


def _index(pairs: Iterable[tuple[str, Unit]]) -> Mapping[str, Unit]:
    index: dict[str, Unit] = {}
    for name, unit in pairs:
        if index.setdefault(name, unit) is not unit:
            raise BadCatalogue(f"the spelling {name!r} means two units", place=f"unit {unit.code}")
    return MappingProxyType(index)
