"""One OBX as a result: code, value, unit, range, state, time, and by what it is known again.

Law: what is wrong with one observation is all said at once, and is nobody else's fault.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.domain.errors import Fault
from service.domain.panels import Code, Result, SentRange, Status, stricter
from service.formats.hl7v2 import codes, ranges, statuses, times, values
from service.formats.hl7v2.head import Head
from service.formats.hl7v2.segments import Segment
from service.formats.hl7v2.times import Clock, Moment
from service.formats.hl7v2.values import Value
from service.formats.hl7v2.walk import Group, Observed
from service.formats.reading import Notice

_ODDITIES = {
    "not-a-number": "OBX-2 is NM, but the value is not a number; it is kept as text",
    "several-values": "OBX-5 holds several values; they are kept as text, because none of them is the result",
    "comparator-in-number": "OBX-2 is NM, but a comparator stands in the value; SN is the type for that",
    "number-in-text": "OBX-2 is a type of text, but the value is read as a number; NM or SN is the type for that",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A result that was read from an OBX, and what of its order decides where it belongs."""

    observed: Observed
    result: Result
    collected_at: datetime = field(repr=False)
    issued_at: datetime | None = field(repr=False)
    accession: str | None = field(repr=False)


class Attempt:
    """The reading of one OBX: the result, or its faults; and what the sender should know."""

    def __init__(self, one: Observed, head: Head, clock: Clock) -> None:
        self.faults: list[Fault] = []
        self.notices: list[Notice] = []
        self._one, self._obx, self._head, self._clock = one, one.obx, head, clock
        self.seen = self._read()

    def _read(self) -> Seen | None:
        status, promotes = self._status()
        found = self._codes()
        value = self._value()
        collected = self._collected()
        issued = self._issued()
        if self.faults or status is None or collected is None:
            return None
        unit = self._unit()
        result = Result(
            pointer=self._obx.place(),
            sender_id=_sender_id(self._one, self._head, found, collected=collected),
            code=found[0],
            other_codes=found[1:],
            text=value.text,
            number=value.number,
            upper=value.upper,
            absent=self._absent(value),
            promotes=promotes,
            comparator=value.comparator,
            unit=unit,
            range=self._range(unit),
            status=status,
            interpretation=tuple(flag.component(1) for flag in self._obx.data(8) if flag.component(1)),
            note="\n".join(filter(None, self._one.notes)) or None,
        )
        return Seen(
            observed=self._one,
            result=result,
            collected_at=collected,
            issued_at=issued,
            accession=accession(self._one.group),
        )

    def _fault(self, segment: Segment, number: int, *, code: str, detail: str) -> None:
        self.faults.append(Fault(pointer=segment.place(number), code=code, detail=detail))

    def _notice(self, segment: Segment, number: int, *, code: str, detail: str) -> None:
        self.notices.append(Notice(place=segment.place(number), code=code, detail=detail))

    def _status(self) -> tuple[Status | None, bool]:
        """The stricter one of the states of order and result."""
        letter, obr = self._obx.text(11), self._one.group.obr
        status = statuses.RESULT.get(letter)
        if not letter:
            self._fault(self._obx, 11, code="required", detail="OBX-11 (result status) is empty")
        elif status is None:
            self._fault(self._obx, 11, code="not-a-choice", detail="OBX-11 is not a result status (HL7 table 0085)")
        of_order = obr.text(25) if obr else ""
        if obr is not None and of_order and of_order not in statuses.ORDER:
            self._fault(obr, 25, code="not-a-choice", detail="OBR-25 is not a status of an order (HL7 table 0123)")
        elif of_order and status is not None:
            status = stricter(status, statuses.ORDER[of_order])
        # A value that is sent all the same is the one that counts.
        alone = letter == statuses.PROMOTES and not self._obx.data(5)
        return status, alone and status is not None and status.judged

    def _codes(self) -> tuple[Code, ...]:
        found = codes.codes(self._obx.first(3))
        if not found:
            self._fault(self._obx, 3, code="required", detail="OBX-3 (observation identifier) is empty")
        return found

    def _value(self) -> Value:
        kind, data = self._obx.text(2), self._obx.data(5)
        if not data:
            return values.value(kind, data)
        if not kind:
            self._fault(self._obx, 2, code="required", detail="OBX-2 (value type) is empty, but there is a value")
        elif kind not in values.TYPES:
            self._fault(self._obx, 2, code="not-a-choice", detail="OBX-2 is not a type of value (HL7 table 0125)")
        else:
            found = values.value(kind, data)
            if found.oddity:
                self._notice(self._obx, 5, code=found.oddity, detail=_ODDITIES[found.oddity])
            return found
        return values.nothing("unknown")

    def _absent(self, value: Value) -> str | None:
        return "not-asked" if value.absent and self._obx.text(11) == statuses.NOT_ASKED else value.absent

    def _unit(self) -> str:
        unit, mended = codes.unit(self._obx.first(6))
        if mended:
            detail = f"the unit was read as a power of ten; {self._obx.signs.component} within a unit must be escaped"
            self._notice(self._obx, 6, code="unit-not-escaped", detail=detail)
        return unit

    def _range(self, unit: str) -> SentRange | None:
        data = self._obx.data(7)
        return ranges.sent_range(data[0].text if len(data) == 1 else self._obx.raw(7), unit)

    def _collected(self) -> datetime | None:
        """OBX-14, else OBR-7, else SPM-17."""
        for segment, number in self._times():
            if text := segment.text(number):
                found = self._moment(segment, number, text)
                if found and found.only_day:
                    detail = "the time is said to the day only and is taken as its beginning"
                    self._notice(segment, number, code="partial-time", detail=detail)
                return found.at if found else None
        detail = "there is no time of collection: OBX-14, OBR-7 and SPM-17 are empty"
        self._fault(self._obx, 14, code="required", detail=detail)
        return None

    def _times(self) -> Iterator[tuple[Segment, int]]:
        yield self._obx, 14
        if self._one.group.obr is not None:
            yield self._one.group.obr, 7
        if self._one.of_specimen is not None:
            yield self._one.of_specimen, 17

    def _issued(self) -> datetime | None:
        """OBR-22, else MSH-7: of two versions, the one that was released later counts."""
        obr = self._one.group.obr
        if obr is not None and (text := obr.text(22)):
            found = self._moment(obr, 22, text)
            return self._released(found, obr) if found else None
        return self._sent()

    def _released(self, found: Moment, obr: Segment) -> datetime:
        """A day alone would put a correction before what it corrects: the time of a message of that day counts."""
        sent = self._sent() if found.only_day else None
        if sent is None or not found.at <= sent < found.at + timedelta(days=1):
            return found.at
        detail = "OBR-22 is said to the day only; the time of the message (MSH-7), which is of that day, was taken"
        self._notice(obr, 22, code="partial-time", detail=detail)
        return sent

    def _sent(self) -> datetime | None:
        try:
            return times.moment(self._head.of(7), self._clock).at
        except ValueError:  # the head says so itself
            return None

    def _moment(self, segment: Segment, number: int, text: str) -> Moment | None:
        try:
            found = times.moment(text, self._clock)
        except ValueError as why:
            self._fault(segment, number, code="time-invalid", detail=f"{segment.name}-{number} {why}")
            return None
        if found.assumed:
            detail = "neither this time nor MSH-7 has an offset; that of the source was taken"
            self._notice(segment, number, code="time-without-offset", detail=detail)
        return found


def accession(group: Group) -> str | None:
    """The laboratory's number of the order: the filler's, else the placer's, of OBR or else of ORC."""
    for number in (3, 2):
        for segment in (group.obr, group.orc):
            if segment is not None and (found := segment.joined(number)):
                return found
    return None


def _sender_id(one: Observed, head: Head, found: tuple[Code, ...], *, collected: datetime) -> str:
    """By what the sender knows the result: its own instance id, else order, code and sub-id. Never the value.

    Where the order has no number, the time of collection stands for it. What is sent as a trial (MSH-11) has names of
    its own: it never corrects or takes back what was really measured.
    """
    sender = f"{head.sender}|trial" if head.trial else head.sender
    if instance := one.obx.joined(21):
        return json.dumps([sender, "instance", instance])
    order = accession(one.group) or collected.isoformat()
    said = one.obx.first(3)
    code = said.component(1), said.component(3)
    return json.dumps([sender, order, *(code if code[0] else (found[0].code, found[0].system)), one.obx.text(4)])
