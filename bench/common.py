"""What every bench is made of: sizes, rounds that take turns, and rows of one table.

Law: a machine is never as fast as an hour ago, so no figure stands alone: the sides of a comparison take turns in one
run, each round gives a ratio of its own, and what is told is the median of these with the lowest and the highest.

A bench is a module here with ``measure(size: Size) -> list[Row]``, named in ``bench.__main__.BENCHES``.
"""

import enum
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).parents[1]
PYTHON = Path(sys.executable)
PATIENCE = 60  # seconds for something to start or to end
Answers = dict[str, Any]  # what a side in a process of its own has to tell


class Size(enum.StrEnum):
    """How much is done: ``SMOKE`` only shows that it runs, ``SMALL`` takes a minute in all, ``FULL`` measures."""

    SMOKE = "smoke"
    SMALL = "small"
    FULL = "full"

    def of(self, smoke: T, small: T, full: T) -> T:
        """The one of three that belongs to this size."""
        return {Size.SMOKE: smoke, Size.SMALL: small, Size.FULL: full}[self]


class Better(enum.StrEnum):
    """Which way a goal lies."""

    MORE = "more"
    LESS = "less"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    ``number`` is that of the goal, or empty. ``ratio`` is held against ``goal`` and ``floor``; where the goal is an
    amount and no ratio, it is that amount. ``low`` and ``high`` are its spread over the rounds. ``limit`` says what
    sets the pace, ``work`` what each side did, so that a test can see that it was the same.
    """

    number: str
    measure: str
    ours: float | None
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    goal: float | None = None
    floor: float | None = None
    better: Better = Better.MORE
    note: str = ""
    limit: str = ""
    work: tuple[int, ...] = ()

    @property
    def standing(self) -> str:
        """``goal`` when it is reached, ``floor`` when only that is, ``below`` when neither; empty without a goal."""
        if self.ratio is None or self.goal is None:
            return ""
        return "goal" if self._reaches(self.goal) else "floor" if self._reaches(self.floor) else "below"

    def _reaches(self, wanted: float | None) -> bool:
        if self.ratio is None or wanted is None:
            return False
        return self.ratio >= wanted if self.better is Better.MORE else self.ratio <= wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of several figures, with the lowest and the highest."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        return cls(middle=statistics.median(figures), low=min(figures), high=max(figures))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Ours and a baseline after rounds in turn; ``ratio`` is the median of ours / baseline of the same round."""

    ours: Spread
    baseline: Spread
    ratio: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A goal with its number, and the floor under it."""

    number: str = ""
    goal: float | None = None
    floor: float | None = None
    better: Better = Better.MORE


NO_GOAL = Goal()


def row_of(measure: str, both: Compared, goal: Goal = NO_GOAL, **more: Any) -> Row:
    """A comparison as a row; ``more`` are its unit, note, limit and work."""
    return Row(
        number=goal.number,
        measure=measure,
        ours=both.ours.middle,
        baseline=both.baseline.middle,
        ratio=both.ratio.middle,
        low=both.ratio.low,
        high=both.ratio.high,
        goal=goal.goal,
        floor=goal.floor,
        better=goal.better,
        **more,
    )


def take_turns(rounds: int, *sides: Callable[[], T]) -> list[list[T]]:
    """Run every side once in each round, A B A B; answers what each side gave, side by side."""
    given: list[list[T]] = [[] for _ in sides]
    for _ in range(rounds):
        for place, side in enumerate(sides):
            given[place].append(side())
    return given


def compared(ours: Sequence[float], baseline: Sequence[float]) -> Compared:
    """Two sides that took turns, round by round."""
    ratios = [one / other for one, other in zip(ours, baseline, strict=True)]
    return Compared(ours=Spread.of(ours), baseline=Spread.of(baseline), ratio=Spread.of(ratios))


def side_by_side(ours: Callable[[], float], baseline: Callable[[], float], *, rounds: int) -> Compared:
    """Run two sides in turn. Each answers its figure (panels per second, say) for one round."""
    return compared(*take_turns(rounds, ours, baseline))


def per_second(work: Callable[[], int]) -> float:
    """How many a second: ``work`` answers how many it did."""
    started = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - started)
