"""What people do about an episode, and what may be done: acknowledge, comment, assign, snooze, undo; call somebody.

    an act ─► attached to an episode ─► holds until it is undone, or until the episode gets worse or ends

Law: an act is a fact of its own. It survives every judging again, is never changed, and is undone by another act only.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from service.domain.actors import Actor
from service.domain.rules import Severity


class ActKind(StrEnum):
    """``undo`` ends an acknowledgement and ``unsnooze`` a snooze; each names the act that it undoes."""

    ACKNOWLEDGE = "acknowledge"
    UNDO = "undo"
    COMMENT = "comment"
    ASSIGN = "assign"
    SNOOZE = "snooze"
    UNSNOOZE = "unsnooze"


class Reason(StrEnum):
    """Why somebody takes an episode off the list of what is to be seen."""

    ACTING = "acting"
    PASSED_ON = "passed_on"
    REPEAT_ORDERED = "repeat_ordered"
    KNOWN_AND_EXPECTED = "known_and_expected"
    EXPLAINED_BY_TREATMENT = "explained_by_treatment"
    SAMPLE_PROBLEM = "sample_problem"
    OTHER = "other"


REASONS = {
    Reason.ACTING: "seen, and being acted on",
    Reason.PASSED_ON: "somebody who treats the patient was told",
    Reason.REPEAT_ORDERED: "another sample was ordered",
    Reason.KNOWN_AND_EXPECTED: "known of this patient, and no news",
    Reason.EXPLAINED_BY_TREATMENT: "what the patient is treated with explains it",
    Reason.SAMPLE_PROBLEM: "the sample or its transport is doubted",
    Reason.OTHER: "something else, which the note says",
}


class Until(StrEnum):
    """What a snooze waits for. Whatever it is: it ends when the episode gets worse or ends."""

    TIME = "time"
    NEXT_RESULT = "next_result"
    WORSE = "worse"


class How(StrEnum):
    """The way by which somebody was called."""

    PHONE = "phone"
    IN_PERSON = "in_person"
    SECURE_MESSAGE = "secure_message"
    PAGER = "pager"
    OTHER = "other"


class Reached(StrEnum):
    """How a call ended. Only ``reached`` means that somebody knows now."""

    REACHED = "reached"
    NO_ANSWER = "no_answer"
    WRONG_PERSON = "wrong_person"
    REFUSED = "refused"
    OTHER = "other"


# A critical one is silent for the length of half a shift at most; nothing is for longer than a week.
LONGEST_SNOOZE = timedelta(days=7)
LONGEST_CRITICAL_SNOOZE = timedelta(hours=4)
SENT_AGAIN = timedelta(minutes=2)
LONGEST_NOTE, LONGEST_NAME, LONGEST_WHO = 2_000, 100, 200
_GRAVE = (Severity.SEVERE, Severity.CRITICAL)


def needs_note(worst: Severity, reason: Reason | None) -> bool:
    """Does an acknowledgement need a note, at this worst severity of the episode and for this reason?"""
    return worst in _GRAVE or reason is Reason.OTHER


def longest_snooze(worst: Severity) -> timedelta:
    """For how long an episode may be snoozed at most, at its worst severity."""
    return LONGEST_CRITICAL_SNOOZE if worst is Severity.CRITICAL else LONGEST_SNOOZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that somebody did about an episode.

    ``severity`` and ``flag``: how the episode stood and which flag was its newest. ``until``: when a snooze ends at the
    latest. ``undoes``: the act that this one undoes. ``version``: that of the episode after it.
    """

    id: str
    episode: str
    kind: ActKind
    at: datetime
    actor: Actor
    reason: Reason | None = None
    note: str | None = field(default=None, repr=False)
    assignee: str | None = field(default=None, repr=False)
    until_kind: Until | None = None
    until: datetime | None = None
    undoes: str | None = None
    severity: Severity
    flag: str
    version: int

    def says_the_same(self, other: "Act") -> bool:
        """Is it the same thing, done by the same one? Then it was sent twice.

        A comment can well be made again: of it only what comes within minutes was sent twice.
        """
        lately = self.kind is not ActKind.COMMENT or abs(other.at - self.at) <= SENT_AGAIN
        return lately and _said(self) == _said(other)


def _said(one: Act) -> tuple[object, ...]:
    by = one.actor.kind, one.actor.id
    return one.kind, by, one.reason, one.note, one.assignee, one.until_kind, _until(one)


def _until(one: Act) -> datetime | None:
    return one.until if one.until_kind is Until.TIME else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Which acts hold of an episode: who has it, whether it is acknowledged, whether it is to be left alone."""

    acknowledged: Act | None = None
    snoozed: Act | None = None
    assigned: Act | None = None


def holding(
    acts: Iterable[Act], *, acknowledged_by: str | None, snoozed_by: str | None, last_flag: str, now: datetime
) -> Attention:
    """Which of the acts of an episode hold. ``acts`` come in their order; the episode bears the names of two."""
    found = list(acts)
    named = {one.id: one for one in found}
    assigned = next((one for one in reversed(found) if one.kind is ActKind.ASSIGN), None)
    snoozed = named.get(snoozed_by or "")
    return Attention(
        acknowledged=named.get(acknowledged_by or ""),
        snoozed=snoozed if snoozed and still_snoozed(snoozed, last_flag=last_flag, now=now) else None,
        assigned=assigned if assigned and assigned.assignee else None,
    )


def still_snoozed(snooze: Act, *, last_flag: str, now: datetime) -> bool:
    """Has what the snooze waits for not come yet? That the episode got worse or ended has undone it already."""
    waits = snooze.until_kind is not Until.NEXT_RESULT or snooze.flag == last_flag
    return waits and snooze.until is not None and now < snooze.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A call about a flag: who told whom, when, how, and how it ended. Attempts that failed are calls as well.

    ``value``: the flag's value as it was then, with its unit. ``read_back``: did the other side read it back; where
    somebody was reached without that, ``no_read_back`` says why.
    """

    id: str
    episode: str
    flag: str
    value: object = field(repr=False)
    result_version: int
    told_by: Actor
    told_to: str = field(repr=False)
    at: datetime
    recorded_at: datetime
    how: How
    outcome: Reached
    read_back: bool
    no_read_back: str | None = field(default=None, repr=False)
    note: str | None = field(default=None, repr=False)

    def says_the_same(self, other: "Called") -> bool:
        """Is it the same call, recorded by the same one? Then it was sent twice.

        A call without a time is of the moment in which it is recorded; sent again, it is of another one.
        """
        at_once = self.at == self.recorded_at and other.at == other.recorded_at
        again = at_once and abs(other.at - self.at) <= SENT_AGAIN
        return (again or self.at == other.at) and _said_of_call(self) == _said_of_call(other)


def _said_of_call(one: Called) -> tuple[object, ...]:
    by = one.told_by.kind, one.told_by.id
    return one.flag, by, one.told_to, one.how, one.outcome, one.read_back, one.no_read_back, one.note
