"""Results that a client looked up, judged as if they were all that there is; nothing of them is kept.

    panels ─► the current version of each result ─► judge ─► findings that stand, and what the newest results say

Law: the same results judged here and taken in are judged the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter

from service.domain.episodes import Episode
from service.domain.judge import Judgement, judge
from service.domain.panels import Panel, Result
from service.domain.rules import Finding, Standing
from service.domain.timeline import Facts, Held, Timeline, Version, current, new_held, new_version
from service.flows.arrivals import analyte_of
from service.flows.means import Means
from service.flows.source_maps import as_mapped
from service.formats.cds_hooks.advice import Found
from service.formats.cds_hooks.wording import analyte_words

SeenVersions = Mapping[str, Sequence[tuple[Version, Held]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """What one of the newest results of an analyte ended in; None for an analyte that nobody knows."""

    analyte: str | None
    at: datetime = field(repr=False)
    outcome: str
    reason: str | None
    why: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was found in results that were looked up.

    ``cleared``: when each finding was last seen not to stand. ``results``: how each of them ended.
    """

    found: Mapping[Finding, Found] = field(default_factory=dict, repr=False)
    cleared: Mapping[Finding, datetime] = field(default_factory=dict, repr=False)
    results: tuple[Newest, ...] = field(default=(), repr=False)


def look_at(panels: Sequence[Panel], facts: Facts, means: Means, *, source: str) -> Looked:
    """Judge panels of one patient by the rule set in force; ``source`` is the one whose map reads local codes.

    Raises ``Unavailable`` when that map is needed and cannot be read.
    """
    mapped = [as_mapped(panel, source, means) for panel in panels]
    held = tuple(_current(_versions(mapped, means)))
    judged = judge(Timeline(facts=facts, results=held), means.catalogue.rulebook)
    return Looked(
        found={one.finding: _found(one, judged, means) for one in judged.episodes if one.open},
        cleared=_cleared(held, judged),
        results=tuple(_ended(one, judged) for one in held),
    )


def _versions(panels: Iterable[Panel], means: Means) -> SeenVersions:
    """Every version of each result. One without an identity of its own is told from others by its place."""
    found: dict[str, list[tuple[Version, Held]]] = {}
    for panel in panels:
        for result in panel.results:
            key = result.sender_id or result.pointer
            seen = found.setdefault(key, [])
            version = new_version(number=len(seen) + 1, status=result.status, issued_at=panel.issued_at)
            seen.append((version, _held(panel, result, means, key=key, number=version.number)))
    return found


def _held(panel: Panel, result: Result, means: Means, *, key: str, number: int) -> Held:
    rulebook = means.catalogue.rulebook
    mapped = None if result.mapped is None else result.mapped.analyte
    return new_held(
        key=key,
        version=number,
        result=result,
        analyte=analyte_of(result, rulebook.analytes) or mapped,
        status=result.status,
        collected_at=panel.collected_at,
        pregnant=panel.pregnant,
        trimester=panel.trimester,
        age_years=panel.age_years,
        ruleset=rulebook.current,
    )


def _current(seen: SeenVersions) -> Iterator[Held]:
    for versions in seen.values():
        counts = current(version for version, _ in versions)
        yield next(held for version, held in versions if version is counts)


def _found(episode: Episode, judged: Judgement, means: Means) -> Found:
    """A finding that stands, told by the worst flag of its newest collection."""
    own = [judged.flags[key] for key in episode.flags]
    newest = [one for one in own if one.collected_at == episode.last_at]
    flag = max(newest, key=lambda one: one.severity.rank)
    verdict = judged.verdicts.get(flag.subject)
    return Found(
        finding=episode.finding,
        severity=flag.severity,
        peak=episode.peak,
        analyte=analyte_words(flag.analyte, means.catalogue.rulebook.analytes),
        at_least=flag.at_least,
        provisional=flag.provisional,
        grade=flag.grade,
        classification=flag.classification,
        ruleset=flag.ruleset,
        why=flag.why,
        explanation=flag.explanation,
        context=None if verdict is None else verdict.context,
        collected_at=flag.collected_at,
        opened_at=episode.opened_at,
    )


def _cleared(held: Sequence[Held], judged: Judgement) -> dict[Finding, datetime]:
    found: dict[Finding, datetime] = {}
    for one in sorted(held, key=attrgetter("collected_at")):
        verdict = judged.verdicts[one.key]
        if verdict.finding is not None and verdict.standing is Standing.ABSENT:
            found[verdict.finding] = one.collected_at
    return found


def _ended(held: Held, judged: Judgement) -> Newest:
    verdict = judged.verdicts[held.key]
    return Newest(
        analyte=held.analyte,
        at=held.collected_at,
        outcome=verdict.outcome.value,
        reason=None if verdict.reason is None else verdict.reason.value,
        why=verdict.why,
    )
