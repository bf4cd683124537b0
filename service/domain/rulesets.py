"""Rule sets: the rules in force together, proved before anything is judged by them.

Law: a rule set that cannot be proved does not exist. Every table covers everything exactly once, every row can be
reached and is shown by a worked example, and every example comes out as written.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.domain.analytes import Analytes, Source
from service.domain.errors import BadCatalogue
from service.domain.memory import Memory
from service.domain.people import Ages, Population
from service.domain.quantities import Measured
from service.domain.rules import Finding, Graded, GradedLimit, Pattern, Severity, Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A worked example of one rule: a value and its limit, in one unit, and what must come of it."""

    rule: str
    measured: Measured
    unit: str
    limit: Measured
    severity: Severity | None
    grade: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """A version of the rules. ``precedence`` lists, for a finding, which analyte decides when several are present."""

    version: str
    title: str
    published: str
    graded: tuple[GradedLimit, ...]
    pattern: Pattern | None
    precedence: Mapping[Finding, tuple[str, ...]]
    examples: tuple[Example, ...]
    sources: Mapping[str, Source]
    checksum: str
    _by_analyte: Mapping[str, GradedLimit] = field(init=False, repr=False, compare=False)
    # What explanations say of a row, and of the findings of a pattern, is the same every time.
    memo: dict[Hashable, Any] = field(init=False, default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_analyte", self._index())

    def _index(self) -> Mapping[str, GradedLimit]:
        index: dict[str, GradedLimit] = {}
        keys: set[str] = set()
        for rule in self.graded:
            if rule.key in keys:
                raise BadCatalogue("two rules have this key", place=rule.key)
            keys.add(rule.key)
            for analyte in rule.analytes:
                if index.setdefault(analyte, rule) is not rule:
                    raise BadCatalogue(f"overlap: {analyte} is also judged by {index[analyte].key}", place=rule.key)
        return index

    def rule_for(self, analyte: str) -> GradedLimit | None:
        return self._by_analyte.get(analyte)

    def rank(self, finding: Finding, analyte: str) -> int:
        """Place of the analyte in the finding's precedence; smaller decides."""
        order = self.precedence.get(finding, ())
        return order.index(analyte) if analyte in order else len(order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """Everything judged by: the analytes, every rule set by version, and which one judges what comes in now."""

    analytes: Analytes
    rulesets: Mapping[str, RuleSet]
    current: str
    ages: Ages = field(init=False, repr=False, compare=False)
    memory: Memory = field(init=False, default_factory=Memory, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.current not in self.rulesets:
            known = ", ".join(sorted(self.rulesets))
            raise BadCatalogue(f"there is no rule set {self.current!r}; known: {known}")
        object.__setattr__(self, "ages", Ages.told_apart_by(self._populations()))

    def _populations(self) -> Iterator[Population]:
        """Everybody for whom something is stated anywhere in it."""
        for analyte in self.analytes.all:
            yield from (one.population for one in analyte.intervals)
            yield from (one.population for one in analyte.not_established)
        for ruleset in self.rulesets.values():
            for scale in (rule.classification for rule in ruleset.graded):
                yield from scale.populations if scale else ()


def prove(ruleset: RuleSet, analytes: Analytes) -> None:
    """Raise ``BadCatalogue`` unless the rule set fits the analytes and its own examples."""
    for rule in ruleset.graded:
        _prove_analytes(rule, analytes)
        _prove_examples(rule, ruleset, analytes)
    for finding, order in ruleset.precedence.items():
        for analyte in order:
            judge = ruleset.rule_for(analyte)
            if judge is None or judge.finding is not finding:
                raise BadCatalogue(f"{analyte} is in the precedence but no rule judges it", place=finding)


def _prove_analytes(rule: GradedLimit, analytes: Analytes) -> None:
    known = {one.key: one for one in analytes.all}
    for key in rule.analytes:
        if key not in known:
            raise BadCatalogue(f"unknown analyte {key!r}; known: {', '.join(sorted(known))}", place=rule.key)
        if known[key].units.families != rule.families:
            raise BadCatalogue(f"{key} has other unit families than {rule.analytes[0]}", place=rule.key)


def _prove_examples(rule: GradedLimit, ruleset: RuleSet, analytes: Analytes) -> None:
    examples = [example for example in ruleset.examples if example.rule == rule.key]
    shown = set()
    for number, example in enumerate(examples, start=1):
        shown.add(_run(rule, example, analytes, number=number).row)
    for index in range(len(rule.rows)):
        if index not in shown:
            raise BadCatalogue("no worked example reaches this row", place=rule.key, row=index + 1)
    if None not in shown:
        raise BadCatalogue("no worked example shows a value within the limit", place=rule.key)


def _run(rule: GradedLimit, example: Example, analytes: Analytes, *, number: int) -> Graded:
    unit = analytes[rule.analytes[0]].units.find(example.unit)
    if unit is None:
        raise BadCatalogue(f"example {number}: unknown unit {example.unit!r}", place=rule.key)
    limit = example.limit.times(unit.factor).number
    graded = rule.assess(example.measured.times(unit.factor), family=unit.family, limit=limit)
    row = None if graded.row is None else rule.rows[graded.row]
    came = (row.severity, row.grade) if row else (None, None)
    if graded.standing is Standing.UNKNOWN or came != (example.severity, example.grade):
        detail = f"example {number} fails: wanted {_words(example.severity, example.grade)}, came {_words(*came)}"
        raise BadCatalogue(detail, place=rule.key, row=None if graded.row is None else graded.row + 1)
    return graded


def _words(severity: Severity | None, grade: str | None) -> str:
    return f"{severity.value} grade {grade or '-'}" if severity else "clear"
