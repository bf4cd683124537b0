"""Which limit counts for a result: the laboratory's own first, then the published one for the person.

Law: a limit always says where it came from. When several may be the person's, all of them are kept.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from service.domain.analytes import Analyte, Bounds, ReferenceInterval, Source
from service.domain.panels import SentRange
from service.domain.people import ANY_TRIMESTER, Person
from service.domain.quantities import EXACT
from service.domain.rules import Direction
from service.domain.units import Unit

_SIDE = {Direction.LOW: "lower", Direction.HIGH: "upper"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One side of a reference interval in canonical units, and where it came from."""

    value: Decimal = field(repr=False)
    label: str
    population: str | None = None
    source: Source | None = None
    note: str | None = None
    for_pregnant: bool = True

    @property
    def origin(self) -> str:
        return "laboratory" if self.source is None else "catalogue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """Why the range that was sent cannot be used."""

    detail: str = field(repr=False)
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every limit that may be the right one, on both sides. ``inner`` is nearest to the middle of the interval."""

    low: tuple[Limit, ...] = ()
    high: tuple[Limit, ...] = ()

    @property
    def of_the_laboratory(self) -> bool:
        """Did the laboratory send both sides, so that nothing rests on whose they are?"""
        return bool(self.low and self.high) and all(one.origin == "laboratory" for one in (*self.low, *self.high))

    def on(self, side: Direction) -> tuple[Limit, ...]:
        return self.low if side is Direction.LOW else self.high

    def inner(self, side: Direction) -> Limit | None:
        return _extreme(self.on(side), largest=side is Direction.LOW)

    def outer(self, side: Direction) -> Limit | None:
        return _extreme(self.on(side), largest=side is Direction.HIGH)


def _extreme(limits: tuple[Limit, ...], *, largest: bool) -> Limit | None:
    if len(limits) < 2:
        return limits[0] if limits else None
    choose = max if largest else min
    return choose(limits, key=lambda limit: limit.value)


def limits_for(
    analyte: Analyte, unit: Unit, *, sent: SentRange | None, who: Person, deciding: Direction
) -> Limits | Unusable:
    """The limits for a result in ``unit``, side by side: the laboratory's where it sent one, else the catalogue's.

    A limit that no laboratory uses makes the range unusable on the ``deciding`` side. On the other side it is left
    out: a slip there must not keep a critical value from being judged.
    """
    if sent is not None and sent.unclear is not None:
        return Unusable(detail=sent.unclear, hint="send the one range that fits this patient, with its numbers")
    own = _laboratory(analyte, unit, sent=sent, deciding=deciding) if sent else {}
    if isinstance(own, Unusable):
        return own
    intervals = analyte.candidates(who) if len(own) < len(Direction) else ()
    low, high = (own.get(side) or tuple(_catalogue(intervals, unit.family, side)) for side in Direction)
    return Limits(low=low, high=high)


def _laboratory(
    analyte: Analyte, unit: Unit, *, sent: SentRange, deciding: Direction
) -> dict[Direction, tuple[Limit, ...]] | Unusable:
    stated = analyte.units.find(sent.unit) if sent.unit else unit
    if stated is None:
        return Unusable(
            detail=f"the reference range is in {sent.unit!r}, which is not a unit of {analyte.key}",
            hint=f"accepted units: {', '.join(analyte.units.codes)}",
        )
    found: dict[Direction, tuple[Limit, ...]] = {}
    for side, number in ((Direction.LOW, sent.low), (Direction.HIGH, sent.high)):
        # A lower limit of zero is how some systems say that there is none.
        if number is None or (side is Direction.LOW and number == 0):
            continue
        value = EXACT.multiply(number, stated.factor)
        credible = _credible_bounds(analyte, side).holds(value)
        if not credible and side is deciding:
            return _incredible(analyte, side)
        if credible:
            found[side] = (Limit(value=value, label=f"the laboratory's {_SIDE[side]} limit"),)
    return _reversed(analyte) if _are_reversed(found) else found


def _are_reversed(found: Mapping[Direction, tuple[Limit, ...]]) -> bool:
    return len(found) == len(Direction) and found[Direction.LOW][0].value >= found[Direction.HIGH][0].value


def _reversed(analyte: Analyte) -> Unusable:
    return Unusable(
        detail=f"the lower reference limit sent for {analyte.key} is not below the upper one",
        hint="check reference_range.low and reference_range.high",
    )


def _credible_bounds(analyte: Analyte, side: Direction) -> Bounds:
    return analyte.credible_low if side is Direction.LOW else analyte.credible_high


def _incredible(analyte: Analyte, side: Direction) -> Unusable:
    bounds = _credible_bounds(analyte, side)
    span = f"{bounds.low} to {bounds.high} {analyte.canonical_unit}"
    return Unusable(
        detail=f"the {_SIDE[side]} reference limit sent is not one that laboratories use for {analyte.key} ({span})",
        hint="check the unit of the reference range",
    )


def _catalogue(intervals: tuple[ReferenceInterval, ...], family: str, side: Direction) -> Iterator[Limit]:
    for interval in intervals:
        if (family, side) not in interval.memo:
            interval.memo[family, side] = _of_interval(interval, family, side)
        limit = interval.memo[family, side]
        if limit is not None:
            yield limit


def _of_interval(interval: ReferenceInterval, family: str, side: Direction) -> Limit | None:
    cut = interval.low if side is Direction.LOW else interval.high
    if cut is None:
        return None
    return Limit(
        value=cut[family],
        label=f"the {_SIDE[side]} limit for {interval.population.label}",
        population=interval.population.label,
        source=interval.source if side is Direction.LOW else interval.high_source or interval.source,
        note=interval.note,
        for_pregnant=bool(interval.population.states & ANY_TRIMESTER),
    )
