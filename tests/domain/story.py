"""Stories of one patient, step by step: what is kept, what comes, what there is to tell.

A man of 40 years: hemoglobin 14 is clear, 12 mild, 9 moderate, 7.5 severe, 6 critical. Days count from the first story.

Law: helpers only; each story stands in a test of its own.
"""

from dataclasses import dataclass, replace

from service.domain.changes import Difference, diff
from service.domain.episodes import Episode
from service.domain.judge import Judgement, judge
from service.domain.panels import Status
from service.domain.people import Sex
from service.domain.timeline import Facts, Held, Timeline
from tests.domain.build import BOOK, born_at, held, kept

MAN = Facts(sex=Sex.MALE, born=born_at(40, "y"))


def hb(day: int, value: str, status: Status = Status.FINAL, *, key: str | None = None, version: int = 1) -> Held:
    return held("hemoglobin", value, "g/dL", day=day, status=status, key=key or f"hb{day}", version=version)


def again(one: Held, value: str, status: Status = Status.CORRECTED) -> Held:
    """A further version of a result."""
    newer = hb(0, value, status)
    return replace(one, result=newer.result, status=status, version=one.version + 1)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One judgement after another, with what there is to tell and what is kept in the end."""

    difference: Difference
    end: Judgement

    @property
    def told(self) -> list[str]:
        return [
            f"{one.kind} {one.flag.subject if one.flag else one.episode and one.episode.finding}"
            for one in self.difference.changes
        ]

    @property
    def episodes(self) -> list[tuple[str | None, str, list[str]]]:
        """Name, state and flagged results of each episode that is now."""
        return [(one.id, one.state.value, [subject for subject, _ in one.flags]) for one in self.end.episodes]

    @property
    def ended(self) -> list[tuple[str | None, str]]:
        return [(one.id, one.state.value) for one in self.difference.ended]


def begin(*results: Held, facts: Facts = MAN) -> Judgement:
    """What is kept of a patient with these results; the episodes are called e1, e2, …"""
    return kept(judge(Timeline(facts=facts, results=results), BOOK))


def step(before: Judgement, *results: Held, facts: Facts = MAN) -> Step:
    """From what is kept to the judgement of all current results; new episodes are called n1, n2, …"""
    after = judge(Timeline(facts=facts, results=results), BOOK)
    difference = diff(before, after)
    return Step(difference=difference, end=kept(replace(after, episodes=difference.episodes), prefix="n"))


def only(difference: Difference) -> Episode:
    (episode,) = difference.episodes
    return episode
