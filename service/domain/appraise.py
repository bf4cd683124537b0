"""The judgement of one result, on its own.

Law: the first thing that keeps a result from being judged ends the walk, and says so. Nothing is skipped over.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from service.domain import explain
from service.domain.analytes import Analyte
from service.domain.explain import Case
from service.domain.limits import Unusable, limits_for
from service.domain.panels import Status
from service.domain.people import Person
from service.domain.quantities import Comparator, Measured
from service.domain.rules import Graded, GradedLimit, Standing
from service.domain.rulesets import Rulebook, RuleSet
from service.domain.timeline import Facts, Held
from service.domain.units import Unit
from service.domain.verdicts import Outcome, Reason, Verdict

_COMPARATORS = frozenset(Comparator)

_BY_STATUS = {
    Status.REGISTERED: (Reason.REGISTERED, "the result is registered but not yet available"),
    Status.UNKNOWN: (Reason.STATUS_UNKNOWN, "the sender does not know the status of this result"),
    Status.CANCELLED: (Reason.CANCELLED, "the result was cancelled"),
    Status.ENTERED_IN_ERROR: (Reason.ENTERED_IN_ERROR, "the result was entered in error"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A result that could be read: analyte, unit, and the value in canonical units."""

    analyte: Analyte
    unit: Unit
    measured: Measured = field(repr=False)


def appraise(held: Held, facts: Facts, rulebook: Rulebook) -> Verdict:
    """The verdict on one result, before the other results of its collection are looked at."""
    if not held.status.judged:
        return not_judged(held, *_BY_STATUS[held.status])
    read = read_value(held, rulebook)
    if isinstance(read, Verdict):
        return read
    ruleset = rulebook.rulesets[held.ruleset]
    rule = ruleset.rule_for(read.analyte.key)
    if rule is None:
        return not_judged(
            held, Reason.NO_RULE, f"no rule of {held.ruleset} judges {read.analyte.key}; the result is kept"
        )
    return _by_rule(held, read, rule=rule, ruleset=ruleset, who=held.person(facts))


def not_judged(held: Held, reason: Reason, why: str, *, hint: str | None = None) -> Verdict:
    """The verdict that a result could not be judged."""
    return Verdict(
        outcome=Outcome.NOT_JUDGED, ruleset=held.ruleset, analyte=held.analyte, reason=reason, why=why, hint=hint
    )


def read_value(held: Held, rulebook: Rulebook) -> Read | Verdict:
    """The value in canonical units, or the verdict that says why it cannot be read."""
    if held.analyte is None:
        return _unmapped(held, rulebook)
    analyte = rulebook.analytes[held.analyte]
    unit = analyte.units.find(held.result.unit)
    if unit is None:
        why = f"{held.result.unit!r} is not a unit of {analyte.key}"
        return not_judged(held, Reason.UNIT_UNKNOWN, why, hint=f"accepted units: {', '.join(analyte.units.codes)}")
    if held.result.number is None:
        return not_judged(held, Reason.VALUE_NOT_NUMERIC, "the value is not a number")
    if held.result.comparator not in _COMPARATORS:
        why = f"the comparator {held.result.comparator!r} says nothing that can be compared"
        return not_judged(held, Reason.COMPARATOR_UNUSABLE, why, hint="usable comparators: <, <=, >=, >")
    sent = Measured(number=held.result.number, comparator=Comparator(held.result.comparator))
    read = Read(analyte=analyte, unit=unit, measured=sent.times(unit.factor))
    return read if analyte.plausible.may_hold(read.measured) else _implausible(held, analyte)


def _unmapped(held: Held, rulebook: Rulebook) -> Verdict:
    name, code = held.result.analyte, held.result.code
    if name is not None:
        near = rulebook.analytes.nearest(name)
        hint = f"did you mean {near!r}?" if near else "GET /v1/analytes lists the names"
        return not_judged(held, Reason.CODE_UNMAPPED, f"no analyte is called {name!r}", hint=hint)
    seen = f"{code.code} of {code.system}" if code else "none"
    hint = "GET /v1/analytes lists the codes"
    return not_judged(held, Reason.CODE_UNMAPPED, f"no analyte has the code {seen}", hint=hint)


def _implausible(held: Held, analyte: Analyte) -> Verdict:
    span = f"{analyte.plausible.low} to {analyte.plausible.high} {analyte.canonical_unit}"
    why = f"{explain.as_sent(held.result)} is outside what {analyte.key} of a living patient can be ({span})"
    return not_judged(held, Reason.IMPLAUSIBLE, why, hint="held for review: check the unit and the sample")


def _by_rule(held: Held, read: Read, *, rule: GradedLimit, ruleset: RuleSet, who: Person) -> Verdict:
    limits = limits_for(read.analyte, read.unit, sent=held.result.range, who=who, deciding=rule.direction)
    if isinstance(limits, Unusable):
        return not_judged(held, Reason.RANGE_UNUSABLE, limits.detail, hint=limits.hint)
    outer, inner = limits.outer(rule.direction), limits.inner(rule.direction)
    if outer is None or inner is None:
        return _no_interval(held, read.analyte, who)
    if who.impossible and outer.origin == "catalogue":
        hint = "check patient.birth_date and patient.pregnant, or send the laboratory's reference_range"
        return not_judged(held, Reason.FACTS_CONTRADICT, who.impossible, hint=hint)
    case = Case(
        result=held.result, analyte=read.analyte, unit=read.unit, measured=read.measured,
        rule=rule, ruleset=ruleset, who=who, limits=limits, outer=outer, inner=inner,
    )  # fmt: skip
    return _decide(held, case)


def _no_interval(held: Held, analyte: Analyte, who: Person) -> Verdict:
    reasons = "; ".join(gap.reason for gap in analyte.gaps(who))
    why = f"no published interval for {analyte.key} fits this patient: {reasons}"
    return not_judged(held, Reason.NO_INTERVAL, why, hint="send the laboratory's reference_range")


def _decide(held: Held, case: Case) -> Verdict:
    """Flagged beyond the outermost limit that may apply, clear within the innermost one, otherwise not judged."""
    far = _assess(case, case.outer.value)
    near = far if case.inner is case.outer else _assess(case, case.inner.value)
    if far.standing is Standing.RAISED:
        return _flagged(held, case, far=far, near=near)
    if near.standing is Standing.ABSENT:
        return _within(held, case)
    if far.standing is near.standing:
        return not_judged(
            held, Reason.INDEFINITE, explain.why_indefinite(case), hint="send the value itself if it is known"
        )
    return not_judged(held, Reason.BETWEEN_LIMITS, explain.why_between(case), hint=explain.what_would_help(case))


def _assess(case: Case, limit: Decimal) -> Graded:
    return case.rule.assess(case.measured, family=case.unit.family, limit=limit)


def _flagged(held: Held, case: Case, *, far: Graded, near: Graded) -> Verdict:
    row = case.rule.rows[far.row or 0]
    provisional = held.status is Status.PRELIMINARY
    graded = Graded(standing=far.standing, row=far.row, at_least=far.at_least or near.row != far.row)
    classification = _classification(case)
    return Verdict(
        outcome=Outcome.FLAGGED,
        ruleset=held.ruleset,
        analyte=held.analyte,
        finding=case.rule.finding,
        standing=Standing.RAISED,
        severity=row.severity,
        grade=case.rule.label(row),
        classification=classification,
        direction=case.rule.direction,
        at_least=graded.at_least,
        provisional=provisional,
        why=explain.why_flagged(case, graded),
        explanation=explain.explanation(case, graded, classification=classification, provisional=provisional),
    )


def _classification(case: Case) -> str | None:
    scale = case.rule.classification
    if scale is None or case.who.impossible:
        return None
    return scale.of(case.measured, case.unit.family, case.who)


def _within(held: Held, case: Case) -> Verdict:
    """Not beyond the limit of the rule; still not judged when it lies on the side that no rule looks at."""
    other = case.rule.direction.other
    inner, outer = case.limits.inner(other), case.limits.outer(other)
    outcome, reason, why = Outcome.CLEAR, None, explain.why_clear(case)
    if inner is not None and outer is not None and other.beyond(case.measured, inner.value) is not False:
        outcome, reason = Outcome.NOT_JUDGED, Reason.OUTSIDE_SCOPE
        certain = other.beyond(case.measured, outer.value) is True
        why = explain.why_outside_scope(case, outer if certain else inner, certain=certain)
    return Verdict(
        outcome=outcome,
        ruleset=held.ruleset,
        analyte=held.analyte,
        reason=reason,
        why=why,
        finding=case.rule.finding,
        standing=Standing.ABSENT,
        provisional=held.status is Status.PRELIMINARY,
    )
