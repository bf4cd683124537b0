"""HL7 v2 comes in: each message is read, taken in whole, and acknowledged.

    bytes ─► batch ─► each message: head ─► reading ─► take in whole ─► acknowledgment, kept with what it tells of

Law: what is acknowledged as accepted is committed. When not even that can be known, there is no acknowledgment.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from service.domain.errors import BadInput, Fault, InUse, Unavailable
from service.domain.panels import Panel
from service.domain.verdicts import Outcome, Reason, Verdict
from service.flows.arrivals import Arrival
from service.flows.means import Means
from service.flows.receipts import Receipt
from service.flows.source_maps import zone_of
from service.flows.whole import Once, Taken, take_in_whole
from service.formats.hl7v2 import ack, reader
from service.formats.hl7v2.ack import Line, Stamp
from service.formats.hl7v2.batch import Batch, batch, together
from service.formats.hl7v2.head import Head, head_of
from service.formats.hl7v2.reader import Read
from service.formats.reading import Reading
from service.storage.idempotency import Answer, Claim
from service.storage.panels import Message

ROUTE = "hl7v2"
_LONGEST_KEY = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """Who sends, when, and how it is to be taken.

    ``partial``: good results of a message are kept although others in it have faults. ``zone``: that of times without
    an offset, where the map of the source names none. ``new_id`` makes the ids of acknowledgments. ``remember``: so
    long the acknowledgment of a message is repeated when the message is.
    """

    source: str
    received_at: datetime
    new_id: Callable[[], str]
    key_id: str | None = None
    request_id: str | None = None
    charset: str | None = None
    zone: tzinfo = UTC
    partial: bool = False
    remember: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of one message: its code (AA, AE, AR), and the acknowledgments that are due.

    ``refused``: why nothing of it was kept, for the count. ``failed``: what went wrong with us, for the log.
    """

    code: str
    replies: tuple[bytes, ...] = field(repr=False)
    receipts: tuple[Receipt, ...] = field(default=(), repr=False)
    recalled: bool = False
    refused: str | None = None
    failed: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What became of a body: each of its messages, and how the answer looks as one body.

    ``replies`` are the messages that go back: the acknowledgments one by one, or those of a batch as a batch.
    """

    answered: tuple[Answered, ...]
    body: bytes = field(repr=False)
    replies: tuple[bytes, ...] = field(repr=False)


def take_in(sent: bytes, sending: Sending, means: Means) -> Whole:
    """Take in a body of one message or several. Raises ``Unavailable`` when nothing can be kept now."""
    found = batch(sent)
    messages = found.messages or (b"",)
    answered = tuple(_answered(one, found, sending, means=means) for one in messages)
    replies = tuple(reply for one in answered for reply in one.replies)
    body = together(replies, found)
    return Whole(answered=answered, body=body, replies=(body,) if found.envelope else replies)


def _answered(sent: bytes, of: Batch, sending: Sending, *, means: Means) -> Answered:
    head = head_of(sent, charset=sending.charset)
    try:
        zone = zone_of(sending.source, means) or sending.zone
        read = reader.read_partly(head, now=sending.received_at, zone=zone)
        faults, some = (*of.faults, *read.faults), sending.partial and read.reading.panels
        if faults and (of.faults or not some):
            return _refused(head, faults, sending)
        return _taken(sent, head, read, sending=sending, means=means)
    except BadInput as error:
        return _refused(head, [_at_control_id(fault) for fault in error.faults], sending)
    except Unavailable as error:
        if not error.locked:
            raise
        return _refused(head, [_LOCKED], sending)
    except InUse:
        return _refused(head, [_LOCKED], sending)
    except Exception as error:  # noqa: BLE001  handed on to the shell, which logs it; the sender hears AR
        return _refused(head, [_FAILED], sending, failed=error)


_LOCKED = Fault(pointer="MSH^1", code="locked", detail="somebody else holds what this is about; send it again later")
_FAILED = Fault(pointer="MSH^1", code="internal", detail="the service has failed; send it again later")


def _at_control_id(fault: Fault) -> Fault:
    if fault.code != "idempotency-key-reused":
        return fault
    detail = "MSH-10 was used for another message, of which the bytes differ"
    return Fault(pointer="MSH^1^10^1", code=fault.code, detail=detail)


def _refused(head: Head, faults: Iterable[Fault], sending: Sending, *, failed: Exception | None = None) -> Answered:
    faults = tuple(faults)
    code = ack.code_for(head, faults)
    replies = _replies(head, code, [ack.of_fault(fault) for fault in faults], sending=sending)
    return Answered(code=code, replies=tuple(replies), refused=reader.KIND, failed=failed)


def _replies(head: Head, code: str, lines: Sequence[Line], *, sending: Sending) -> Iterator[bytes]:
    """The acknowledgments that are due; one that only says that the message is kept says nothing more."""
    for one in ack.due(head, code):
        stamp = Stamp(id=sending.new_id(), at=sending.received_at)
        yield ack.acknowledgment(head, one, () if one == "CA" else lines, stamp=stamp)


def _taken(sent: bytes, head: Head, read: Read, *, sending: Sending, means: Means) -> Answered:
    code = ack.CONTENT if read.faults else ack.ACCEPTED

    def render(receipts: Sequence[Receipt]) -> Answer:
        lines = [*map(ack.of_fault, read.faults), *told(read.reading, receipts)]
        replies = _replies(head, code, lines, sending=sending)
        return Answer(status=200, headers={"code": code}, body=b"".join(replies))

    once = Once(claim=_claim(sent, head, sending), until=sending.received_at + sending.remember, render=render)
    taken = take_in_whole(read.reading.panels, _message(sent, head, sending), means, once=once)
    return _kept(taken)


def _kept(taken: Taken) -> Answered:
    if taken.answer is None:
        raise RuntimeError("a message that is taken in once has an answer")
    return Answered(
        code=taken.answer.headers["code"],
        replies=batch(taken.answer.body).messages if taken.answer.body else (),
        receipts=taken.receipts,
        recalled=taken.recalled,
    )


def _message(sent: bytes, head: Head, sending: Sending) -> Message:
    return Message(
        body=sent,
        content_type=reader.MEDIA_TYPE,
        source=sending.source,
        key_id=sending.key_id,
        request_id=sending.request_id,
        received_at=sending.received_at,
        test=head.trial,
    )


def _claim(sent: bytes, head: Head, sending: Sending) -> Claim:
    """One acknowledgment for each control id of a sending application; another body under it is a fault."""
    name = f"{head.sender}|{head.control_id}"
    key = name if len(name) <= _LONGEST_KEY else hashlib.sha256(name.encode()).hexdigest()
    return Claim(client=sending.source, route=ROUTE, key=key, fingerprint=hashlib.sha256(sent).hexdigest())


# Why a result was not judged, in words that hold no value; and the field of OBX that it is about.
_WHY = {
    Reason.CODE_UNMAPPED: (3, "W", "the code names no analyte that is judged here"),
    Reason.UNIT_UNKNOWN: (6, "W", "the unit is not one of this analyte"),
    Reason.VALUE_ABSENT: (5, "I", "there is no value"),
    Reason.VALUE_NOT_NUMERIC: (5, "W", "the value is not a number"),
    Reason.COMPARATOR_UNUSABLE: (5, "W", "the comparator says nothing that can be compared"),
    Reason.IMPLAUSIBLE: (5, "W", "the value is outside what a living patient can have; check unit and sample"),
    Reason.RANGE_UNUSABLE: (7, "W", "the reference range cannot be used"),
    Reason.FACTS_CONTRADICT: (5, "W", "what is said of the patient contradicts itself"),
    Reason.INDEFINITE: (5, "W", "it cannot be told on which side of the limit the value lies"),
    Reason.BETWEEN_LIMITS: (5, "W", "the value lies between limits of which either may apply"),
    Reason.NO_INTERVAL: (7, "W", "no published interval fits this patient; send OBX-7"),
    Reason.STATUS_UNKNOWN: (11, "W", "the status of the result is not known"),
}
_NO_RULE = (3, "I", "no rule judges this analyte; the result is kept")
_OTHERWISE = (11, "I", "the result is kept and not judged")
_SAID_OTHERWISE = {
    Reason.NO_RULE: _NO_RULE,
    Reason.OUTSIDE_SCOPE: (5, "I", "the value lies on a side that no rule looks at"),
    Reason.PRECEDENCE: (3, "I", "another result of the same collection decides"),
    Reason.REPLACED: (11, "I", "a version of this result that outranks this one is held"),
}


def told(reading: Reading, receipts: Sequence[Receipt]) -> Iterator[Line]:
    """What the sender of an accepted message should know: what was not judged, and what was odd."""
    yield from (ack.of_notice(notice) for notice in reading.notices)
    for panel, receipt in zip(reading.panels, receipts, strict=True):
        yield from _told_of(panel, receipt)


def _told_of(panel: Panel, receipt: Receipt) -> Iterator[Line]:
    for result, (arrival, verdict) in zip(panel.results, receipt.items, strict=True):
        place = result.pointer
        if verdict.outcome is Outcome.NOT_JUDGED and verdict.reason is not None:
            yield _not_judged(place, verdict, verdict.reason)
        if note := _note(arrival):
            yield Line(place=f"{place}^11^1", code=0, severity="I", text=note)


def _not_judged(place: str, verdict: Verdict, reason: Reason) -> Line:
    number, severity, why = _WHY.get(reason) or _SAID_OTHERWISE.get(reason) or _OTHERWISE
    # Only the hint to the units is the same for everybody: others may speak of the patient.
    hint = f"; {verdict.hint}" if reason is Reason.UNIT_UNKNOWN and verdict.hint else ""
    return Line(place=f"{place}^{number}^1", code=0, severity=severity, text=f"{reason}: {why}{hint}")


def _note(arrival: Arrival) -> str | None:
    if arrival.notice is None and arrival.held.status.corrects and not arrival.known:
        return "a correction of a result that is not held; kept as the first version"
    return arrival.notice
