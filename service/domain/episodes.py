"""Flags, and the episodes they form: one open episode per patient and finding.

Law: an episode follows from the results alone. A flagged result opens or continues it, a clear one ends it, and one
that could not be judged changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from service.domain.rules import Direction, Finding, Severity

FlagKey = tuple[str, Finding]


class EpisodeState(StrEnum):
    """``withdrawn``: every flag in it was taken back. ``merged``: it goes on as part of another episode."""

    OPEN = "open"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"
    MERGED = "merged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A possible finding, raised by a result (or, for the pattern, by a collection).

    ``subject`` is the key of the result or the collection it is about; together with the finding it identifies the
    flag among those that stand. ``basis`` lists the results behind it. ``id`` is given when it is kept.
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
    version: int
    ruleset: str
    why: str = field(repr=False)
    explanation: Mapping[str, object] = field(repr=False)
    basis: tuple[str, ...] = ()
    id: str | None = field(default=None, compare=False)

    @property
    def key(self) -> FlagKey:
        return self.subject, self.finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A stretch of time in which a finding stands.

    ``level`` is the severity of its newest flag, ``peak`` the worst so far; times are times of collection. ``flags``
    are the keys of its flags, oldest first. ``id`` and ``last_flag`` are the names under which the episode and its
    newest flag are kept, where they are already.
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

    @property
    def open(self) -> bool:
        return self.state is EpisodeState.OPEN

    def joined_by(self, flags: tuple[Flag, ...]) -> "Episode":
        """The episode with the flags of a further collection."""
        level = worst(flags)
        return replace(
            self,
            level=level,
            peak=max(level, self.peak, key=lambda severity: severity.rank),
            last_at=flags[-1].collected_at,
            flags=(*self.flags, *(flag.key for flag in flags)),
            last_flag=None,
        )

    def ended(self, at: datetime) -> "Episode":
        """The episode, resolved by a collection."""
        return replace(self, state=EpisodeState.RESOLVED, resolved_at=at)


def opened_by(flags: tuple[Flag, ...]) -> Episode:
    """A new episode, opened by the flags of one collection."""
    level, at = worst(flags), flags[0].collected_at
    keys = tuple(flag.key for flag in flags)
    return Episode(finding=flags[0].finding, level=level, peak=level, opened_at=at, last_at=at, flags=keys)


def worst(flags: tuple[Flag, ...]) -> Severity:
    """The worst severity among flags."""
    return max((flag.severity for flag in flags), key=lambda severity: severity.rank)
