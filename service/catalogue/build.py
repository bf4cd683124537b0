"""From the shaped data of a file to the objects of the domain.

Law: nothing is defaulted that carries meaning; what the file does not say is absent.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

from service.catalogue.shapes import AnalyteShape, RuleSetShape, read
from service.domain.analytes import Analyte, Analytes, Bounds, Cut, NotEstablished, ReferenceInterval, Source
from service.domain.errors import BadCatalogue
from service.domain.people import ANY_TRIMESTER, NOT_PREGNANT, SEXES, AgeBound, Population
from service.domain.quantities import Measured, parse_decimal
from service.domain.rules import Class, Classification, Direction, GradedLimit, Pattern, Row
from service.domain.rulesets import Example, RuleSet
from service.domain.units import Unit, UnitTable

_ENDS = {Direction.HIGH: ("above", "up_to"), Direction.LOW: ("below", "down_to")}
_STATES = {"no": NOT_PREGNANT, "yes": ANY_TRIMESTER, "any": NOT_PREGNANT | ANY_TRIMESTER}


def analyte_from(data: Mapping[str, Any]) -> Analyte:
    """The analyte of one file. Raises ``BadCatalogue``."""
    shaped = read(AnalyteShape, data)
    units = UnitTable(units=tuple(_unit(unit) for unit in shaped["unit"]))
    sources = {key: Source(key=key, **source) for key, source in shaped["sources"].items()}
    limits = shaped["laboratory_limits"]
    for place in ("plausible", "laboratory_limits"):
        _check_cited((shaped[place]["source"],), sources, place=place)
    return Analyte(
        key=shaped["key"],
        name=shaped["name"],
        aliases=tuple(shaped["aliases"]),
        loinc=shaped["loinc"],
        canonical_unit=shaped["canonical_unit"],
        units=units,
        plausible=_plausible(shaped["plausible"]),
        credible_low=_bounds(*limits["lower"]),
        credible_high=_bounds(*limits["upper"]),
        intervals=tuple(_interval(entry, units, sources) for entry in shaped["interval"]),
        not_established=tuple(
            NotEstablished(population=population(entry), reason=entry["reason"]) for entry in shaped["not_established"]
        ),
        sources=tuple(sources.values()),
    )


def _unit(unit: Mapping[str, Any]) -> Unit:
    return Unit(
        code=unit["code"],
        family=unit["family"],
        factor=parse_decimal(unit["factor"]),
        spellings=tuple(unit["spellings"]),
        exact=tuple(unit["exact"]),
    )


def _plausible(shaped: Mapping[str, Any]) -> Bounds:
    low, high = parse_decimal(shaped["low"]), parse_decimal(shaped["high"])
    return Bounds(low=low, high=high, low_excluded=shaped["low_excluded"])


def _bounds(low: str, high: str) -> Bounds:
    return Bounds(low=parse_decimal(low), high=parse_decimal(high))


def _interval(entry: Mapping[str, Any], units: UnitTable, sources: Mapping[str, Source]) -> ReferenceInterval:
    place = f"interval {entry['population']}"
    cited = tuple(entry[name] for name in ("source", "high_source") if name in entry)
    _check_cited(cited, sources, place=place)
    return ReferenceInterval(
        population=population(entry),
        low=cut(entry["low"], units, place=place) if "low" in entry else None,
        high=cut(entry["high"], units, place=place) if "high" in entry else None,
        source=sources[entry["source"]],
        high_source=sources[entry["high_source"]] if "high_source" in entry else None,
        note=entry.get("note"),
    )


def population(entry: Mapping[str, Any]) -> Population:
    """The population described by the keys of an entry."""
    if "trimester" in entry and entry["pregnancy"] != "yes":
        raise BadCatalogue("a trimester needs pregnancy = 'yes'", place=entry["population"])
    return Population(
        label=entry["population"],
        sexes=frozenset({entry["sex"]}) if "sex" in entry else SEXES,
        start=_age(entry, "age_from"),
        end=_age(entry, "age_to"),
        states=frozenset(entry["trimester"]) if "trimester" in entry else _STATES[entry["pregnancy"]],
    )


def _age(entry: Mapping[str, Any], bound: str) -> AgeBound | None:
    try:
        return AgeBound.parse(entry[bound]) if bound in entry else None
    except BadCatalogue as error:
        raise BadCatalogue(error.detail, place=entry["population"]) from None


def cut(numbers: Mapping[str, str], units: UnitTable, *, place: str = "", row: int | None = None) -> Cut:
    """A published number, stated for one or more units."""
    try:
        return Cut.stated({code: parse_decimal(number) for code, number in numbers.items()}, units)
    except BadCatalogue as error:
        raise BadCatalogue(error.detail, place=place, row=row) from None


def ruleset_from(data: Mapping[str, Any], analytes: Analytes, *, checksum: str) -> RuleSet:
    """The rule set of one file, not yet proved. Raises ``BadCatalogue``."""
    shaped = read(RuleSetShape, data)
    sources = {key: Source(key=key, **source) for key, source in shaped["sources"].items()}
    patterns = [_pattern(pattern) for pattern in shaped["pattern"]]
    graded = tuple(_graded(rule, analytes) for rule in shaped["rule"])
    for entry, rule in zip(shaped["rule"], graded, strict=True):
        _check_sources(rule, entry.get("classification", {}), sources)
    for pattern in patterns:
        _check_cited(pattern.sources, sources, place=pattern.key)
    return RuleSet(
        version=shaped["version"],
        title=shaped["title"],
        published=str(shaped["published"]),
        graded=graded,
        pattern=patterns[0] if patterns else None,
        precedence={finding: tuple(order) for finding, order in shaped["precedence"].items()},
        examples=tuple(_example(rule["key"], entry) for rule in shaped["rule"] for entry in rule["example"]),
        sources=sources,
        checksum=checksum,
    )


def _check_sources(rule: GradedLimit, classification: Mapping[str, Any], sources: Mapping[str, Source]) -> None:
    for number, row in enumerate(rule.rows, start=1):
        _check_cited(row.sources, sources, place=rule.key, row=number)
    if classification:
        _check_cited(tuple(classification["sources"]), sources, place=f"{rule.key} classification")


def _check_cited(cited: tuple[str, ...], sources: Mapping[str, Source], *, place: str, row: int | None = None) -> None:
    unknown = sorted(set(cited) - set(sources))
    if unknown or not cited:
        detail = f"unknown source {unknown[0]!r}" if unknown else "no source is named"
        raise BadCatalogue(detail, place=place, row=row)


def _pattern(entry: Mapping[str, Any]) -> Pattern:
    return Pattern(**{**entry, "of": tuple(entry["of"]), "sources": tuple(entry["sources"])})


def _graded(rule: Mapping[str, Any], analytes: Analytes) -> GradedLimit:
    units = _units_of(rule, analytes)
    return GradedLimit(
        key=rule["key"],
        finding=rule["finding"],
        analytes=tuple(rule["analytes"]),
        direction=rule["direction"],
        scale=rule["scale"],
        rows=tuple(_rows(rule, units)),
        families=units.families,
        classification=_classification(rule, units) if "classification" in rule else None,
    )


def _units_of(rule: Mapping[str, Any], analytes: Analytes) -> UnitTable:
    known = {one.key: one.units for one in analytes.all}
    for key in rule["analytes"]:
        if key not in known:
            raise BadCatalogue(f"unknown analyte {key!r}; known: {', '.join(sorted(known))}", place=rule["key"])
    return known[rule["analytes"][0]]


_End = tuple[Cut | None, Decimal | None] | None


def _rows(rule: Mapping[str, Any], units: UnitTable) -> Iterator[Row]:
    """The rows of a rule, each ending where the next begins."""
    names = _ENDS[rule["direction"]]
    ends = [
        _row_ends(row, names, units, place=(rule["key"], number)) for number, row in enumerate(rule["row"], start=1)
    ]
    for number, ((_, end), (start, _)) in enumerate(pairwise(ends), start=1):
        if end != start:
            raise BadCatalogue(_misfit(end, start, rule["direction"]), place=rule["key"], row=number)
    if ends[-1][1] is not None:
        raise BadCatalogue("gap: nothing beyond the end of the last row", place=rule["key"], row=len(ends))
    for row, (start, _) in zip(rule["row"], ends, strict=True):
        begins = start or (None, None)
        yield Row(
            severity=row["severity"],
            grade=row.get("grade"),
            rests_on=row["rests_on"],
            sources=tuple(row["sources"]),
            start=begins[0],
            multiple=begins[1],
        )


def _row_ends(
    row: Mapping[str, Any], names: tuple[str, str], units: UnitTable, *, place: tuple[str, int]
) -> tuple[_End, _End]:
    strangers = {"above", "up_to", "below", "down_to"} & set(row) - set(names)
    if strangers or names[0] not in row:
        raise BadCatalogue(f"a row of this direction has {names[0]} and {names[1]}", place=place[0], row=place[1])
    return _end(row[names[0]], units, place=place), _end(row[names[1]], units, place=place) if names[1] in row else None


def _end(stated: Any, units: UnitTable, *, place: tuple[str, int]) -> _End:
    if stated == "limit":
        return None, None
    if "times" in stated:
        return None, parse_decimal(stated["times"])
    return cut(stated, units, place=place[0], row=place[1]), None


def _misfit(end: _End, start: _End, direction: Direction) -> str:
    """Why one row does not end where the next begins: a gap between them, or an overlap."""
    pairs = _comparable(end, start)
    if not pairs:
        return "gap or overlap: this row's end and the next row's beginning are stated differently"
    inner, outer = next((one, other) for one, other in pairs if one != other)
    return (
        f"{'gap' if direction.worse(outer, inner) else 'overlap'}: this row ends at {inner}, the next begins at {outer}"
    )


def _comparable(end: _End, start: _End) -> list[tuple[Decimal, Decimal]]:
    if end is None or start is None:
        return []
    if end[0] is not None and start[0] is not None:
        return [(end[0][family], start[0][family]) for family in end[0].by_family]
    return [(end[1], start[1])] if end[1] is not None and start[1] is not None else []


def _classification(rule: Mapping[str, Any], units: UnitTable) -> Classification:
    entry = rule["classification"]
    try:
        return Classification(
            scale=entry["scale"],
            direction=entry["direction"],
            classes=tuple(_class(one, units) for one in entry["class_"]),
            not_defined=tuple(population(one) for one in entry["not_defined"]),
            sources=tuple(entry["sources"]),
        )
    except BadCatalogue as error:
        place = " ".join(filter(None, (rule["key"], "classification", error.place)))
        raise BadCatalogue(error.detail, place=place, row=error.row) from None


def _class(entry: Mapping[str, Any], units: UnitTable) -> Class:
    begins = {name: cut(entry[name], units, place=entry["population"]) for name in ("mild", "moderate", "severe")}
    return Class(population=population(entry), begins=begins)


def _example(rule: str, entry: Mapping[str, Any]) -> Example:
    value, _, unit = entry["value"].partition(" ")
    try:
        measured = Measured(number=parse_decimal(value))
    except ValueError:
        raise BadCatalogue(f"the example {entry['value']!r} is not a number and a unit", place=rule) from None
    return Example(
        rule=rule,
        measured=measured,
        unit=unit,
        limit=Measured(number=parse_decimal(entry["limit"])),
        severity=entry.get("severity"),
        grade=entry.get("grade"),
    )
