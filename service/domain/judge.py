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
from service.domain.episodes import Episode, Flag, FlagKey, opened_by
from service.domain.explain import source_data
from service.domain.rules import Finding, Pattern, Standing
from service.domain.rulesets import Rulebook, RuleSet
from service.domain.timeline import Collection, Facts, Held, Timeline
from service.domain.verdicts import Reason, Verdict

Weighed = tuple[tuple[Held, Verdict], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Verdicts by result, the flags that stand by key, and the episodes, oldest first."""

    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    flags: Mapping[FlagKey, Flag] = field(default_factory=dict)
    episodes: tuple[Episode, ...] = ()


NOTHING = Judgement()


def judge(timeline: Timeline, rulebook: Rulebook) -> Judgement:
    """The whole judgement of a patient, from the beginning."""
    return carry_on(NOTHING, timeline, rulebook)


def carry_on(before: Judgement, timeline: Timeline, rulebook: Rulebook) -> Judgement:
    """The judgement after the collections of ``timeline``, all of which must be newer than those of ``before``."""
    verdicts, flags, episodes = dict(before.verdicts), dict(before.flags), list(before.episodes)
    for collection in timeline.collections():
        weighed = weigh(collection, timeline.facts, rulebook)
        raised = tuple(_flags(collection, weighed, rulebook))
        verdicts.update((held.key, verdict) for held, verdict in weighed)
        flags.update((flag.key, flag) for flag in raised)
        episodes = _carry(episodes, collection, standings=_standings(weighed), raised=raised)
    return Judgement(verdicts=verdicts, flags=flags, episodes=tuple(episodes))


def weigh(collection: Collection, facts: Facts, rulebook: Rulebook) -> Weighed:
    """The verdicts on one collection, where one analyte may decide a finding for the others."""
    alone = tuple((held, appraise(held, facts, rulebook)) for held in collection.results)
    decided = tuple((held, _give_way(held, verdict, alone=alone, rulebook=rulebook)) for held, verdict in alone)
    return tuple((held, _in_context(verdict, beside(held, collection, rulebook))) for held, verdict in decided)


def _give_way(held: Held, verdict: Verdict, *, alone: Weighed, rulebook: Rulebook) -> Verdict:
    """The verdict, or that another analyte decides: ionized calcium before corrected before total."""
    if verdict.standing is Standing.UNKNOWN or verdict.finding is None or held.analyte is None:
        return verdict
    ruleset, finding = rulebook.rulesets[held.ruleset], verdict.finding
    present = _that_tell_of(finding, alone)
    first = min(present, key=lambda analyte: ruleset.rank(finding, analyte))
    if ruleset.rank(finding, first) >= ruleset.rank(finding, held.analyte):
        return verdict
    why = f"{first} of the same collection decides on {finding}; on its own: {verdict.why}"
    return not_judged(held, Reason.PRECEDENCE, why)


def _that_tell_of(finding: Finding, alone: Weighed) -> list[str]:
    """The analytes of which a result can tell whether the finding stands."""
    return [
        held.analyte
        for held, verdict in alone
        if verdict.finding is finding and verdict.standing is not Standing.UNKNOWN and held.analyte is not None
    ]


def _in_context(verdict: Verdict, shown: Mapping[str, object] | None) -> Verdict:
    return verdict if shown is None else replace(verdict, context=shown)


def _standings(weighed: Weighed) -> Mapping[Finding, Standing]:
    """What the collection says of each finding: raised if any result raises it, else absent if any says so."""
    told = [(verdict.finding, verdict.standing) for _, verdict in weighed if verdict.finding]
    absent = {finding: standing for finding, standing in told if standing is Standing.ABSENT}
    raised = {finding: standing for finding, standing in told if standing is Standing.RAISED}
    return {**absent, **raised}


def _flags(collection: Collection, weighed: Weighed, rulebook: Rulebook) -> Iterator[Flag]:
    raised = [(held, verdict) for held, verdict in weighed if verdict.standing is Standing.RAISED]
    flags = [_flag(held, verdict) for held, verdict in raised]
    yield from flags
    if flags:
        judges = (rulebook.rulesets[flag.ruleset] for flag in flags)
        newest = max(judges, key=lambda ruleset: (ruleset.published, ruleset.version))
        yield from _pattern_flag(collection, flags, newest)


def _flag(held: Held, verdict: Verdict) -> Flag:
    if verdict.finding is None or verdict.severity is None or verdict.explanation is None:
        raise ValueError("a raised verdict names its finding, severity and explanation")
    return Flag(
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
    findings = frozenset(flag.finding for flag in flags)
    if pattern is None or not pattern.stands(findings):
        return
    named = [finding for finding in pattern.of if finding in findings]
    yield Flag(
        subject=f"collection:{collection.at.astimezone(UTC).isoformat()}",
        finding=pattern.finding,
        severity=pattern.severity,
        provisional=any(flag.provisional for flag in flags),
        collected_at=collection.at,
        version=0,
        ruleset=ruleset.version,
        why=f"{', '.join(named[:-1])} and {named[-1]} stand in one collection",
        explanation=_pattern_explanation(pattern, named, ruleset),
        basis=tuple(flag.subject for flag in flags),
    )


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


def _carry(
    episodes: list[Episode], collection: Collection, *, standings: Mapping[Finding, Standing], raised: tuple[Flag, ...]
) -> list[Episode]:
    """The episodes after one more collection."""
    carried = [_ended(episode, collection, standings) for episode in episodes]
    for finding in dict.fromkeys(flag.finding for flag in raised):
        flags = tuple(flag for flag in raised if flag.finding is finding)
        at = next((index for index, one in enumerate(carried) if one.open and one.finding is finding), None)
        if at is None:
            carried.append(opened_by(flags))
        else:
            carried[at] = carried[at].joined_by(flags)
    return _end_pattern(carried, collection)


def _ended(episode: Episode, collection: Collection, standings: Mapping[Finding, Standing]) -> Episode:
    over = episode.open and standings.get(episode.finding) is Standing.ABSENT
    return episode.ended(collection.at) if over else episode


def _end_pattern(episodes: list[Episode], collection: Collection) -> list[Episode]:
    """The pattern lasts while at least two of its findings have an open episode."""
    lasting = sum(episode.open and episode.finding is not Finding.PATTERN for episode in episodes)
    if lasting >= 2:
        return episodes
    return [
        episode.ended(collection.at) if episode.open and episode.finding is Finding.PATTERN else episode
        for episode in episodes
    ]
