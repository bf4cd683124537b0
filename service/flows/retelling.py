"""The intake of one patient, told again in memory: panel by panel, in the order in which they were kept.

    a panel ─► which versions count ─► judge from the earliest collection touched ─► diff ─► the kept names
    an act  ─► the episode that is open under its name

Law: pure, and by the functions by which intake judged and told. Names are never made up: a flag and an episode bear
those under which they were kept, and what bears none is said to be odd.
"""

from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from service.domain.changes import ChangeKind, Difference, diff
from service.domain.episodes import Episode, FlagKey
from service.domain.judge import Judgement, carry_on
from service.domain.rulesets import Rulebook
from service.domain.timeline import Facts, Held, Timeline, Version, current
from service.domain.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A version of a result that a panel brought."""

    version: Version
    held: Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A panel that was kept: when it came, what was known of the person after it, and what it brought."""

    panel: str
    at: datetime
    facts: Facts = field(repr=False)
    brought: Sequence[Brought] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """An episode that was acknowledged, by which act and when; or no longer, where ``acknowledged_by`` is None."""

    episode: str
    at: datetime
    acknowledged_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagThen:
    """What had become of a flag."""

    state: str
    episode: str | None
    changed_at: datetime
    superseded_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Under which names everything was kept.

    ``flags``: by the panel that raised them. ``opened``: the episode in which a flag was raised. ``resolved``: the
    episodes that were told to be resolved with a flag as their newest, by flag and time, in order.
    """

    flags: Mapping[str, Mapping[FlagKey, str]]
    opened: Mapping[str, str]
    resolved: Mapping[tuple[str, datetime], deque[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """The versions that count from now on, and the earliest collection that may be judged otherwise because of them."""

    counting: Sequence[Held]
    since: datetime


class _Course:
    """The judgement of one patient as results come: only what lies behind the earliest change is judged again."""

    def __init__(self, rulebook: Rulebook) -> None:
        self.versions: dict[str, dict[Version, Held]] = defaultdict(dict)
        self.counting: dict[str, Held] = {}
        self._rulebook, self._facts = rulebook, Facts()
        self._times: list[datetime] = []
        self._held: dict[datetime, dict[str, Held]] = {}
        # What each collection says for itself, with the episodes that it left open or ended.
        self._judged: dict[datetime, Judgement] = {}

    def meets(self, step: Step) -> _Turn | None:
        """What a panel changes; None where the judgement stays as it is."""
        for one in step.brought:
            self.versions[one.held.key][one.version] = one.held
        found = [self.versions[key][current(self.versions[key])] for key in {one.held.key for one in step.brought}]
        changed = [held for held in found if self.counting.get(held.key) is not held]
        times = [held.collected_at for held in changed]
        times += [self.counting[held.key].collected_at for held in changed if held.key in self.counting]
        times += self._times[:1] if step.facts != self._facts else []
        self._facts = step.facts
        return _Turn(counting=changed, since=min(times)) if times else None

    def take(self, turn: _Turn) -> None:
        """Judge again what lies behind a turn."""
        for held in turn.counting:
            self._take_out(self.counting.get(held.key))
            self.counting[held.key] = held
            if held.collected_at not in self._held:
                insort(self._times, held.collected_at)
                self._held[held.collected_at] = {}
            self._held[held.collected_at][held.key] = held
        first = bisect_left(self._times, turn.since)
        before = self._judged[self._times[first - 1]].episodes if first else ()
        for at in self._times[first:]:
            timeline = Timeline(facts=self._facts, results=tuple(self._held[at].values()))
            still_open = tuple(one for one in before if one.open)
            self._judged[at] = carry_on(Judgement(episodes=still_open), timeline, self._rulebook)
            before = self._judged[at].episodes

    def _take_out(self, held: Held | None) -> None:
        if held is None:
            return
        collection = self._held[held.collected_at]
        del collection[held.key]
        if not collection:
            del self._held[held.collected_at], self._judged[held.collected_at]
            self._times.remove(held.collected_at)

    def times(self, since: datetime) -> Sequence[datetime]:
        """The times of the collections from one on."""
        return self._times[bisect_left(self._times, since) :]

    def since(self, moment: datetime) -> Judgement:
        """What is judged from a time on; an episode that ended before it is the same in any case, and left out."""
        judged = [self._judged[at] for at in self.times(moment)]
        ended = [one for each in judged for one in each.episodes if not one.open]
        still_open = [one for each in judged[-1:] for one in each.episodes if one.open]
        return Judgement(
            verdicts={key: verdict for each in judged for key, verdict in each.verdicts.items()},
            flags={key: flag for each in judged for key, flag in each.flags.items()},
            episodes=(*ended, *still_open),
        )

    def verdict(self, held: Held) -> Verdict:
        return self._judged[held.collected_at].verdicts[held.key]


class Retelling:
    """One patient while the panels are told again.

    ``flags``: what has become of each. ``standing``: the flags that stand. ``odd``: something came out otherwise than
    it was kept.
    """

    def __init__(self, rulebook: Rulebook, names: Names) -> None:
        self.flags: dict[str, FlagThen] = {}
        self.standing: dict[FlagKey, str] = {}
        self.odd = False
        self._names, self._course = names, _Course(rulebook)
        # The episodes by name: those that are open, and the others by the collection that ended them.
        self._open: tuple[Episode, ...] = ()
        self._ended: dict[datetime, tuple[Episode, ...]] = {}

    def counting(self) -> Iterator[tuple[Held, int, Verdict]]:
        """The version that counts of every result, how many there are of it, and its verdict."""
        for key, held in self._course.counting.items():
            yield held, len(self._course.versions[key]), self._course.verdict(held)

    def take(self, step: Step) -> None:
        """The next panel."""
        turn = self._course.meets(step)
        if turn is None:
            self._rename(_NOTHING, step)
            return
        before = replace(self._course.since(turn.since), episodes=self._taken_up(turn.since))
        self._course.take(turn)
        difference = diff(before, self._course.since(turn.since))
        self._rename(difference, step)
        self._lay_down(tuple(self._named(difference, step)), step.at)

    def acted(self, deed: Deed) -> None:
        """The next act."""
        self.odd = self.odd or all(one.id != deed.episode for one in self._open)
        self._open = tuple(
            replace(one, acknowledged_by=deed.acknowledged_by) if one.id == deed.episode else one for one in self._open
        )
        for one in self._open:
            self._place(one, deed.at)

    def _taken_up(self, since: datetime) -> tuple[Episode, ...]:
        """The episodes, by name, that may be others from a time on."""
        ended = [one for at in self._course.times(since) for one in self._ended.pop(at, ())]
        return (*ended, *self._open)

    def _lay_down(self, episodes: tuple[Episode, ...], at: datetime) -> None:
        for episode in episodes:
            self._place(episode, at)
            if episode.resolved_at is not None:
                self._ended[episode.resolved_at] = (*self._ended.get(episode.resolved_at, ()), episode)
        self._open = tuple(one for one in episodes if one.open)

    def _rename(self, difference: Difference, step: Step) -> None:
        """Which flags stand from now on, and under which names."""
        raised, born = self._names.flags.get(step.panel, {}), {flag.key for flag in difference.born}
        for flag, kind in difference.gone:
            self._end(flag.key, kind, by=raised.get(flag.key), at=step.at)
        for key, name in raised.items():
            if key in self.standing:
                # It comes out the same here, but was said in other words then, by an older program.
                self.flags[name] = replace(self.flags[self.standing[key]], changed_at=step.at)
                self._end(key, ChangeKind.SUPERSEDED, by=name, at=step.at)
            elif key not in born:
                self.odd = True
                continue
            self.standing[key] = name
        self.odd = self.odd or not born <= raised.keys()

    def _end(self, key: FlagKey, kind: ChangeKind, *, by: str | None, at: datetime) -> None:
        name = self.standing.pop(key, None)
        if name is not None:
            self.flags[name] = replace(self.flags[name], state=kind.value, superseded_by=by, changed_at=at)

    def _named(self, difference: Difference, step: Step) -> Iterator[Episode]:
        """The episodes; those that are new with the names under which they were kept."""
        resolved = {
            change.episode.flags: self._resolved(change.episode, step.at)
            for change in difference.changes
            if change.kind is ChangeKind.RESOLVED and change.episode is not None
        }
        for episode in difference.episodes:
            name = episode.id or self._opened(episode, step.panel) or resolved.get(episode.flags)
            self.odd = self.odd or name is None
            yield replace(episode, id=name)

    def _resolved(self, episode: Episode, at: datetime) -> str | None:
        last = self.standing.get(episode.flags[-1], "")
        waiting = self._names.resolved.get((last, at))
        return waiting.popleft() if waiting else None

    def _opened(self, episode: Episode, panel: str) -> str | None:
        raised = self._names.flags.get(panel, {})
        names = (self._names.opened.get(raised[key]) for key in episode.flags if key in raised)
        return next((name for name in names if name is not None), None)

    def _place(self, episode: Episode, at: datetime) -> None:
        """Flags belong to their episode, and are open, acknowledged or resolved with it."""
        place = (episode.flag_state, episode.id)
        for name in (self.standing[key] for key in episode.flags if key in self.standing):
            then = self.flags.get(name)
            if then is None or (then.state, then.episode) != place:
                self.flags[name] = FlagThen(state=episode.flag_state, episode=episode.id, changed_at=at)


_NOTHING = Difference(changes=(), episodes=(), ended=(), born=(), gone=())
