"""What an event means for an incident: that there is one, that somebody has it, or that it is over.

    lab.flag.raised, escalated, … ─► open        acknowledged ─► taken        resolved, withdrawn, … ─► over

Law: one incident for each episode, and one for each feed. What happens to a flag ends the incident only when its
episode is over, and nothing that happens in an episode that is over begins one.
"""

from collections.abc import Mapping
from enum import StrEnum

from service.domain.subscriptions import TEST_TYPE
from service.formats.events.telling import Telling


class Step(StrEnum):
    """What becomes of the incident. ``note``: nothing, but it may be written down."""

    OPEN = "open"
    TAKEN = "taken"
    OVER = "over"
    NOTE = "note"


_STEPS: Mapping[str, Step] = {
    "lab.flag.raised": Step.OPEN,
    "lab.flag.escalated": Step.OPEN,
    "lab.flag.improved": Step.OPEN,
    "lab.flag.repeated": Step.OPEN,
    "lab.flag.reopened": Step.OPEN,
    "lab.flag.unacknowledged": Step.OPEN,
    "lab.flag.overdue": Step.OPEN,
    "lab.flag.acknowledged": Step.TAKEN,
    "lab.flag.resolved": Step.OVER,
    "lab.feed.silent": Step.OPEN,
    "lab.feed.resumed": Step.OVER,
    "lab.result.not_evaluable": Step.OPEN,
    TEST_TYPE: Step.OPEN,
}


def step(telling: Telling) -> Step:
    """What an event means for its incident."""
    event = telling.event
    if event.data.get("episode_state", "open") != "open":
        return Step.OVER
    return _STEPS.get(event.type, Step.NOTE)


def ends(telling: Telling) -> bool:
    """Will another event end the incident?"""
    return telling.event.type not in (TEST_TYPE, "lab.result.not_evaluable")


def incident(telling: Telling) -> str:
    """The name under which an incident is known to others."""
    event = telling.event
    return event.episode or str(event.data.get("result") or event.data.get("source") or event.id)
