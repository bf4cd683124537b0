"""Flags, and the episodes they form: one open episode per patient and finding.

Law: an episode follows from the results alone. A flagged result opens or continues it, a clear one ends it, and one
that could not be judged changes nothing. What people did about it is carried along, and decides nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from operator import attrgetter

from service.domain.drafts import drafted
from service.domain.rules import Direction, Finding, Severity

FlagKey = tuple[str, Finding]


class EpisodeState(StrEnum):
    """``withdrawn``: every flag in it was taken back. ``merged``: it goes on as part of another episode."""

    OPEN = "open"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"
    MERGED = "merged"


# How the flags of an open episode are once somebody has acknowledged it.
ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A possible finding, raised by a result (or, for the pattern, by a collection).

    ``subject`` is the key of the result or the collection it is about; together with the finding it identifies the
    flag among those that stand. ``basis`` lists the results behind it. ``id`` is given when it is kept. ``version`` is
    that of the result which raised it: another version that says the same leaves the flag as it is.
    """

    subject: str
    finding: Finding
    severity: Severity
    analyte: str | None = None
    grade: str | None = None
    classification: str | None = None
    direction: Direction | None = None
    at_least: bool = False
    provisional: bool = False
    collected_at: datetime = field(repr=False)
    version: int = field(compare=False)
    ruleset: str
    why: str = field(repr=False)
    explanation: Mapping[str, object] = field(repr=False)
    basis: tuple[str, ...] = ()
    id: str | None = field(default=None, compare=False)

    @property
    def key(self) -> FlagKey:
        return self.subject, self.finding


Flags = tuple[Flag, ...]
new_flag = drafted(Flag)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A stretch of time in which a finding stands.

    ``level`` is the severity of its newest flag, ``peak`` the worst so far; times are times of collection. ``flags``
    are the keys of its flags, oldest first. ``id`` and ``last_flag`` are the names under which the episode and its
    newest flag are kept, where they are already. ``acknowledged_by`` and ``snoozed_by`` name the acts that hold of it:
    none of an episode that is not open.
    """

    finding: Finding
    state: EpisodeState = EpisodeState.OPEN
    level: Severity
    peak: Severity
    opened_at: datetime = field(repr=False)
    last_at: datetime = field(repr=False)
    resolved_at: datetime | None = field(default=None, repr=False)
    flags: tuple[FlagKey, ...]
    id: str | None = field(default=None, compare=False)
    last_flag: str | None = field(default=None, compare=False)
    acknowledged_by: str | None = field(default=None, compare=False)
    snoozed_by: str | None = field(default=None, compare=False)

    @property
    def open(self) -> bool:
        return self.state is EpisodeState.OPEN

    @property
    def acknowledged(self) -> bool:
        return self.acknowledged_by is not None

    @property
    def attended(self) -> tuple[str | None, str | None]:
        """The acts that hold of it."""
        return self.acknowledged_by, self.snoozed_by

    @property
    def flag_state(self) -> str:
        """How the standing flags of the episode are."""
        return ACKNOWLEDGED if self.acknowledged_by is not None else self.state.value

    def worse_than(self, former: "Episode") -> bool:
        """Is it graver than it was, as it stands now or at its worst?"""
        return self.level.rank > former.level.rank or self.peak.rank > former.peak.rank

    def joined_by(self, further: Sequence[Flags]) -> "Episode":
        """The episode with the flags of further collections, one or more, the oldest first."""
        levels = [worst(flags) for flags in further]
        return replace(
            self,
            level=levels[-1],
            peak=max(*levels, self.peak, key=_RANK),
            last_at=further[-1][-1].collected_at,
            flags=(*self.flags, *(flag.key for flags in further for flag in flags)),
            last_flag=None,
        )

    def ended(self, at: datetime) -> "Episode":
        """The episode, resolved by a collection."""
        return replace(self, state=EpisodeState.RESOLVED, resolved_at=at, acknowledged_by=None, snoozed_by=None)


new_episode = drafted(Episode)


def opened_by(flags: Flags) -> Episode:
    """A new episode, opened by the flags of one collection."""
    level, at = worst(flags), flags[0].collected_at
    keys = tuple([(flag.subject, flag.finding) for flag in flags])
    return new_episode(finding=flags[0].finding, level=level, peak=level, opened_at=at, last_at=at, flags=keys)


def worst(flags: Flags) -> Severity:
    """The worst severity among flags."""
    return flags[0].severity if len(flags) == 1 else max((flag.severity for flag in flags), key=_RANK)


_RANK = attrgetter("rank")


class Course:
    """The episodes of one patient while the collections pass by, from the oldest to the newest.

    An episode that goes on is written anew once in the end, not with every flag: it may have thousands of them.
    """

    __slots__ = ("_episodes", "_joining", "_open")

    def __init__(self, before: tuple[Episode, ...]) -> None:
        self._episodes = [*before]
        self._open = {one.finding: place for place, one in enumerate(self._episodes) if one.open}
        self._joining: dict[Finding, list[Flags]] = {}

    @property
    def has_open(self) -> bool:
        return bool(self._open)

    def passes(self, at: datetime, *, absent: Iterable[Finding], raised: Flags) -> None:
        """One more collection, which raised these flags and in which these findings are absent."""
        for finding in absent:
            self._end(finding, at)
        if raised:
            self._raise(raised)
        # The pattern lasts while at least two of its findings have an open episode.
        if len(self._open) < 3:
            self._end(_PATTERN, at)

    def _raise(self, raised: Flags) -> None:
        for finding, flags in _by_finding(raised):
            if finding in self._open:
                self._joining.setdefault(finding, []).append(flags)
            else:
                self._open[finding] = len(self._episodes)
                self._episodes.append(opened_by(flags))

    def _end(self, finding: Finding, at: datetime) -> None:
        if finding in self._open:
            place = self._settle(finding)
            self._episodes[place] = self._episodes[place].ended(at)
            del self._open[finding]

    def _settle(self, finding: Finding) -> int:
        """Write down what has joined an open episode; answers its place."""
        place, joining = self._open[finding], self._joining.pop(finding, None)
        if joining:
            self._episodes[place] = self._episodes[place].joined_by(joining)
        return place

    def episodes(self) -> tuple[Episode, ...]:
        """All of them, in the order in which they were opened."""
        for finding in tuple(self._joining):
            self._settle(finding)
        return tuple(self._episodes)


def _by_finding(raised: Flags) -> Iterable[tuple[Finding, Flags]]:
    if len(raised) == 1:
        return ((raised[0].finding, raised),)
    groups: dict[Finding, list[Flag]] = {}
    for flag in raised:
        groups.setdefault(flag.finding, []).append(flag)
    return ((finding, tuple(flags)) for finding, flags in groups.items())


_PATTERN = Finding.PATTERN
