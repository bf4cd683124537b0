"""When a delivery that did not go through is tried again.

Law: each wait is longer than the one before, and after three days it is given up, never forgotten.
"""

from dataclasses import dataclass
from datetime import timedelta

# Waits before each try, the first at once: together a little more than three days (Standard Webhooks, retry schedule).
SCHEDULE = (
    timedelta(),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
TRIES = len(SCHEDULE)

# Waits are made longer by chance, up to a fifth, so that what failed together does not come back together.
JITTER = 5
CHANCES = 1000

# A receiver that fails is left alone for so long, the longer the more often it has failed in a row; then one message
# is tried, and the others only when that one went through.
_HOLDS = (
    timedelta(),
    timedelta(),  # once may be chance: the next message shows whether it was
    timedelta(seconds=2),
    timedelta(seconds=10),
    timedelta(seconds=30),
    timedelta(minutes=1),
    timedelta(minutes=2),
    timedelta(minutes=5),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """How long to wait before the next try, or that there is none."""

    time: timedelta
    over: bool = False


def wait(tries: int, *, chance: int, asked: timedelta | None = None) -> Wait:
    """The wait after so many tries that failed. ``chance`` is from 0 to ``CHANCES``.

    A receiver may ask for more time than the schedule has (``asked``), never for less.
    """
    if tries >= TRIES:
        return Wait(time=timedelta(), over=True)
    planned = SCHEDULE[tries]
    return Wait(time=max(planned + planned * chance // (JITTER * CHANCES), asked or timedelta()))


def hold(failures: int, *, asked: timedelta | None = None) -> timedelta:
    """How long to leave a receiver alone after so many failures in a row."""
    return max(_HOLDS[min(failures, len(_HOLDS) - 1)], asked or timedelta())
