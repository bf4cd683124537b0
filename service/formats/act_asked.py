"""What is asked to be done about an episode, as JSON: acknowledge, undo, comment, assign, snooze, record a call.

Law: every fault of shape is told at once. No fault repeats a note or a name.
"""

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError
from marshmallow.fields import List, Nested

from service.domain.acts import (
    LONGEST_NAME,
    LONGEST_NOTE,
    LONGEST_WHO,
    REASONS,
    ActKind,
    How,
    Reached,
    Reason,
    Until,
)
from service.domain.errors import BadInput, Fault
from service.formats.fields import ChoiceField, InstantField, SwitchField, TextField, WholeField, refuse
from service.formats.panel_shape import Strict
from service.formats.shape_faults import AtMost, faults_of
from service.formats.strict_json import parse

MEDIA_TYPE = "application/json"
KIND = "invalid-act"
MOST = 100


def _about(description: str, example: Any) -> dict[str, Any]:
    return {"description": description, "example": example}


class PlainField(TextField):
    """Text that people read: no control characters, and in ``lines`` none but their ends and tabs."""

    def __init__(self, *, lines: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.lines = lines

    def read(self, value: Any) -> str:
        text = super().read(value)
        allowed = "\n\r\t" if self.lines else ""
        if any(unicodedata.category(one) == "Cc" and one not in allowed for one in text):
            raise refuse("must not hold control characters", "control-character")
        return text


def _note(description: str, **options: Any) -> PlainField:
    about = _about(description, "Ward 7 told; repeat sample at 14:00.")
    return PlainField(lines=True, longest=LONGEST_NOTE, allow_none=True, metadata=about, **options)


def _reason() -> ChoiceField:
    told = "; ".join(f"{reason}: {words}" for reason, words in REASONS.items())
    return ChoiceField(Reason, required=True, metadata=_about(told.capitalize(), Reason.ACTING.value))


class AcknowledgementShape(Strict):
    """An acknowledgement."""

    reason = _reason()
    note = _note("Required where the episode is or was severe or critical, and for the reason other.")


class SeenShape(Strict):
    """An episode as somebody saw it."""

    episode = TextField(required=True, metadata=_about("Id of the episode.", "eps_01J…"))
    version = WholeField(
        1,
        999_999_999,
        required=True,
        metadata=_about("The version that was seen; refused with 412 when it is another one by now.", 3),
    )


class BulkAcknowledgementShape(AcknowledgementShape):
    """The same acknowledgement of several episodes."""

    episodes = List(Nested(SeenShape), required=True, validate=AtMost(MOST))


class UndoShape(Strict):
    """Why something is undone."""

    note = _note("Why.")


class CommentShape(Strict):
    """A comment."""

    text = PlainField(
        required=True,
        lines=True,
        longest=LONGEST_NOTE,
        metadata=_about("What is to be said.", "Patient is at dialysis."),
    )


class AssignmentShape(Strict):
    """Who has it now."""

    assignee = PlainField(
        required=True,
        allow_none=True,
        longest=LONGEST_NAME,
        metadata=_about("A name or an id of yours; null: nobody has it.", "team-red"),
    )


class SnoozeShape(Strict):
    """Until when an episode is to be left alone."""

    until = ChoiceField(
        Until, required=True, metadata=_about("What ends it. It ends anyway once it gets worse.", "time")
    )
    time = InstantField(
        metadata=_about("When it ends, where it is until a time; with its offset.", "2026-11-20T16:00:00Z")
    )
    note = _note("Required where the episode is or was critical.")


class CallShape(Strict):
    """A call about a flag, whether it reached anybody or not."""

    flag = TextField(
        metadata=_about("The flag that it was about; may be left out where it can only be one.", "flg_01J…")
    )
    told_to = PlainField(
        required=True, longest=LONGEST_WHO, metadata=_about("Who was told, or was to be.", "Dr Okafor, ward 7")
    )
    at = InstantField(metadata=_about("When, with its offset; now if left out.", "2026-11-20T12:05:00Z"))
    how = ChoiceField(How, required=True)
    outcome = ChoiceField(Reached, required=True)
    read_back = SwitchField(
        load_default=False, metadata=_about("Did the other side read the value back, and was it right?", True)
    )
    no_read_back = PlainField(
        allow_none=True,
        longest=LONGEST_WHO,
        metadata=_about("Why not, where somebody was reached without it.", "in the resuscitation room"),
    )
    note = _note("What else there is to say.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Something that is to be done about an episode."""

    kind: ActKind
    reason: Reason | None = None
    note: str | None = field(default=None, repr=False)
    assignee: str | None = field(default=None, repr=False)
    until_kind: Until | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An episode in the version in which somebody saw it."""

    episode: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCall:
    """A call that is to be recorded: about the only flag that it can be, and now, where nothing else is said."""

    flag: str | None
    told_to: str = field(repr=False)
    at: datetime | None
    how: How
    outcome: Reached
    read_back: bool
    no_read_back: str | None = field(repr=False)
    note: str | None = field(repr=False)


_ACKNOWLEDGEMENT, _BULK, _UNDO, _COMMENT = (
    AcknowledgementShape(),
    BulkAcknowledgementShape(),
    UndoShape(),
    CommentShape(),
)
_ASSIGNMENT, _SNOOZE, _CALL = AssignmentShape(), SnoozeShape(), CallShape()


def acknowledgement(body: bytes) -> Asked:
    """The acknowledgement in a body. Raises ``BadInput`` with every fault, as all of these do."""
    return _acknowledge(_load(_ACKNOWLEDGEMENT, body))


def acknowledgements(body: bytes) -> tuple[tuple[Seen, ...], Asked]:
    """The same acknowledgement of several episodes, and these as they were seen."""
    shaped = _load(_BULK, body)
    return tuple(Seen(**one) for one in shaped["episodes"]), _acknowledge(shaped)


def _acknowledge(shaped: dict[str, Any]) -> Asked:
    return Asked(kind=ActKind.ACKNOWLEDGE, reason=shaped["reason"], note=shaped.get("note"))


def undo(body: bytes, kind: ActKind) -> Asked:
    """That an acknowledgement or a snooze is to be undone; an empty body gives no note."""
    return Asked(kind=kind, note=_load(_UNDO, body or b"{}").get("note"))


def comment(body: bytes) -> Asked:
    """A comment."""
    return Asked(kind=ActKind.COMMENT, note=_load(_COMMENT, body)["text"])


def assignment(body: bytes) -> Asked:
    """Who is to have it."""
    return Asked(kind=ActKind.ASSIGN, assignee=_load(_ASSIGNMENT, body)["assignee"])


def snooze(body: bytes) -> Asked:
    """Until when it is to be left alone."""
    shaped = _load(_SNOOZE, body)
    kind, time = shaped["until"], shaped.get("time")
    if kind is Until.TIME and time is None:
        raise BadInput([Fault(pointer="/time", code="required", detail="is required until a time")], kind=KIND)
    if kind is not Until.TIME and time is not None:
        raise BadInput([Fault(pointer="/time", code="contradiction", detail="belongs to until time only")], kind=KIND)
    return Asked(kind=ActKind.SNOOZE, until_kind=kind, until=time, note=shaped.get("note"))


def call(body: bytes) -> AskedCall:
    """A call."""
    shaped = {"flag": None, "at": None, "no_read_back": None, "note": None} | _load(_CALL, body)
    if faults := list(_amiss(shaped)):
        raise BadInput(faults, kind=KIND)
    return AskedCall(**shaped)


def _amiss(shaped: dict[str, Any]) -> list[Fault]:
    """A value that was told by word of mouth counts as told once it was read back."""
    reached, back, why = shaped["outcome"] is Reached.REACHED, shaped["read_back"], shaped["no_read_back"]
    if back and not reached:
        return [Fault(pointer="/read_back", code="contradiction", detail="nobody was reached who could read it back")]
    if reached and not back and why is None:
        hint = "set it, or say in no_read_back why it was not"
        return [
            Fault(pointer="/read_back", code="required", detail="is required where somebody was reached", hint=hint)
        ]
    if why is not None and (back or not reached):
        return [Fault(pointer="/no_read_back", code="contradiction", detail="is only for who was reached without it")]
    return []


def _load(shape: Schema, body: bytes) -> dict[str, Any]:
    sent = parse(body)
    try:
        return dict(shape.load(sent))
    except ValidationError as error:
        raise BadInput(faults_of(error, shape), kind=KIND) from None
