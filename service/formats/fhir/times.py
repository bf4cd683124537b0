"""Times of FHIR: dateTime, instant, Period, Timing.

Law: a time that is not complete is read as its first instant in UTC, and said to be so; one without an offset is
refused.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from service.formats.fhir.issues import NoticeCode
from service.formats.fhir.node import Node
from service.formats.panel_shape import CLOCK

_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[Tt](\d\d:\d\d)(:\d\d(?:\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
_HINT = "write for example 2026-11-20T08:12:00+01:00"
_EARLIEST = datetime(1850, 1, 1, tzinfo=UTC)
_EFFECTIVE = ("effectiveDateTime", "effectiveInstant", "effectivePeriod", "effectiveTiming")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A point in time as read, and what had to be assumed: (notice code, detail)."""

    at: datetime = field(repr=False)
    assumed: tuple[tuple[NoticeCode, str], ...] = ()
    place: str = ""

    def but(self, code: NoticeCode, detail: str) -> "Moment":
        return Moment(at=self.at, assumed=(*self.assumed, (code, detail)), place=self.place)


def moment(node: Node, name: str, *, now: datetime) -> Moment | None:
    """The dateTime or instant of a field."""
    sent = node.text(name)
    found = None if sent is None else _TIME.fullmatch(sent.strip())
    if sent is None:
        return None
    if found is None:
        node.log.fault(node.at(name), "time-invalid", "is not a time", hint=_HINT)
        return None
    if found[4] and not found[6]:
        node.log.fault(node.at(name), "time-without-offset", "has no offset from UTC", hint=_HINT)
        return None
    return _checked(node, name, found, now=now)


def _checked(node: Node, name: str, found: re.Match[str], *, now: datetime) -> Moment | None:
    try:
        at = _instant(found)
    except (ValueError, OverflowError):
        node.log.fault(node.at(name), "time-invalid", "is not a time that there is", hint=_HINT)
        return None
    if at < _EARLIEST:
        node.log.fault(node.at(name), "time-invalid", f"lies before {_EARLIEST.year}")
    elif at > now + CLOCK:
        node.log.fault(node.at(name), "time-in-future", "lies in the future")
    else:
        whole = Moment(at=at, place=node.at(name))
        return whole if found[4] else whole.but("time-partial", "is not complete; its first instant in UTC was taken")
    return None


def _instant(found: re.Match[str]) -> datetime:
    year, month, day, minutes, seconds, offset = found.groups()
    first = f"{year}-{month or '01'}-{day or '01'}"
    # Parts of a second beyond the sixth digit are more than is kept.
    return datetime.fromisoformat(
        f"{first}T{minutes or '00:00'}{(seconds or ':00')[:10]}{(offset or 'Z').upper()}"
    ).astimezone(UTC)


def effective(node: Node, *, now: datetime) -> Moment | None:
    """When the specimen was taken, as ``effective[x]`` says."""
    sent = [name for name in _EFFECTIVE if node.has(name)]
    if len(sent) > 1:
        node.log.fault(node.place, "structure", "has more than one effective[x]")
        return None
    if not sent:
        return None
    name = sent[0]
    if name in ("effectiveDateTime", "effectiveInstant"):
        return moment(node, name, now=now)
    child = node.child(name)
    if child is None:
        return None
    return period(child, now=now) if name == "effectivePeriod" else _timing(child, now=now)


def period(node: Node, *, now: datetime) -> Moment | None:
    """The beginning of a Period; where it has none, its end."""
    if node.has("start"):
        return moment(node, "start", now=now)
    end = moment(node, "end", now=now)
    return end and end.but("time-from-end", "has no start; its end was taken")


def _timing(node: Node, *, now: datetime) -> Moment | None:
    """The first event of a Timing, else the beginning of its bounds."""
    events = node.texts("event")
    holders = [Node({"event": one}, node.place, node.log) for one in events]
    found = [one for one in (moment(holder, "event", now=now) for holder in holders) if one is not None]
    if found:
        return min(found, key=lambda one: one.at)
    repeat = node.child("repeat")
    bounds = repeat.child("boundsPeriod") if repeat else None
    if bounds is not None:
        return period(bounds, now=now)
    node.log.notice(node.place, "time-unused", "names no time that could be taken")
    return None


def day(node: Node, name: str) -> date | None:
    """A date of birth. One that is not complete tells no age, and is said to have been left out."""
    sent = node.text(name)
    found = None if sent is None else re.fullmatch(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", sent.strip(), re.ASCII)
    if sent is None:
        return None
    try:
        if found is None:
            raise ValueError("not a date")
        born = date(int(found[1]), int(found[2] or 1), int(found[3] or 1))
    except ValueError:
        node.log.fault(node.at(name), "value", "is not a date", hint="write for example 1968-03-14")
        return None
    if born.year < _EARLIEST.year:
        node.log.fault(node.at(name), "value", f"lies before {_EARLIEST.year}")
        return None
    if not found[3]:
        node.log.notice(node.at(name), "birth-date-partial", "is not complete, and was not used")
    return born if found[3] else None
