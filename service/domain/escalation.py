"""Escalation: whom to tell, one after another, while nobody acknowledges a grave finding.

    how long has it waited ─► which steps are due ─► can they be told ─► told, passed over, or nobody can be told

Law: a step is taken once for each time that an episode begins to wait. What cannot be told, or was told and reached
nobody, is passed over only to somebody who can be told; where there is nobody, it stays due.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from service.domain.rules import Severity

ESCALATED = (Severity.SEVERE, Severity.CRITICAL)
MOST_STEPS = 5
LONGEST = 1_440  # minutes
# Whatever has waited for longer when it is first seen is told once: the service was down, or the policy is new.
OLD = timedelta(hours=24)


class StepState(StrEnum):
    """``passed_over``: to the next step, as its subscription is paused, disabled or deleted, or what it was told
    reached nobody. ``too_late``: a later one was told instead, for all of them were long due. ``unheard``: nobody is
    left who can be told; it stays due.
    """

    TOLD = "told"
    PASSED_OVER = "passed_over"
    TOO_LATE = "too_late"
    UNHEARD = "unheard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Whom to tell when an episode has waited for so long."""

    subscription: str
    after_minutes: int

    @property
    def after(self) -> timedelta:
        return timedelta(minutes=self.after_minutes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Whom to tell, in order. ``severity``: the least one that is escalated. Without steps nothing is."""

    severity: Severity = Severity.CRITICAL
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        times = [step.after_minutes for step in self.steps]
        if times != sorted(set(times)) or not all(1 <= time <= LONGEST for time in times):
            raise ValueError("each step comes later than the one before, within a day")
        if self.severity not in ESCALATED or len(times) > MOST_STEPS:
            raise ValueError("severe or critical, and five steps at most")

    @property
    def levels(self) -> tuple[Severity, ...]:
        """The severities that are escalated."""
        return tuple(one for one in ESCALATED if one.rank >= self.severity.rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What becomes of a step; ``number`` counts from 1."""

    number: int
    state: StepState


def taken_now(
    policy: Policy,
    *,
    waited: timedelta,
    before: Mapping[int, StepState],
    active: Collection[str],
    lost: Collection[int] = (),
) -> tuple[Taken, ...]:
    """What becomes of the steps of an episode that has waited for so long.

    ``before``: the steps that were taken before; of them ``lost`` were told, and it reached nobody. ``active``: the
    subscriptions that can be told.
    """
    settled = {number for number, state in before.items() if state is not StepState.UNHEARD and number not in lost}
    left = {number: step for number, step in enumerate(policy.steps, start=1) if number not in settled}
    due = [number for number, step in left.items() if step.after <= waited or number in lost]
    if not due:
        return ()
    working = {number for number, step in left.items() if step.subscription in active}
    able = sorted(working.difference(lost))
    once = waited >= OLD and not settled and not lost
    found = _once(due, able) if once else _each(due, able, last=max(settled, default=0))
    # Who works and has not taken it is not told the same again and again.
    refused = {Taken(number=number, state=StepState.UNHEARD) for number in working.intersection(lost)}
    return tuple(one for one in found if before.get(one.number) is not one.state and one not in refused)


def _once(due: list[int], able: list[int]) -> Iterator[Taken]:
    """The last one that is due and can be told; if none is, the next one that can be."""
    chosen = max((one for one in able if one <= due[-1]), default=min(able, default=None))
    if chosen is None:
        yield Taken(number=due[-1], state=StepState.UNHEARD)
        return
    for number in due:
        if number != chosen:
            yield Taken(number=number, state=StepState.TOO_LATE if number in able else StepState.PASSED_OVER)
    yield Taken(number=chosen, state=StepState.TOLD)


def _each(due: list[int], able: list[int], *, last: int) -> Iterator[Taken]:
    """Everyone who is due and can be told; in place of one who cannot be, the next who can. ``last``: told before."""
    told = set(due).intersection(able)
    for number in due:
        if number in told:
            continue
        instead = next((one for one in able if one > number), None)
        if instead is None and number > last:
            yield Taken(number=number, state=StepState.UNHEARD)
            continue
        yield Taken(number=number, state=StepState.PASSED_OVER)
        if instead is not None:
            told.add(instead)
    for number in sorted(told):
        yield Taken(number=number, state=StepState.TOLD)
