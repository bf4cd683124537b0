"""The words and the data that explain a verdict.

Law: an explanation is made from the very objects that decided, states numbers as they were sent, and is plain data
(texts, lists, mappings) so that it can be frozen and compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from service.domain.analytes import Analyte, Source
from service.domain.limits import Limit, Limits
from service.domain.panels import Result
from service.domain.people import Person
from service.domain.quantities import Measured, plain
from service.domain.rules import Direction, Graded, GradedLimit, Row
from service.domain.rulesets import RuleSet
from service.domain.units import Unit

_BEYOND = {Direction.HIGH: "above", Direction.LOW: "below"}
_WITHIN = {Direction.HIGH: "or below", Direction.LOW: "or above"}
_SIDE = {Direction.LOW: "lower", Direction.HIGH: "upper"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that one result was judged by; ``outer`` and ``inner`` are the limits on the side of the rule."""

    result: Result
    analyte: Analyte
    unit: Unit
    measured: Measured = field(repr=False)
    rule: GradedLimit
    ruleset: RuleSet
    who: Person
    limits: Limits = field(repr=False)
    outer: Limit = field(repr=False)
    inner: Limit = field(repr=False)

    def begins(self, row: Row) -> Decimal:
        """Where ``row`` begins for this result, in canonical units."""
        begins = row.begins(self.unit.family, self.outer.value)
        return self.outer.value if begins is None else begins

    def number(self, canonical: Decimal) -> str:
        """A number in the unit that was sent, or in the canonical one where that would need rounding."""
        text = self.unit.express(canonical)
        return f"{plain(canonical)} {self.analyte.canonical_unit}" if text is None else f"{text} {self.result.unit}"


def as_sent(result: Result) -> str:
    """The value to the letter: ``<5 10*9/L``."""
    return f"{result.comparator}{result.text} {result.unit}"


def _value(case: Case, against: Decimal) -> str:
    """The value as sent, with the converted one where the limit can only be said in canonical units."""
    if case.unit.express(against) is not None:
        return as_sent(case.result)
    return f"{as_sent(case.result)} ({plain(case.measured.number)} {case.analyte.canonical_unit})"


def why_flagged(case: Case, graded: Graded) -> str:
    """Which published number the value passes."""
    row = case.rule.rows[graded.row or 0]
    begins, beyond = case.begins(row), _BEYOND[case.rule.direction]
    sentence = f"{_value(case, begins)} is {beyond} {case.number(begins)}"
    if row.multiple is not None:
        return f"{sentence} ({plain(row.multiple)} times {case.outer.label}, {case.number(case.outer.value)})"
    return f"{sentence}, {case.outer.label}" if row.start is None else sentence


def why_clear(case: Case) -> str:
    """Which limit the value does not pass."""
    limit = case.inner
    return (
        f"{_value(case, limit.value)} is not {_BEYOND[case.rule.direction]} {case.number(limit.value)}, {limit.label}"
    )


def why_outside_scope(case: Case, limit: Limit, *, certain: bool) -> str:
    """That the value lies on the side that the rules do not judge."""
    side = case.rule.direction.other
    is_ = "is" if certain else "may be"
    return (
        f"{_value(case, limit.value)} {is_} {_BEYOND[side]} {case.number(limit.value)}, {limit.label}; "
        f"{case.ruleset.version} judges only {case.rule.direction} values of {case.analyte.key}"
    )


def why_indefinite(case: Case) -> str:
    """That the comparator leaves both sides of the limit open."""
    limit = case.inner
    return f"{as_sent(case.result)} may lie on either side of {case.number(limit.value)}, {limit.label}"


def why_between(case: Case) -> str:
    """That the limits for the people this may be disagree."""
    near, far = case.inner, case.outer
    return (
        f"{_value(case, near.value)} lies between {near.label} ({case.number(near.value)}) "
        f"and {far.label} ({case.number(far.value)})"
    )


def what_would_help(case: Case) -> str | None:
    """Which facts about the patient would settle a case between limits: those in which the candidates differ."""
    populations = [interval.population for interval in case.analyte.candidates(case.who)]
    wanted = [
        *(("patient.sex",) if len({one.sexes for one in populations}) > 1 and not case.who.sex_known else ()),
        *(("patient.birth_date",) if len({(one.start, one.end) for one in populations}) > 1 else ()),
        *(("patient.trimester",) if len(case.who.states) > 1 else ()),
    ]
    return f"send {' and '.join(wanted)}, or the laboratory's reference_range" if wanted else None


def explanation(case: Case, graded: Graded, *, classification: str | None, provisional: bool) -> dict[str, object]:
    """Everything that made a flag, as plain data that is frozen with it."""
    row = case.rule.rows[graded.row or 0]
    return {
        "value": _value_data(case),
        "limit": _limit_data(case, case.outer),
        "threshold": {
            "value": case.number(case.begins(row)),
            "multiple_of_limit": None if row.multiple is None else plain(row.multiple),
        },
        "rule": _rule_data(case, graded.row or 0),
        "severity": row.severity.value,
        "grade": case.rule.label(row),
        "classification": classification,
        "at_least": graded.at_least,
        "provisional": provisional,
        "candidates": [_limit_data(case, limit) for limit in _all(case)] if len(_all(case)) > 1 else [],
        "assumptions": assumptions(case),
        "would_change": would_change(case, graded.row or 0),
    }


def _all(case: Case) -> tuple[Limit, ...]:
    return case.limits.on(case.rule.direction)


def _value_data(case: Case) -> dict[str, object]:
    return {
        "comparator": case.result.comparator or None,
        "sent": case.result.text,
        "unit": case.result.unit,
        "converted": plain(case.measured.number),
        "canonical_unit": case.analyte.canonical_unit,
        "factor": plain(case.unit.factor),
    }


def _limit_data(case: Case, limit: Limit) -> dict[str, object]:
    return {
        "value": case.number(limit.value),
        "side": _SIDE[case.rule.direction],
        "origin": limit.origin,
        "label": limit.label,
        "population": limit.population,
        "note": limit.note,
        "source": None if limit.source is None else source_data(limit.source),
    }


def _rule_data(case: Case, index: int) -> Mapping[str, object]:
    memo, key = case.ruleset.memo, (case.rule.key, index)
    if key not in memo:
        memo[key] = _new_rule_data(case, index)
    return memo[key]


def _new_rule_data(case: Case, index: int) -> dict[str, object]:
    row = case.rule.rows[index]
    return {
        "ruleset": case.ruleset.version,
        "checksum": case.ruleset.checksum,
        "rule": case.rule.key,
        "row": index + 1,
        "rests_on": row.rests_on,
        "sources": [source_data(case.ruleset.sources[key]) for key in row.sources],
    }


def source_data(source: Source) -> dict[str, object]:
    """A source as plain data."""
    return {"title": source.title, "url": source.url, "evidence": source.evidence}


def assumptions(case: Case) -> list[str]:
    """What had to be taken as given because nobody said. The laboratory's own limits need no assumption."""
    if case.outer.origin == "laboratory":
        return []
    said = []
    if len(_all(case)) > 1:
        unknown = [*(() if case.who.sex_known else ("sex",)), *(() if case.who.age_known else ("age",))]
        about = " and ".join(unknown) or "exact age or trimester"
        said.append(f"{about} not known: the value lies beyond the limit of everybody this may be")
    unsaid = not case.who.pregnancy_stated and "female" in case.who.sexes and case.who.could_be_pregnant
    if unsaid and not case.outer.for_pregnant:
        said.append("pregnancy not stated: limits for people who are not pregnant were used")
    return said


def would_change(case: Case, index: int) -> list[str]:
    """Which values would have ended otherwise: the next worse row, each milder one, and no flag at all."""
    beyond, within = _BEYOND[case.rule.direction], _WITHIN[case.rule.direction]
    rows, lines = case.rule.rows, []
    if index + 1 < len(rows):
        lines.append(f"{beyond} {case.number(case.begins(rows[index + 1]))}: {_name(case, index + 1)}")
    # A limit that lies further out than a row's own number leaves nothing for the rows before it.
    lines.extend(
        f"{case.number(case.begins(rows[number]))} {within}: {_name(case, number - 1)}"
        for number in range(index, 0, -1)
        if case.rule.direction.worse(case.begins(rows[number]), case.outer.value)
    )
    lines.append(f"{case.number(case.outer.value)} {within}: {_unflagged(case)}")
    return lines


def _name(case: Case, index: int) -> str:
    row = case.rule.rows[index]
    return f"{row.severity.value} ({row.rests_on})"


def _unflagged(case: Case) -> str:
    return "no flag" if case.inner.value == case.outer.value else "no flag, or not judged"
