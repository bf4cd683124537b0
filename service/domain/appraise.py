"""The judgement of one result, on its own.

Law: the first thing that keeps a result from being judged ends the walk, and says so. Nothing is skipped over. A
verdict follows from the words of the result, the rule book and the kind of person, so that the same words get the same
verdict again without the walk.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from service.domain import explain
from service.domain.analytes import Analyte
from service.domain.drafts import drafted
from service.domain.explain import Case, new_case
from service.domain.kinds import Kind
from service.domain.limits import Limits, Unusable, limits_for
from service.domain.mapped import as_read, told
from service.domain.memory import GROUND, LONGEST, NAME
from service.domain.panels import JUDGED, Result, Status
from service.domain.people import Person
from service.domain.quantities import EXACT, Comparator, Measured, new_measured
from service.domain.rules import Graded, GradedLimit, Standing
from service.domain.rulesets import Rulebook, RuleSet
from service.domain.timeline import Held
from service.domain.units import Unit
from service.domain.verdicts import Outcome, Reason, Verdict, new_verdict
from service.domain.yardsticks import Yardstick, assumptions, classes_for, limits_beside, what_would_help

_COMPARATORS = {one.value: one for one in Comparator}
# The members once more: to look one up in its class takes longer than the comparison of two numbers.
_PRELIMINARY, _RAISED, _ABSENT = Status.PRELIMINARY, Standing.RAISED, Standing.ABSENT
_FLAGGED, _CLEAR = Outcome.FLAGGED, Outcome.CLEAR

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


new_read = drafted(Read)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """On what the results of one analyte, unit, range and kind of person are judged.

    A yardstick, or the verdict that there is none. By its ``number`` the verdicts given on it are found again; 0 is
    that of a ground which is not remembered.
    """

    number: int
    by: Yardstick | Verdict


def appraise(held: Held, kind: Kind, rulebook: Rulebook) -> Verdict:
    """The verdict on one result, before the other results of its collection are looked at."""
    if held.status not in JUDGED:
        return not_judged(held, *_BY_STATUS[held.status])
    sent = held.result
    if sent.mapped is not None:
        return told(appraise(as_read(held), kind, rulebook), sent, sent.mapped)
    place = _place(held, sent)
    ground: Ground | None = kind.grounds.get(place)
    if ground is None or sent.absent is not None or sent.upper is not None:
        return _walk(held, kind, rulebook, place=place)
    words = ground.number, sent.text, sent.comparator, held.status is _PRELIMINARY
    given = rulebook.memory.verdicts.get(words) or rulebook.memory.older(words)
    # The number follows from the text, and is compared all the same, because it is what decides.
    if given is not None and given[0] == sent.number:
        return given[1]
    return _walk(held, kind, rulebook, place=place)


def _place(held: Held, sent: Result) -> Hashable:
    """All that a ground depends on, but for the kind of person."""
    range_ = sent.range
    if range_ is None:
        return held.analyte, held.ruleset, sent.unit
    return held.analyte, held.ruleset, sent.unit, range_.low, range_.high, range_.unit, range_.unclear


def _walk(held: Held, kind: Kind, rulebook: Rulebook, *, place: Hashable) -> Verdict:
    ground: Ground | None = kind.grounds.get(place)
    if ground is not None and isinstance(ground.by, Yardstick) and held.result.absent is None:
        read = _read(held, ground.by.analyte, ground.by.unit)
    else:
        read = read_value(held, rulebook)
    if isinstance(read, Verdict):
        return read
    ground = ground or _new_ground(held, read, kind, rulebook=rulebook, place=place)
    by, sent = ground.by, held.result
    verdict = by if isinstance(by, Verdict) else _decide(held, new_case(result=sent, measured=read.measured, by=by))
    # What lies between two numbers is rarely said, and its words alone do not tell what it is.
    if ground.number and len(sent.text) <= LONGEST and sent.upper is None:
        words = ground.number, sent.text, sent.comparator, held.status is _PRELIMINARY
        rulebook.memory.keep(words, (sent.number, verdict))
    return verdict


def _new_ground(held: Held, read: Read, kind: Kind, *, rulebook: Rulebook, place: Hashable) -> Ground:
    memory, range_ = rulebook.memory, held.result.range
    if len(held.result.unit) > LONGEST or len((range_ and range_.unit) or "") > LONGEST:
        return Ground(number=0, by=_by(held, read, rulebook=rulebook, who=kind.who))
    ground: Ground | None = memory.grounds.get(place)
    if ground is None:
        ground = _remembered(held, read, kind.who, rulebook=rulebook, place=place)
    memory.take(NAME)
    kind.grounds[place] = ground
    return ground


def _remembered(held: Held, read: Read, who: Person, *, rulebook: Rulebook, place: Hashable) -> Ground:
    """A ground that other kinds of person are judged on as well, above all where the laboratory sends its own range."""
    memory, by = rulebook.memory, _by(held, read, rulebook=rulebook, who=who)
    name = place if _for_everybody(by) else _name(by, place, held.ruleset)
    ground: Ground | None = memory.grounds.get(name)
    if ground is None:
        memory.take(GROUND)
        ground = memory.grounds.setdefault(name, Ground(number=next(memory.numbers), by=by))
    return ground


def _name(by: Yardstick | Verdict, place: Hashable, ruleset: str) -> Hashable:
    """What grounds share that are the same to every value. A verdict leaves the place to tell what is plausible."""
    return (ruleset, by.told_apart_by) if isinstance(by, Yardstick) else (place, by)


def _for_everybody(by: Yardstick | Verdict) -> bool:
    """Does a ground depend on the range that was sent alone, and on nobody's sex or age?"""
    if isinstance(by, Verdict):
        return by.reason in (Reason.NO_RULE, Reason.RANGE_UNUSABLE)
    return by.limits.of_the_laboratory and by.rule.classification is None


def not_judged(held: Held, reason: Reason, why: str, *, hint: str | None = None) -> Verdict:
    """The verdict that a result could not be judged."""
    return new_verdict(
        outcome=Outcome.NOT_JUDGED, ruleset=held.ruleset, analyte=held.analyte, reason=reason, why=why, hint=hint
    )


def read_value(held: Held, rulebook: Rulebook) -> Read | Verdict:
    """The value in canonical units, or the verdict that says why it cannot be read."""
    held = as_read(held)
    if held.analyte is None:
        return _unmapped(held, rulebook)
    analyte = rulebook.analytes[held.analyte]
    if held.result.absent is not None:
        why = f"there is no value of {analyte.key}: {held.result.absent}"
        return not_judged(held, Reason.VALUE_ABSENT, why)
    unit = analyte.units.find(held.result.unit)
    if unit is None:
        why = f"{held.result.unit!r} is not a unit of {analyte.key}"
        return not_judged(held, Reason.UNIT_UNKNOWN, why, hint=f"accepted units: {', '.join(analyte.units.codes)}")
    return _read(held, analyte, unit)


def _read(held: Held, analyte: Analyte, unit: Unit) -> Read | Verdict:
    if held.result.number is None:
        return not_judged(held, Reason.VALUE_NOT_NUMERIC, "the value is not a number")
    comparator = _COMPARATORS.get(held.result.comparator)
    if comparator is None:
        why = f"the comparator {held.result.comparator!r} says nothing that can be compared"
        return not_judged(held, Reason.COMPARATOR_UNUSABLE, why, hint="usable comparators: <, <=, >=, >")
    measured = new_measured(number=EXACT.multiply(held.result.number, unit.factor), comparator=comparator)
    if (upper := held.result.upper) is not None:
        measured = replace(measured, upper=EXACT.multiply(upper, unit.factor))
    read = new_read(analyte=analyte, unit=unit, measured=measured)
    return read if analyte.plausible.may_hold(read.measured) else _implausible(held, analyte)


def _unmapped(held: Held, rulebook: Rulebook) -> Verdict:
    name = held.result.analyte
    if name is not None:
        near = rulebook.analytes.nearest(name)
        hint = f"did you mean {near!r}?" if near else "GET /v1/analytes lists the names"
        return not_judged(held, Reason.CODE_UNMAPPED, f"no analyte is called {name!r}", hint=hint)
    codes = filter(None, (held.result.code, *held.result.other_codes))
    seen = ", ".join(f"{code.code} of {code.system}" for code in codes) or "none"
    hint = "GET /v1/analytes lists the codes"
    return not_judged(held, Reason.CODE_UNMAPPED, f"no analyte has the code {seen}", hint=hint)


def _implausible(held: Held, analyte: Analyte) -> Verdict:
    span = f"{analyte.plausible.low} to {analyte.plausible.high} {analyte.canonical_unit}"
    why = f"{explain.as_sent(held.result)} is outside what {analyte.key} of a living patient can be ({span})"
    return not_judged(held, Reason.IMPLAUSIBLE, why, hint="held for review: check the unit and the sample")


def _by(held: Held, read: Read, *, rulebook: Rulebook, who: Person) -> Yardstick | Verdict:
    """What the value is measured against, or the verdict that says why there is nothing."""
    ruleset, analyte = rulebook.rulesets[held.ruleset], read.analyte
    rule = ruleset.rule_for(analyte.key)
    if rule is None:
        return not_judged(held, Reason.NO_RULE, f"no rule of {held.ruleset} judges {analyte.key}; the result is kept")
    limits = limits_for(analyte, read.unit, sent=held.result.range, who=who, deciding=rule.direction)
    if isinstance(limits, Unusable):
        return not_judged(held, Reason.RANGE_UNUSABLE, limits.detail, hint=limits.hint)
    outer = limits.outer(rule.direction)
    if outer is None:
        return _no_interval(held, analyte, who)
    if who.impossible and outer.origin == "catalogue":
        hint = "check patient.birth_date and patient.pregnant, or send the laboratory's reference_range"
        return not_judged(held, Reason.FACTS_CONTRADICT, who.impossible, hint=hint)
    return _yardstick(held, read, rule=rule, ruleset=ruleset, limits=limits, who=who)


def _no_interval(held: Held, analyte: Analyte, who: Person) -> Verdict:
    reasons = "; ".join(gap.reason for gap in analyte.gaps(who))
    why = f"no published interval for {analyte.key} fits this patient: {reasons}"
    return not_judged(held, Reason.NO_INTERVAL, why, hint="send the laboratory's reference_range")


def _yardstick(
    held: Held, read: Read, *, rule: GradedLimit, ruleset: RuleSet, limits: Limits, who: Person
) -> Yardstick:
    side = rule.direction
    outer, inner = limits.outer(side), limits.inner(side)
    if outer is None or inner is None:
        raise ValueError("a yardstick has a limit on the side of its rule")
    return Yardstick(
        analyte=read.analyte, unit=read.unit, spelling=held.result.unit, rule=rule, ruleset=ruleset,
        limits=limits, outer=outer, inner=inner, beside=limits_beside(limits, side), classes=classes_for(rule, who),
        assumed=assumptions(limits.on(side), outer, who),
        would_help=None if inner is outer else what_would_help(read.analyte, who),
    )  # fmt: skip


def _decide(held: Held, case: Case) -> Verdict:
    """Flagged beyond the outermost limit that may apply, clear within the innermost one, otherwise not judged."""
    far, near = case.by.measure(case.measured)
    if far.standing is _RAISED:
        return _flagged(held, case, far=far, near=near)
    if near.standing is _ABSENT:
        return _within(held, case)
    if far.standing is near.standing:
        return not_judged(
            held, Reason.INDEFINITE, explain.why_indefinite(case), hint="send the value itself if it is known"
        )
    return not_judged(held, Reason.BETWEEN_LIMITS, explain.why_between(case), hint=case.by.would_help)


def _flagged(held: Held, case: Case, *, far: Graded, near: Graded) -> Verdict:
    rule = case.by.rule
    row = rule.rows[far.row or 0]
    provisional = held.status is _PRELIMINARY
    graded = far if near.row == far.row else Graded(standing=far.standing, row=far.row, at_least=True)
    classification = case.by.classify(case.measured)
    return new_verdict(
        outcome=_FLAGGED,
        ruleset=held.ruleset,
        analyte=held.analyte,
        finding=rule.finding,
        standing=_RAISED,
        severity=row.severity,
        grade=rule.label(row),
        classification=classification,
        direction=rule.direction,
        at_least=graded.at_least,
        provisional=provisional,
        why=explain.why_flagged(case, graded),
        explanation=explain.explanation(case, graded, classification=classification, provisional=provisional),
    )


def _within(held: Held, case: Case) -> Verdict:
    """Not beyond the limit of the rule; still not judged when it lies on the side that no rule looks at."""
    outcome, reason, why, beside = _CLEAR, None, "", case.by.beside
    beyond = case.by.rule.direction.other.beyond
    if beside is not None and beyond(case.measured, beside[0].value) is not False:
        certain = beyond(case.measured, beside[1].value) is True
        outcome, reason = Outcome.NOT_JUDGED, Reason.OUTSIDE_SCOPE
        why = explain.why_outside_scope(case, beside[certain], certain=certain)
    return new_verdict(
        outcome=outcome,
        ruleset=held.ruleset,
        analyte=held.analyte,
        reason=reason,
        why=why or explain.why_clear(case),
        finding=case.by.rule.finding,
        standing=_ABSENT,
        provisional=held.status is _PRELIMINARY,
    )
