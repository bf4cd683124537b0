"""A message of results as panels.

    bytes ─► head ─► segments ─► walk ─► each OBX ─► what is said twice ─► panels

Law: every OBX becomes a result, is ignored because the very same stands in the message already, or has a fault.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo

from service.domain.errors import BadInput, Fault
from service.domain.panels import Panel, Patient
from service.formats.hl7v2 import people, times
from service.formats.hl7v2.head import Head, head_of, unsupported
from service.formats.hl7v2.observation import Attempt, Seen
from service.formats.hl7v2.segments import taken_apart
from service.formats.hl7v2.times import Clock
from service.formats.hl7v2.walk import Observed, Walk, walked
from service.formats.reading import Ignored, Notice, Reading

MEDIA_TYPE = "application/hl7-v2"
KIND = "invalid-message"
MAX_RESULTS = 200

# These are said once for a message, at the first place.
_ONCE = frozenset({"time-without-offset", "number-in-text", "partial-time"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A message as read, with all that is wrong in it. ``reading`` has what is not touched by a fault."""

    reading: Reading
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The patients of a message, by the number of their PID."""

    patients: Mapping[int, Patient] = field(repr=False)

    def of(self, one: Observed) -> Patient | None:
        return self.patients.get(one.group.pid.number) if one.group.pid else None


def read(sent: bytes, *, now: datetime, zone: tzinfo = UTC, charset: str | None = None) -> Reading:
    """The panels of a message that was received ``now``. Raises ``BadInput`` with every fault."""
    found = read_partly(head_of(sent, charset=charset), now=now, zone=zone)
    if found.faults:
        raise BadInput(found.faults, kind=KIND)
    return found.reading


def read_partly(head: Head, *, now: datetime, zone: tzinfo = UTC) -> Read:
    """What can be read of a message, and everything that is wrong with the rest."""
    if faults := head.faults or unsupported(head):
        return Read(reading=Reading(panels=()), faults=faults)
    segments, broken = taken_apart(head.text, head.signs, head.codec)
    walk = walked(segments, head.event)
    clock, faults_of_head = _clock(head, now=now, zone=zone)
    if broken or faults_of_head:
        # Where a segment begins is not certain any more, and so nothing of the message is.
        return Read(reading=_reading((), walk, ()), faults=_each([*broken, *faults_of_head]))
    return _results(walk, head, clock)


def _clock(head: Head, *, now: datetime, zone: tzinfo) -> tuple[Clock, list[Fault]]:
    """How times are read, and what is wrong with the head of a message that is for us."""
    faults = []
    if not head.control_id:
        faults.append(Fault(pointer="MSH^1^10^1", code="required", detail="MSH-10 (message control id) is empty"))
    clock = Clock(now=now, message=times.offset_in(head.of(7)), zone=zone)
    if text := head.of(7):
        try:
            times.moment(text, clock)
        except ValueError as why:
            faults.append(Fault(pointer="MSH^1^7^1", code="time-invalid", detail=f"MSH-7 {why}"))
    return clock, faults


def _results(walk: Walk, head: Head, clock: Clock) -> Read:
    known, faults, notices = _patients(walk)
    seen: list[Seen] = []
    for one in walk.observed:
        attempt = Attempt(one, head, clock)
        faults.extend(attempt.faults)
        notices.extend(attempt.notices)
        if one.group.pid is None:
            detail = "an observation stands before any PID, so that it is nobody's"
            faults.append(Fault(pointer=one.obx.place(), code="sequence", detail=detail))
        if attempt.seen is not None and known.of(one) is not None:
            seen.append(attempt.seen)
    told_apart, ignored, doubled = _told_apart(seen, known)
    panels = tuple(_panels(told_apart, known))
    walk.ignored.extend(ignored)
    if not walk.observed:
        notices.append(Notice(place="MSH^1", code="no-results", detail="the message holds no observation"))
    return Read(reading=_reading(panels, walk, notices), faults=_each([*faults, *doubled]))


def _patients(walk: Walk) -> tuple[_Known, list[Fault], list[Notice]]:
    patients: dict[int, Patient] = {}
    faults: list[Fault] = []
    notices: list[Notice] = []
    for pid in walk.patients:
        found, wrong, said = people.patient(pid)
        faults.extend(wrong)
        notices.extend(said)
        if found is not None:
            patients[pid.number] = found
    if not walk.patients and not walk.observed:
        detail = "there is no PID segment, so that the message is about nobody"
        faults.append(Fault(pointer="PID^1", code="sequence", detail=detail))
    return _Known(patients=patients), faults, notices


def _told_apart(seen: list[Seen], known: _Known) -> tuple[list[Seen], list[Ignored], list[Fault]]:
    """Results that go by the same name are told apart by their time, or else are one result that is said twice."""
    kept: dict[tuple[object, ...], Seen] = {}
    parts: Counter[tuple[object, ...]] = Counter()
    ignored: list[Ignored] = []
    faults: list[Fault] = []
    contested: set[tuple[object, ...]] = set()
    for one in _by_time(seen, known):
        # What was released at another time is another version of the same.
        name = *_name(one, known), one.issued_at
        first = kept.setdefault(name, one)
        if first is one:
            continue
        if replace(one.result, pointer=first.result.pointer) == first.result:
            ignored.append(Ignored(place=one.result.pointer, why=f"says the same as {first.result.pointer}"))
        elif first.result.number is None and one.result.number is None:
            # The lines of a text.
            parts[name] += 1
            kept[*name, parts[name]] = _renamed(one, f"part {parts[name] + 1}")
        else:
            faults += [_doubled(first, one), _doubled(one, first)]
            contested.add(name)
    return [one for name, one in kept.items() if name not in contested], ignored, faults


def _name(one: Seen, known: _Known) -> tuple[object, ...]:
    """What a result goes by: the patient, and the sender's id of it."""
    who = known.of(one.observed)
    return (who.authority, who.identifier) if who else (), one.result.sender_id


def _by_time(seen: list[Seen], known: _Known) -> list[Seen]:
    """Where one name stands at several times of collection, the time becomes part of it."""
    at: dict[tuple[object, ...], set[datetime]] = {}
    for one in seen:
        at.setdefault(_name(one, known), set()).add(one.collected_at)
    return [_renamed(one, one.collected_at.isoformat()) if len(at[_name(one, known)]) > 1 else one for one in seen]


def _renamed(one: Seen, more: str) -> Seen:
    return replace(one, result=replace(one.result, sender_id=f"{one.result.sender_id} {more}"))


def _doubled(one: Seen, other: Seen) -> Fault:
    detail = f"says something else than {other.result.pointer}, which goes by the same name"
    hint = "tell them apart by OBX-4 (sub-id), OBX-14 (time) or OBX-21 (instance id)"
    place = one.observed.obx.place(4)
    return Fault(pointer=place, code="result-repeated", detail=detail, hint=hint)


def _panels(seen: Iterable[Seen], known: _Known) -> Iterator[Panel]:
    """The results of one patient, collection, release and order make one panel."""
    together: dict[tuple[object, ...], list[Seen]] = {}
    for one in seen:
        pid = one.observed.group.pid
        place = pid.number if pid else 0, one.collected_at, one.issued_at, one.accession
        together.setdefault(place, []).append(one)
    for group in together.values():
        for start in range(0, len(group), MAX_RESULTS):
            yield _panel(group[start : start + MAX_RESULTS], known)


def _panel(group: list[Seen], known: _Known) -> Panel:
    patient = known.of(group[0].observed)
    if patient is None:
        raise RuntimeError("a result was read only where its patient was")
    notes = dict.fromkeys(note for one in group for note in one.observed.group.notes if note)
    return Panel(
        patient=patient,
        collected_at=group[0].collected_at,
        issued_at=group[0].issued_at,
        accession=group[0].accession,
        note="\n".join(notes) or None,
        results=tuple(one.result for one in group),
    )


def _reading(panels: tuple[Panel, ...], walk: Walk, notices: Iterable[Notice]) -> Reading:
    said: dict[tuple[str, str], Notice] = {}
    for one in (*notices, *walk.notices):
        said.setdefault((one.code, "" if one.code in _ONCE else one.place), one)
    return Reading(panels=panels, ignored=tuple(walk.ignored), notices=tuple(said.values()))


def _each(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Every fault once: that of an order is found with each of its results."""
    return tuple({(fault.pointer, fault.code): fault for fault in faults}.values())
