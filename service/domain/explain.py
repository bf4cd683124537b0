"""The words and the data that explain a verdict.

Law: an explanation is made from the very objects that decided, states numbers as they were sent, and is plain data
(texts, lists, mappings) so that it can be frozen and compared. What does not depend on the value is made once for all
that a yardstick measures: whoever reads an explanation leaves it as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from service.domain.analytes import Source
from service.domain.drafts import drafted
from service.domain.limits import Limit
from service.domain.panels import Result
from service.domain.quantities import Measured, plain
from service.domain.rules import Direction, Graded
from service.domain.yardsticks import Yardstick

_BEYOND = {Direction.HIGH: "above", Direction.LOW: "below"}
_WITHIN = {Direction.HIGH: "or below", Direction.LOW: "or above"}
_SIDE = {Direction.LOW: "lower", Direction.HIGH: "upper"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One value, and what it was measured against."""

    result: Result
    measured: Measured = field(repr=False)
    by: Yardstick


new_case = drafted(Case)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """What is said after a value; ``converted``: its number is in canonical units, in which the value is said too."""

    rest: str = field(repr=False)
    converted: bool

    def of(self, case: Case) -> str:
        sent = as_sent(case.result)
        if self.converted:
            sent = f"{sent} ({converted(case.measured)} {case.by.analyte.canonical_unit})"
        return f"{sent}{self.rest}"


def as_sent(result: Result) -> str:
    """The value to the letter: ``<5 10*9/L``."""
    return f"{result.comparator}{result.text} {result.unit}"


def converted(measured: Measured) -> str:
    """The number, or the two numbers between which it lies, in plain digits."""
    number = plain(measured.number)
    return number if measured.upper is None else f"{number} to {plain(measured.upper)}"


def _sentence(by: Yardstick, against: Decimal, rest: str) -> Sentence:
    return Sentence(rest=rest, converted=by.unit.express(against) is None)


def why_flagged(case: Case, graded: Graded) -> str:
    """Which published number the value passes."""
    return _row(case.by, graded.row or 0).why.of(case)


def _passed(by: Yardstick, index: int) -> Sentence:
    row, begins = by.rule.rows[index], by.begins(index)
    rest = f" is {_BEYOND[by.rule.direction]} {by.number(begins)}"
    if row.multiple is not None:
        rest = f"{rest} ({plain(row.multiple)} times {by.outer.label}, {by.number(by.outer.value)})"
    elif row.start is None:
        rest = f"{rest}, {by.outer.label}"
    return _sentence(by, begins, rest)


def why_clear(case: Case) -> str:
    """Which limit the value does not pass."""
    sentence: Sentence | None = case.by.memo.get("clear")
    if sentence is None:
        sentence = case.by.memo["clear"] = _not_passed(case.by)
    return sentence.of(case)


def _not_passed(by: Yardstick) -> Sentence:
    limit = by.inner
    rest = f" is not {_BEYOND[by.rule.direction]} {by.number(limit.value)}, {limit.label}"
    return _sentence(by, limit.value, rest)


def why_outside_scope(case: Case, limit: Limit, *, certain: bool) -> str:
    """That the value lies on the side that the rules do not judge."""
    key = ("outside", certain)
    sentence: Sentence | None = case.by.memo.get(key)
    if sentence is None:
        sentence = case.by.memo[key] = _beside(case.by, limit, certain=certain)
    return sentence.of(case)


def _beside(by: Yardstick, limit: Limit, *, certain: bool) -> Sentence:
    side, is_ = by.rule.direction.other, "is" if certain else "may be"
    rest = (
        f" {is_} {_BEYOND[side]} {by.number(limit.value)}, {limit.label}; "
        f"{by.ruleset.version} judges only {by.rule.direction} values of {by.analyte.key}"
    )
    return _sentence(by, limit.value, rest)


def why_indefinite(case: Case) -> str:
    """That the comparator leaves both sides of the limit open."""
    limit = case.by.inner
    return f"{as_sent(case.result)} may lie on either side of {case.by.number(limit.value)}, {limit.label}"


def why_between(case: Case) -> str:
    """That the limits for the people this may be disagree."""
    by, near, far = case.by, case.by.inner, case.by.outer
    rest = f" lies between {near.label} ({by.number(near.value)}) and {far.label} ({by.number(far.value)})"
    return _sentence(by, near.value, rest).of(case)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """Everything that is said of a row of a yardstick, whatever value passes it."""

    why: Sentence
    severity: str
    grade: str | None
    factor: str
    threshold: Mapping[str, object] = field(repr=False)
    rule: Mapping[str, object] = field(repr=False)
    limit: Mapping[str, object] = field(repr=False)
    candidates: list[Mapping[str, object]] = field(repr=False)
    assumptions: list[str] = field(repr=False)
    would_change: list[str] = field(repr=False)


def explanation(case: Case, graded: Graded, *, classification: str | None, provisional: bool) -> dict[str, object]:
    """Everything that made a flag, as plain data that is frozen with it."""
    row = _row(case.by, graded.row or 0)
    return {
        "value": _value_data(case, row.factor),
        "limit": row.limit,
        "threshold": row.threshold,
        "rule": row.rule,
        "severity": row.severity,
        "grade": row.grade,
        "classification": classification,
        "at_least": graded.at_least,
        "provisional": provisional,
        "candidates": row.candidates,
        "assumptions": row.assumptions,
        "would_change": row.would_change,
    }


def _row(by: Yardstick, index: int) -> Passed:
    passed: Passed | None = by.memo.get(index)
    if passed is None:
        passed = by.memo[index] = _new_row(by, index)
    return passed


def _new_row(by: Yardstick, index: int) -> Passed:
    row = by.rule.rows[index]
    return Passed(
        why=_passed(by, index),
        severity=row.severity.value,
        grade=by.rule.label(row),
        factor=plain(by.unit.factor),
        threshold={
            "value": by.number(by.begins(index)),
            "multiple_of_limit": None if row.multiple is None else plain(row.multiple),
        },
        rule=_rule_data(by, index),
        limit=_limit_data(by, by.outer),
        candidates=[_limit_data(by, limit) for limit in by.others] if len(by.others) > 1 else [],
        assumptions=list(by.assumed),
        would_change=would_change(by, index),
    )


def _value_data(case: Case, factor: str) -> dict[str, object]:
    return {
        "comparator": case.result.comparator or None,
        "sent": case.result.text,
        "unit": case.result.unit,
        "converted": converted(case.measured),
        "canonical_unit": case.by.analyte.canonical_unit,
        "factor": factor,
    }


def _limit_data(by: Yardstick, limit: Limit) -> dict[str, object]:
    return {
        "value": by.number(limit.value),
        "side": _SIDE[by.rule.direction],
        "origin": limit.origin,
        "label": limit.label,
        "population": limit.population,
        "note": limit.note,
        "source": None if limit.source is None else source_data(limit.source),
    }


def _rule_data(by: Yardstick, index: int) -> Mapping[str, object]:
    memo, key = by.ruleset.memo, (by.rule.key, index)
    data: Mapping[str, object] | None = memo.get(key)
    if data is None:
        data = memo[key] = _new_rule_data(by, index)
    return data


def _new_rule_data(by: Yardstick, index: int) -> dict[str, object]:
    row = by.rule.rows[index]
    return {
        "ruleset": by.ruleset.version,
        "checksum": by.ruleset.checksum,
        "rule": by.rule.key,
        "row": index + 1,
        "rests_on": row.rests_on,
        "sources": [source_data(by.ruleset.sources[key]) for key in row.sources],
    }


def source_data(source: Source) -> dict[str, object]:
    """A source as plain data."""
    return {"title": source.title, "url": source.url, "evidence": source.evidence}


def would_change(by: Yardstick, index: int) -> list[str]:
    """Which values would have ended otherwise: the next worse row, each milder one, and no flag at all."""
    direction, lines = by.rule.direction, []
    beyond, within = _BEYOND[direction], _WITHIN[direction]
    if index + 1 < len(by.rule.rows):
        lines.append(f"{beyond} {by.number(by.begins(index + 1))}: {_name(by, index + 1)}")
    # A limit that lies further out than a row's own number leaves nothing for the rows before it.
    lines.extend(
        f"{by.number(by.begins(number))} {within}: {_name(by, number - 1)}"
        for number in range(index, 0, -1)
        if direction.worse(by.begins(number), by.outer.value)
    )
    lines.append(f"{by.number(by.outer.value)} {within}: {_unflagged(by)}")
    return lines


def _name(by: Yardstick, index: int) -> str:
    row = by.rule.rows[index]
    return f"{row.severity.value} ({row.rests_on})"


def _unflagged(by: Yardstick) -> str:
    return "no flag" if by.inner.value == by.outer.value else "no flag, or not judged"
