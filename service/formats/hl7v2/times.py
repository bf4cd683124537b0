"""Times of HL7 v2 (TS, DTM): YYYY[MM[DD[HH[MM[SS[.S]]]]]][+/-ZZZZ].

Law: an offset is never invented in silence: it is that of the field, or else of the message, or else of the source.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

# A clock of a sender may be wrong by hours; a collection later than this is a wrong date.
CLOCK = timedelta(hours=24)
_EARLIEST = 1850
_TIME = re.compile(
    r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6})\d*)?)?)?)?(?:([+-])(\d\d)(\d\d))?", re.ASCII
)
_OFFSET = re.compile(r".*([+-])(\d\d)(\d\d)", re.ASCII)
_DAY = re.compile(r"(\d{4})(\d\d)(\d\d)(?:\d{2,6}(?:\.\d+)?(?:[+-]\d{4})?)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """What times without an offset are read by."""

    now: datetime
    message: tzinfo | None = None
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time in UTC. ``only_day``: nothing finer was said. ``assumed``: the offset is that of the source."""

    at: datetime = field(repr=False)
    only_day: bool = False
    assumed: bool = False


def offset_in(text: str) -> tzinfo | None:
    """The offset at the end of a time, if it has one that there is."""
    found = _OFFSET.fullmatch(text.strip())
    return _offset(found[1], found[2], found[3]) if found else None


def _offset(sign: str, hours: str, minutes: str) -> tzinfo | None:
    if int(hours) > 14 or int(minutes) > 59:
        return None
    away = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-away if sign == "-" else away)


def moment(text: str, clock: Clock) -> Moment:
    """The time in a text. Raises ``ValueError``, in words, when there is none or it lies in the future."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("is not a time to the day or finer (YYYYMMDD[HH[MM[SS]]][+ZZZZ])")
    year, month, day, hour, minute, second, part, sign, hours, minutes = found.groups()
    own = _offset(sign, hours, minutes) if sign else None
    if sign and own is None:
        raise ValueError("has an offset that there is not")
    zone = own or clock.message or clock.zone
    micro = int((part or "0").ljust(6, "0"))
    numbers = [int(one or 0) for one in (year, month, day, hour, minute, second)]
    at = _utc(numbers, micro, zone)
    if at > clock.now + CLOCK:
        raise ValueError("lies in the future")
    return Moment(at=at, only_day=hour is None, assumed=own is None and clock.message is None)


def _utc(numbers: list[int], micro: int, zone: tzinfo) -> datetime:
    year, month, day, hour, minute, second = numbers
    try:
        at = datetime(year, month, day, hour, minute, second, micro, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not a time that there is") from None
    if at.year < _EARLIEST:
        raise ValueError(f"lies before {_EARLIEST}")
    return at


def day(text: str) -> date:
    """The calendar day in a text, whatever finer it says. Raises ``ValueError``."""
    found = _DAY.fullmatch(text)
    if found is None:
        raise ValueError("is not a date")
    told = date(int(found[1]), int(found[2]), int(found[3]))
    if told.year < _EARLIEST:
        raise ValueError("lies too far back")
    return told
