"""The judgement of a patient: every verdict, every flag and every episode, from all current results.

    collections, oldest first ─► weigh (a verdict on each result, precedence) ─► flags ─► episodes carried on

Law: a fold over the collections, so that carrying on from the last state and starting at the beginning are the same
step. Time, history and rules are arguments.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC

from service.domain.appraise import appraise, not_judged
from service.domain.corrected_calcium import beside
from service.domain.drafts import drafted
from service.domain.episodes import Course, Episode, Flag, FlagKey, Flags, new_flag
from service.domain.explain import source_data
from service.domain.kinds import kind_of
from service.domain.rules import Finding, Pattern, Standing
from service.domain.rulesets import Rulebook, RuleSet
from service.domain.timeline import Collection, Facts, Held, Timeline
from service.domain.verdicts import Reason, Verdict

Weighed = list[tuple[Held, Verdict]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Verdicts by result, the flags that stand by key, and the episodes, oldest first."""

    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    flags: Mapping[FlagKey, Flag] = field(default_factory=dict)
    episodes: tuple[Episode, ...] = ()


NOTHING = Judgement()
new_judgement = drafted(Judgement)

# The members once more: to look one up in its class takes longer than the comparison of two of them.
_RAISED, _ABSENT, _UNKNOWN = Standing.RAISED, Standing.ABSENT, Standing.UNKNOWN


def judge(timeline: Timeline, rulebook: Rulebook) -> Judgement:
    """The whole judgement of a patient, from the beginning."""
    return carry_on(NOTHING, timeline, rulebook)


def carry_on(before: Judgement, timeline: Timeline, rulebook: Rulebook) -> Judgement:
    """The judgement after the collections of ``timeline``, all of which must be newer than those of ``before``."""
    verdicts, flags, course = dict(before.verdicts), dict(before.flags), Course(before.episodes)
    for collection in timeline.collections():
        weighed = weigh(collection, timeline.facts, rulebook)
        raised = _flags(collection, weighed, rulebook)
        for held, verdict in weighed:
            verdicts[held.key] = verdict
        for flag in raised:
            flags[flag.subject, flag.finding] = flag
        if raised or course.has_open:
            absent = _absent(weighed) if course.has_open else ()
            course.passes(collection.at, absent=absent, raised=raised)
    return new_judgement(verdicts=verdicts, flags=flags, episodes=course.episodes())


def weigh(collection: Collection, facts: Facts, rulebook: Rulebook) -> Weighed:
    """The verdicts on one collection, where one analyte may decide a finding for the others."""
    alone = _alone(collection, facts, rulebook)
    findings = [verdict.finding for _, verdict in alone if verdict.finding is not None]
    if len(findings) > len(set(findings)):
        telling = _telling(alone)
        alone = [(held, _give_way(held, verdict, telling, rulebook=rulebook)) for held, verdict in alone]
    shown = beside(collection, rulebook)
    return [(held, _in_context(verdict, shown.get(held.key))) for held, verdict in alone] if shown else alone


def _alone(collection: Collection, facts: Facts, rulebook: Rulebook) -> Weighed:
    on, said, kind = collection.at.astimezone(UTC).date(), None, None
    alone = []
    for held in collection.results:
        # Nearly all messages of a collection say the same of the person.
        says = held.pregnant, held.trimester, held.age_years
        if kind is None or says != said:
            said, kind = says, kind_of(held, facts, on=on, rulebook=rulebook)
        alone.append((held, appraise(held, kind, rulebook)))
    return alone


def _telling(alone: Weighed) -> Mapping[Finding, set[str]]:
    """The analytes of which a result can tell whether a finding stands, by finding."""
    telling: dict[Finding, set[str]] = {}
    for held, verdict in alone:
        if verdict.finding is not None and verdict.standing is not _UNKNOWN and held.analyte is not None:
            telling.setdefault(verdict.finding, set()).add(held.analyte)
    return telling


def _give_way(held: Held, verdict: Verdict, telling: Mapping[Finding, set[str]], *, rulebook: Rulebook) -> Verdict:
    """The verdict, or that another analyte decides: ionized calcium before corrected before total."""
    if verdict.standing is _UNKNOWN or verdict.finding is None or held.analyte is None:
        return verdict
    ruleset, finding = rulebook.rulesets[held.ruleset], verdict.finding
    first = min(telling[finding], key=lambda analyte: ruleset.rank(finding, analyte))
    if ruleset.rank(finding, first) >= ruleset.rank(finding, held.analyte):
        return verdict
    why = f"{first} of the same collection decides on {finding}; on its own: {verdict.why}"
    return not_judged(held, Reason.PRECEDENCE, why)


def _in_context(verdict: Verdict, shown: Mapping[str, object] | None) -> Verdict:
    return verdict if shown is None else replace(verdict, context=shown)


def _absent(weighed: Weighed) -> set[Finding]:
    """The findings that the collection says do not stand: some result says so, and none raises it."""
    told = [(verdict.finding, verdict.standing) for _, verdict in weighed if verdict.finding is not None]
    absent = {finding for finding, standing in told if standing is _ABSENT}
    return absent.difference(finding for finding, standing in told if standing is _RAISED) if absent else absent


def _flags(collection: Collection, weighed: Weighed, rulebook: Rulebook) -> Flags:
    flags = [_flag(held, verdict) for held, verdict in weighed if verdict.standing is _RAISED]
    return (*flags, *_pattern_flag(collection, flags, _newest(flags, rulebook))) if flags else ()


def _newest(flags: list[Flag], rulebook: Rulebook) -> RuleSet:
    """The newest of the rule sets by which the flags were raised."""
    judges = [rulebook.rulesets[flag.ruleset] for flag in flags]
    return judges[0] if len(judges) == 1 else max(judges, key=lambda ruleset: (ruleset.published, ruleset.version))


def _flag(held: Held, verdict: Verdict) -> Flag:
    if verdict.finding is None or verdict.severity is None or verdict.explanation is None:
        raise ValueError("a raised verdict names its finding, severity and explanation")
    return new_flag(
        subject=held.key,
        finding=verdict.finding,
        severity=verdict.severity,
        analyte=held.analyte,
        grade=verdict.grade,
        classification=verdict.classification,
        direction=verdict.direction,
        at_least=verdict.at_least,
        provisional=verdict.provisional,
        collected_at=held.collected_at,
        version=held.version,
        ruleset=held.ruleset,
        why=verdict.why,
        explanation=verdict.explanation,
        basis=(held.key,),
    )


def _pattern_flag(collection: Collection, flags: list[Flag], ruleset: RuleSet) -> Iterator[Flag]:
    pattern = ruleset.pattern
    if pattern is None or len(flags) < pattern.at_least:
        return
    said = _of_pattern(pattern, frozenset([flag.finding for flag in flags]), ruleset)
    if said is None:
        return
    yield new_flag(
        subject=f"collection:{collection.at.astimezone(UTC).isoformat()}",
        finding=pattern.finding,
        severity=pattern.severity,
        provisional=any(flag.provisional for flag in flags),
        collected_at=collection.at,
        version=0,
        ruleset=ruleset.version,
        why=said.why,
        explanation=said.explanation,
        basis=tuple([flag.subject for flag in flags]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What is said of findings that stand together, whoever has them."""

    why: str
    explanation: Mapping[str, object]


def _of_pattern(pattern: Pattern, findings: frozenset[Finding], ruleset: RuleSet) -> Together | None:
    """What is said of these findings, or None where the pattern does not stand."""
    memo, key = ruleset.memo, (pattern.key, findings)
    if key not in memo:
        memo[key] = _together(pattern, findings, ruleset) if pattern.stands(findings) else None
    together: Together | None = memo[key]
    return together


def _together(pattern: Pattern, findings: frozenset[Finding], ruleset: RuleSet) -> Together:
    named = [finding for finding in pattern.of if finding in findings]
    why = f"{', '.join(named[:-1])} and {named[-1]} stand in one collection"
    return Together(why=why, explanation=_pattern_explanation(pattern, named, ruleset))


def _pattern_explanation(pattern: Pattern, named: list[Finding], ruleset: RuleSet) -> dict[str, object]:
    return {
        "findings": [finding.value for finding in named],
        "rule": {
            "ruleset": ruleset.version,
            "checksum": ruleset.checksum,
            "rule": pattern.key,
            "rests_on": pattern.rests_on,
            "sources": [source_data(ruleset.sources[key]) for key in pattern.sources],
        },
        "severity": pattern.severity.value,
        "would_change": [f"fewer than {pattern.at_least} findings in the collection: no flag"],
    }
