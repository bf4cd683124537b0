"""The difference between two judgements of one patient: what there is to tell.

Law: nothing is said twice, and nothing that was told is taken back in silence.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from typing import Any

from service.domain.drafts import drafted
from service.domain.episodes import Episode, EpisodeState, Flag, FlagKey, worst
from service.domain.judge import Judgement
from service.domain.rules import Severity


class ChangeKind(StrEnum):
    """What happened, as the last word of the event's name (``lab.flag.raised``)."""

    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    RAISED = "raised"
    ESCALATED = "escalated"
    IMPROVED = "improved"
    REPEATED = "repeated"
    REOPENED = "reopened"
    RESOLVED = "resolved"
    UNACKNOWLEDGED = "unacknowledged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing to tell. ``flag`` is the flag it is about, if it is about one; ``by`` is the flag that replaces it.

    ``late``: the flag was found in a result older than the newest one of its episode.
    """

    kind: ChangeKind
    flag: Flag | None = None
    by: Flag | None = None
    episode: Episode | None = None
    late: bool = False


new_change = drafted(Change)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Everything that has to be kept and told to go from one judgement to another.

    ``episodes``: those of the new judgement, each with the ``id`` of the former episode it carries on, if any.
    ``ended``: former episodes that are no more. ``gone``: former flags that no longer stand, with their new state.
    """

    changes: tuple[Change, ...]
    episodes: tuple[Episode, ...]
    ended: tuple[Episode, ...]
    born: tuple[Flag, ...]
    gone: tuple[tuple[Flag, ChangeKind], ...]


def diff(before: Judgement, after: Judgement) -> Difference:
    """What is new, worse, better, superseded, withdrawn, resolved or open again.

    ``before`` holds the flags that stand and the episodes as they are kept. An episode carries on the newest former
    one with which it shares a flagged result. What people did about that one holds of it as well, unless it got worse
    or ended.
    """
    pairs, left = _pair(before.episodes, after.episodes)
    gone = tuple(_gone(before, after))
    born = tuple(flag for key, flag in after.flags.items() if before.flags.get(key) != flag)
    was_open = {key: one.open for one in before.episodes for key in one.flags}
    told = [_told(episode, former, before, after=after, was_open=was_open) for episode, former in pairs]
    return Difference(
        changes=(*_taken_back(gone, born), *(change for _, changes in told for change in changes)),
        episodes=tuple([episode for episode, _ in told]),
        ended=tuple(_ended(former, after) for former in left),
        born=born,
        gone=gone,
    )


_Pair = tuple[Episode, Episode | None]


def _pair(before: tuple[Episode, ...], after: tuple[Episode, ...]) -> tuple[tuple[_Pair, ...], tuple[Episode, ...]]:
    """Each episode with the former one that it carries on, and the former ones that none carries on.

    From the newest back, so that the open one stays itself.
    """
    left = dict(enumerate(before))
    named, flagged = _places(before) if before else ({}, {})
    pairs: list[_Pair] = []
    for episode in reversed(after):
        places = named.get(episode.id, ()) if episode.id is not None else _of_flags(episode, flagged)
        at = max((place for place in places if place in left), default=None)
        pairs.append((episode, None if at is None else left.pop(at)))
    return tuple(reversed(pairs)), tuple(left.values())


_Places = Mapping[Any, list[int]]


def _places(before: tuple[Episode, ...]) -> tuple[_Places, _Places]:
    """Where the former episodes stand, by their names, and by finding and flag."""
    named: dict[Any, list[int]] = defaultdict(list)
    flagged: dict[Any, list[int]] = defaultdict(list)
    for place, former in enumerate(before):
        named[former.id].append(place)
        for key in former.flags:
            flagged[former.finding, key].append(place)
    return named, flagged


def _of_flags(episode: Episode, flagged: _Places) -> Iterator[int]:
    return (place for key in episode.flags for place in flagged.get((episode.finding, key), ()))


def _carrying(episode: Episode, former: Episode | None) -> Episode:
    return episode if former is None or former.id == episode.id else replace(episode, id=former.id)


def _attended(episode: Episode, former: Episode | None, *, graver: bool) -> Episode:
    """The episode with what people did about the former one, as far as that still holds."""
    acts = (None, None) if former is None or graver or not episode.open else former.attended
    return episode if acts == episode.attended else replace(episode, acknowledged_by=acts[0], snoozed_by=acts[1])


def _ended(former: Episode, after: Judgement) -> Episode:
    lives_on = any(key in after.flags for key in former.flags)
    state = EpisodeState.MERGED if lives_on else EpisodeState.WITHDRAWN
    return replace(former, state=state, acknowledged_by=None, snoozed_by=None)


def _gone(before: Judgement, after: Judgement) -> Iterator[tuple[Flag, ChangeKind]]:
    for key, flag in before.flags.items():
        if after.flags.get(key) != flag:
            withdrawn = key not in after.flags and any(_withdrawn(after, result) for result in flag.basis)
            yield flag, ChangeKind.WITHDRAWN if withdrawn else ChangeKind.SUPERSEDED


def _withdrawn(after: Judgement, result: str) -> bool:
    verdict = after.verdicts.get(result)
    return verdict is not None and verdict.reason is not None and verdict.reason.withdrawn


def _taken_back(gone: tuple[tuple[Flag, ChangeKind], ...], born: tuple[Flag, ...]) -> Iterator[Change]:
    replacing: Mapping[FlagKey, Flag] = {flag.key: flag for flag in born}
    for flag, kind in gone:
        yield new_change(kind=kind, flag=flag, by=replacing.get(flag.key))


def _told(
    episode: Episode,
    former: Episode | None,
    before: Judgement,
    *,
    after: Judgement,
    was_open: Mapping[FlagKey, bool],
) -> tuple[Episode, list[Change]]:
    """An episode as it goes on, and what there is to tell of it."""
    carried = _carrying(episode, former)
    changes = [birth for birth in _births(carried, former, after.flags) if _tells(birth, before)]
    escalated = any(one.kind is ChangeKind.ESCALATED for one in changes)
    if not escalated and _rises_again(carried, former):
        changes.append(new_change(kind=ChangeKind.ESCALATED, episode=carried))
        escalated = True
    turned = _turned(carried, former, was_open, flags=after.flags)
    reopened = turned is not None and carried.open
    graver = escalated or reopened or (former is not None and carried.worse_than(former))
    carried = _attended(carried, former, graver=graver)
    if turned is not None:
        changes.append(replace(turned, episode=carried))
    loses = former is not None and former.acknowledged and carried.open and not carried.acknowledged
    if loses and not escalated and not reopened:
        changes.append(new_change(kind=ChangeKind.UNACKNOWLEDGED, episode=carried))
    return carried, changes


def _turned(
    episode: Episode, former: Episode | None, was_open: Mapping[FlagKey, bool], *, flags: Mapping[FlagKey, Flag]
) -> Change | None:
    """That an episode is over, or open again; or that flags are so, because they went over to this one.

    Of the latter, whoever was told of them may never have been told of this episode: the gravest of them is named.
    """
    if not episode.open:
        over = former is None or former.open or any(was_open.get(key) for key in episode.flags)
        return new_change(kind=ChangeKind.RESOLVED, episode=episode) if over else None
    if former is not None and not former.open:
        return new_change(kind=ChangeKind.REOPENED, episode=episode)
    again = [flags[key] for key in episode.flags if key in flags and was_open.get(key) is False]
    if not again:
        return None
    gravest = max(again, key=lambda flag: flag.severity.rank)
    late = gravest.collected_at < episode.last_at
    return new_change(kind=ChangeKind.REOPENED, flag=gravest, episode=episode, late=late)


def _rises_again(episode: Episode, former: Episode | None) -> bool:
    """Is it graver again without a new flag, because what was better has been taken back?"""
    both_open = former is not None and former.open and episode.open
    return former is not None and both_open and episode.level.rank > former.level.rank


def _tells(birth: Change, before: Judgement) -> bool:
    """Is it news? A flag that replaces another has been told with it, unless the finding became worse."""
    if birth.flag is None:
        return False
    old = before.flags.get(birth.flag.key)
    if old is None:
        return True
    return birth.kind is ChangeKind.ESCALATED and birth.flag.severity.rank > old.severity.rank


def _births(episode: Episode, former: Episode | None, flags: Mapping[FlagKey, Flag]) -> Iterator[Change]:
    """What each flag of an episode would tell, had it come now. The flags of one collection are weighed together.

    A late flag is measured against the worst that was known, any other against the collection before it.
    """
    level = None if former is None else former.level
    known = (flags[key] for key in episode.flags if key in flags)
    for at, group in groupby(known, key=lambda flag: flag.collected_at):
        collected = tuple(group)
        late = former is not None and at < former.last_at
        reference = former.peak if former is not None and late else level
        for flag, kind in _kinds(collected, reference, late=late):
            yield new_change(kind=kind, flag=flag, episode=episode, late=late)
        level = level if late else worst(collected)


def _kinds(collected: tuple[Flag, ...], reference: Severity | None, *, late: bool) -> Iterator[tuple[Flag, ChangeKind]]:
    better = reference is not None and not late and worst(collected).rank < reference.rank
    for flag in collected:
        if reference is None:
            yield flag, ChangeKind.RAISED
        elif flag.severity.rank > reference.rank:
            yield flag, ChangeKind.ESCALATED
        else:
            yield flag, ChangeKind.IMPROVED if better else ChangeKind.REPEATED
        reference = flag.severity if reference is None else max(reference, flag.severity, key=lambda one: one.rank)
