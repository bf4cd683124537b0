"""Keeping a difference: flags, episodes and events, in the order in which the constraints allow it.

Law: what ends is written before what begins, and every change written here has its event in the same transaction.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from service.domain.changes import Change, ChangeKind, Difference
from service.domain.episodes import Episode, EpisodeState, Flag, FlagKey
from service.domain.events import Event
from service.domain.judge import Judgement
from service.domain.timeline import Held
from service.domain.verdicts import Reason
from service.flows.means import Means
from service.storage import judgements, outbox
from service.storage.ids import new_id
from service.storage.judgements import NewFlag
from service.storage.writes import Writes

# That a result could not be judged is told by this name; it is of no episode.
NOT_EVALUABLE = "lab.result.not_evaluable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A change as it is told: names only."""

    type: str
    finding: str
    severity: str
    flag: str | None
    episode: str | None
    by: str | None = None
    late: bool = False
    collected_at: datetime | None = field(default=None, repr=False)
    episode_state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A difference in which every new flag and episode has its name."""

    before: Judgement
    changes: tuple[Change, ...]
    episodes: tuple[Episode, ...]
    new_episodes: frozenset[str]
    ended: tuple[Episode, ...]
    born: tuple[Flag, ...]
    gone: tuple[tuple[Flag, ChangeKind], ...]
    flag_ids: Mapping[FlagKey, str] = field(repr=False)

    def episode_of(self, key: FlagKey) -> Episode:
        """The episode of a flag, the new one before the former one."""
        return next(one for one in (*self.episodes, *self.ended, *self.before.episodes) if key in one.flags)


def name(difference: Difference, before: Judgement) -> Named:
    """Give names to what is new, and to every episode the name of its newest flag."""
    born = tuple(replace(flag, id=new_id("flg")) for flag in difference.born)
    ids = {key: flag.id or "" for key, flag in before.flags.items()} | {flag.key: flag.id or "" for flag in born}
    fresh = {id(one): new_id("eps") for one in difference.episodes if one.id is None}
    return Named(
        before=before,
        changes=difference.changes,
        episodes=tuple(_named(one, fresh.get(id(one)), ids) for one in difference.episodes),
        new_episodes=frozenset(fresh.values()),
        ended=difference.ended,
        born=born,
        gone=difference.gone,
        flag_ids=ids,
    )


def _named(episode: Episode, fresh: str | None, ids: Mapping[FlagKey, str]) -> Episode:
    last = episode.last_flag or ids[episode.flags[-1]]
    if fresh is None and last == episode.last_flag:
        return episode
    return replace(episode, id=fresh or episode.id, last_flag=last)


def told(named: Named) -> tuple[Told, ...]:
    """The changes by name, as they are answered and put into the outbox."""
    return tuple(_told(change, named) for change in named.changes)


def _told(change: Change, named: Named) -> Told:
    if change.flag is None:
        return _told_of_episode(change, named)
    taken_back = change.kind in (ChangeKind.WITHDRAWN, ChangeKind.SUPERSEDED)
    episode = named.episode_of(change.flag.key)
    return Told(
        type=f"lab.flag.{change.kind}",
        finding=str(change.flag.finding),
        severity=str(change.flag.severity),
        flag=change.flag.id if taken_back else named.flag_ids[change.flag.key],
        episode=episode.id,
        by=named.flag_ids[change.by.key] if change.by else None,
        late=change.late,
        collected_at=change.flag.collected_at,
        episode_state=str(episode.state),
    )


def _told_of_episode(change: Change, named: Named) -> Told:
    if change.episode is None:
        raise ValueError("a change is about a flag or an episode")
    wanted = change.episode
    episode = next(one for one in named.episodes if (one.id == wanted.id if wanted.id else one.flags == wanted.flags))
    return Told(
        type=f"lab.flag.{change.kind}",
        finding=str(episode.finding),
        severity=str(episode.level),
        flag=episode.last_flag,
        episode=episode.id,
        collected_at=episode.last_at,
        episode_state=str(episode.state),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """On what occasion something is kept: which patient, by which panel of which source, and when.

    ``test`` or ``quiet``: the events are marked, so that nobody is told of them.
    """

    patient: str
    panel: str
    source: str
    now: datetime
    test: bool = False
    quiet: bool = False

    def marked(self, data: dict[str, Any]) -> dict[str, Any]:
        """The data of an event on this occasion."""
        marks = {name: True for name in ("test", "quiet") if getattr(self, name)}
        return data | {"source": self.source} | marks


def keep(writes: Writes, named: Named, on: Occasion, *, means: Means) -> None:
    """Keep everything of a named difference, with the events that tell it."""
    for flag, kind in named.gone:
        by = named.flag_ids.get(flag.key)
        judgements.retire_flag(
            writes,
            on.patient,
            flag.id or "",
            state=kind.value,
            by=None if by == flag.id else by,
            now=on.now,
        )
    _keep_episodes(writes, named, on)
    _keep_flags(writes, named, on, means=means)
    outbox.keep(writes, [_event(one, on) for one in told(named)])


def _keep_episodes(writes: Writes, named: Named, on: Occasion) -> None:
    former = {one.id: one for one in named.before.episodes}
    kept = [one for one in named.episodes if one.id not in named.new_episodes]
    changed = [one for one in kept if _is_another(one, former[one.id], named)]
    new = [one for one in named.episodes if one.id in named.new_episodes]
    judgements.keep_episodes(writes, on.patient, changed=[*named.ended, *changed], new=new, now=on.now)
    for one in named.ended:
        if one.state is EpisodeState.MERGED:
            into = next(other for other in named.episodes if not set(one.flags).isdisjoint(other.flags))
            judgements.merged(writes, on.patient, one.id or "", into=into.id or "")


def _is_another(episode: Episode, former: Episode, named: Named) -> bool:
    """Has anything of it changed? A flag that replaces another leaves nearly everything else as it was."""
    if episode != former or episode.attended != former.attended:
        return True
    return any(flag.key in episode.flags for flag in named.born)


def _keep_flags(writes: Writes, named: Named, on: Occasion, *, means: Means) -> None:
    notes = {flag.key: means.catalogue.note(flag.finding, flag.severity) for flag in named.born}
    new = {note.id: note for note in notes.values() if note.id not in means.kept_notes}
    judgements.keep_notes(writes, [note.as_data() for note in new.values()])
    judgements.keep_flags(
        writes,
        on.patient,
        [_new_flag(flag, named.episode_of(flag.key), on, note=notes[flag.key].id) for flag in named.born],
    )
    former = {one.id: one for one in named.before.episodes}
    for episode in named.episodes:
        _move_flags(writes, named, on, episode=episode, former=former.get(episode.id))


def _new_flag(flag: Flag, episode: Episode, on: Occasion, *, note: str) -> NewFlag:
    return NewFlag(
        flag=flag,
        state=episode.flag_state,
        episode=episode.id or "",
        panel=on.panel,
        source=on.source,
        note=note,
        raised_at=on.now,
    )


def _move_flags(writes: Writes, named: Named, on: Occasion, *, episode: Episode, former: Episode | None) -> None:
    """Flags that were kept before belong to this episode now, or are open, acknowledged or resolved with it now."""
    name_, state = episode.id or "", episode.flag_state
    if former is not None and former.flag_state != state:
        judgements.follow_episode(writes, on.patient, name_, state=state, now=on.now)
    joined = [named.flag_ids[key] for key in _joined(named, episode, former)]
    if joined:
        judgements.place_flags(writes, on.patient, joined, episode=name_, state=state, now=on.now)


def _joined(named: Named, episode: Episode, former: Episode | None) -> Iterator[FlagKey]:
    born = {flag.key for flag in named.born}
    own = set(former.flags) if former else set()
    return (key for key in episode.flags if key not in own and key not in born)


def _event(one: Told, on: Occasion) -> Event:
    names = ("finding", "severity", "flag", "episode", "episode_state", "by", "late")
    data = {name: getattr(one, name) for name in names}
    if one.collected_at is not None:
        data["collected_at"] = one.collected_at.isoformat()
    return Event(
        id=new_id("evt"),
        type=one.type,
        patient=on.patient,
        episode=one.episode or "",
        flag=one.flag,
        at=on.now,
        data=on.marked(data),
    )


def tell_of_lacking(writes: Writes, items: Iterable[tuple[Held, Reason]], on: Occasion) -> None:
    """Put out that results of known analytes could not be judged, for a reason that their sender can mend."""
    told = [_lacking(held, reason, on) for held, reason in items]
    outbox.keep(writes, told)


def _lacking(held: Held, reason: Reason, on: Occasion) -> Event:
    data = {
        "reason": str(reason),
        "analyte": held.analyte,
        "result": held.key,
        "panel": on.panel,
        "collected_at": held.collected_at.isoformat(),
    }
    return Event(id=new_id("evt"), type=NOT_EVALUABLE, patient=on.patient, at=on.now, data=on.marked(data))
