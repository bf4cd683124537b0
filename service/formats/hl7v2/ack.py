"""Acknowledgments: what the sender of a message hears (HL7 v2.8, chapter 2.9 and 2.15).

Law: an acknowledgment names places, codes and our own words; it holds nothing of the patient, and no value.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from service.domain.errors import Fault
from service.formats.hl7v2.head import Head
from service.formats.hl7v2.segments import Separators
from service.formats.reading import Notice

APPLICATION, FACILITY, VERSION = "LAB-ALERTS", "LAB-ALERTS", "2.5.1"

# HL7 table 0357.
TEXTS = {
    0: "Message accepted",
    100: "Segment sequence error",
    101: "Required field missing",
    102: "Data type error",
    103: "Table value not found",
    104: "Value too long",
    200: "Unsupported message type",
    201: "Unsupported event code",
    202: "Unsupported processing id",
    203: "Unsupported version id",
    205: "Duplicate key identifier",
    206: "Application record locked",
    207: "Application internal error",
}

# What our faults are in that table.
CODES = {
    "segment-unreadable": 100,
    "sequence": 100,
    "required": 101,
    "type": 102,
    "time-invalid": 102,
    "count": 102,
    "not-a-choice": 103,
    "too-long": 104,
    "message-type": 200,
    "event": 201,
    "processing-id": 202,
    "version": 203,
    "result-repeated": 205,
    "id-of-another-analyte": 205,
    "idempotency-key-reused": 205,
    "locked": 206,
    "internal": 207,
}

# Of these the sender should know, but there is nothing to mend.
_ONLY_TOLD = frozenset({"time-without-offset", "partial-time", "number-in-text", "segment-unknown", "no-results"})

ACCEPTED, CONTENT, REJECTED = "AA", "AE", "AR"
# HL7 table 0155.
_CONDITIONS = frozenset({"AL", "NE", "ER", "SU"})
_COMMIT = {ACCEPTED: "CA", CONTENT: "CE", REJECTED: "CR"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One ERR segment: where, which error of table 0357, how grave (E, W or I), and in words."""

    place: str
    code: int
    severity: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What makes one acknowledgment another one than the next: its own id and time."""

    id: str
    at: datetime


def of_fault(fault: Fault) -> Line:
    """The line that tells of a fault."""
    hint = f"; {fault.hint}" if fault.hint else ""
    return Line(place=fault.pointer, code=CODES.get(fault.code, 207), severity="E", text=f"{fault.detail}{hint}")


def of_notice(notice: Notice) -> Line:
    """The line that tells of something that was accepted all the same."""
    severity = "I" if notice.code in _ONLY_TOLD else "W"
    return Line(place=notice.place, code=0, severity=severity, text=notice.detail)


def code_for(head: Head, faults: Iterable[Fault]) -> str:
    """AR when the message is not for us or we cannot take it now; AE when its sender has to change something."""
    if head.msh is None:
        return REJECTED
    ours = {CODES.get(fault.code, 207) // 100 == 2 and CODES.get(fault.code, 207) != 205 for fault in faults}
    return REJECTED if True in ours else CONTENT


def due(head: Head, code: str) -> list[str]:
    """Which acknowledgments are to be sent: one, or in the enhanced mode (MSH-15, MSH-16) none to two.

    There, CA says that everything is kept, and CE or CR ends the matter; the one of the application follows CA only.
    """
    if head.msh is None or not (head.of(15) or head.of(16)):
        return [code]
    good = code == ACCEPTED
    codes = [_COMMIT[code]] if _wanted(head.of(15), good=good) else []
    if (good or not codes) and _wanted(head.of(16), good=good):
        codes.append(code)
    return codes


def _wanted(condition: str, *, good: bool) -> bool:
    # Whoever writes what the table does not have waits for an answer, and without one sends for ever.
    return condition in ("AL", "SU" if good else "ER") or (condition != "" and condition not in _CONDITIONS)


def acknowledgment(head: Head, code: str, lines: Sequence[Line], *, stamp: Stamp) -> bytes:
    """One acknowledgment, in the separators and the characters of the message that it answers."""
    signs = head.signs
    segments = [_msh(head, stamp), signs.field.join(("MSA", code, head.raw(10)))]
    segments += [_err(line, signs) for line in lines]
    return "".join(f"{segment}\r" for segment in segments).encode(head.codec, errors="replace")


def _msh(head: Head, stamp: Stamp) -> str:
    signs = head.signs
    kind = signs.component.join(filter(None, ("ACK", head.event, "ACK" if head.event else "")))
    fields = ["MSH", signs.declared]
    if head.msh is None:
        fields += [APPLICATION, FACILITY, "", ""]
    else:
        fields += [head.raw(number) for number in (5, 6, 3, 4)]
    fields += [_time(stamp.at), "", kind, stamp.id, head.raw(11) or "P", head.raw(12) or VERSION]
    if head.raw(18):
        fields += ["", "", "", "", "", head.raw(18)]
    return signs.field.join(fields)


def _time(at: datetime) -> str:
    return f"{at:%Y%m%d%H%M%S}.{at.microsecond // 1000:03}{at:%z}"


def _err(line: Line, signs: Separators) -> str:
    place = line.place.replace("^", signs.component)
    error = signs.component.join((str(line.code), TEXTS[line.code], "HL70357"))
    return signs.field.join(("ERR", "", place, error, line.severity, "", "", "", escaped(line.text, signs)))


def escaped(text: str, signs: Separators) -> str:
    """Text in which no separator stands; where the message declares no escape character, a blank does instead."""
    letters = {signs.escape: "E", signs.field: "F", signs.component: "S", signs.repetition: "R", signs.sub: "T"}
    table = {sign: f"{signs.escape}{letter}{signs.escape}" if signs.escape else " " for sign, letter in letters.items()}
    table |= {"\r": " ", "\n": " "}
    return "".join(table.get(one, one) for one in text)
