"""Searches as they stand in a URL: tokens, dates with prefixes, and patients.

Law: a parameter that is not understood is refused with its name. To ignore one would answer another question.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from service.api import auditing
from service.api.reading import MAX_PAGE, PAGE
from service.domain.errors import BadInput, Fault, NotFound
from service.formats.fhir.capability import NEEDS_PATIENT, SEARCHES
from service.storage import patients
from service.storage.searching import ALWAYS, Span

_CONTROLS = frozenset({"_count", "_cursor", "_format", "_pretty", "_sort"})
_ORDER = "-date"
_WHO = ("patient", "subject")
_TIME = r"T(\d\d):(\d\d)(?::(\d\d)(\.\d{1,6})?)?(Z|[+\- ]\d\d:\d\d)"
_MOMENT = re.compile(rf"(eq|ge|gt|le|lt|sa|eb)?(\d{{4}})(?:-(\d\d)(?:-(\d\d)(?:{_TIME})?)?)?", re.ASCII)
_UNESCAPED_COMMA = re.compile(r"(?<!\\),")
_URL = re.compile(r"(?:(https?://\S+)/)?(?:Patient/)?([^/|]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The parameters of a search of one type of resource."""

    kind: str
    sent: MultiDict[str, str] = field(repr=False)

    def __post_init__(self) -> None:
        """Raises ``BadInput`` with every parameter that is unknown, or missing."""
        known = _known(self.kind)
        faults = [_unknown(name, known) for name in self.sent if name not in known]
        if not faults and self.kind in NEEDS_PATIENT and not self.whom() and "_id" not in self.sent:
            detail = "is required: whose are they? (or _id)"
            faults = [Fault(pointer="patient", code="parameter-invalid", detail=detail)]
        if self.sent.get("_sort", _ORDER) != _ORDER:
            detail = f"only {_ORDER} is offered: the newest collection comes first"
            faults.append(Fault(pointer="_sort", code="parameter-invalid", detail=detail))
        if faults:
            raise BadInput(faults, kind="invalid-query")

    def tokens(self, name: str) -> tuple[tuple[str, str], ...]:
        """System and code of each token of a parameter. A parameter that stands twice would have to be met twice."""
        values = self.sent.getlist(name)
        if len(values) > 1:
            _refuse(name, "stands more than once; write alternatives with a comma")
        parts = [_part(one) for one in _UNESCAPED_COMMA.split(values[0])] if values else []
        if any(not code for _, code in parts):
            _refuse(name, "has a token without a code")
        return tuple(parts)

    def codes(self, name: str) -> tuple[str, ...]:
        return tuple(code for _, code in self.tokens(name))

    def span(self, name: str) -> Span:
        """The time that all values of a parameter leave."""
        found = ALWAYS
        for value in self.sent.getlist(name):
            found = _both(found, _span(name, value))
        return found

    def count(self) -> int:
        """How many are wanted in a page; more than there may be are as many as there may be."""
        text = self.sent.get("_count", str(PAGE))
        if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) == 0:
            _refuse("_count", "is not a number from 1 on")
        return min(int(text), MAX_PAGE)

    def whom(self) -> list[str]:
        """The names of the parameters that name patients."""
        return [name for name in self.sent if re.split("[.:]", name)[0] in _WHO]

    def patients(self, connection: Connection) -> tuple[str, ...] | None:
        """Our own names for the patients who are meant; None when none is named.

        Raises ``Ambiguous`` where an identifier without a system is that of several.
        """
        found: set[str] | None = None
        for name in self.whom():
            for value in self.sent.getlist(name):
                mine = set(_those(connection, name, value))
                found = mine if found is None else found & mine
        auditing.about_each(found or ())
        return None if found is None else tuple(sorted(found))


def _known(kind: str) -> Collection[str]:
    names = [name for name, _, _ in SEARCHES[kind]]
    who = [name for name in names if name in _WHO]
    modified = [f"{name}{end}" for name in who for end in (":identifier", ".identifier", ":Patient")]
    return [*names, *modified, *sorted(_CONTROLS)]


def _unknown(name: str, known: Iterable[str]) -> Fault:
    return Fault(
        pointer=name, code="parameter-unknown", detail="is not a parameter here", hint=f"known: {', '.join(known)}"
    )


def _refuse(name: str, detail: str, *, hint: str | None = None) -> NoReturn:
    raise BadInput([Fault(pointer=name, code="parameter-invalid", detail=detail, hint=hint)], kind="invalid-query")


def _part(text: str) -> tuple[str, str]:
    system, bar, code = text.strip().partition("|")
    return (system, _unescaped(code)) if bar else ("", _unescaped(system))


def _unescaped(text: str) -> str:
    return re.sub(r"\\([,|$\\])", r"\1", text)


def _those(connection: Connection, name: str, value: str) -> Iterable[str]:
    for one in _UNESCAPED_COMMA.split(value):
        authority, identifier = _identifier(name, one)
        try:
            yield patients.named(connection, identifier, authority or None).id
        except NotFound:
            continue


def _identifier(name: str, text: str) -> tuple[str, str]:
    """Authority and identifier of a patient."""
    if name.endswith("identifier"):
        found = _part(text)
    else:
        address = _URL.fullmatch(text.strip())
        found = ("", "") if address is None else (address[1] or "", address[2])
    if not found[1]:
        _refuse(name, "names no patient", hint="write patient:identifier=system|value")
    return found


def _both(one: Span, other: Span) -> Span:
    since = [at for at in (one.since, other.since) if at is not None]
    until = [at for at in (one.until, other.until) if at is not None]
    return Span(since=max(since, default=None), until=min(until, default=None))


def _span(name: str, text: str) -> Span:
    """The time that a date with a prefix means."""
    found = _MOMENT.fullmatch(text)
    try:
        begin, end = _interval(found.groups()[1:]) if found else _refuse_date(name)
    except (ValueError, OverflowError):
        _refuse_date(name)
    match found[1] if found else None:
        case "ge":
            return Span(since=begin)
        case "gt" | "sa":
            return Span(since=end)
        case "le":
            return Span(until=end)
        case "lt" | "eb":
            return Span(until=begin)
        case _:
            return Span(since=begin, until=end)


def _refuse_date(name: str) -> NoReturn:
    _refuse(name, "is not a date", hint="write for example ge2026-11-20, or 2026-11-20T08:12:00Z (a plus sign is %2B)")


def _interval(parts: Sequence[str | None]) -> tuple[datetime, datetime]:
    """From when to when a date is meant, as exactly as it was written. A date without a time is one of UTC."""
    year, month, day, hour, minute, second, fraction, zone = parts
    whole = f"{year}-{month or '01'}-{day or '01'}T{hour or '00'}:{minute or '00'}:{second or '00'}"
    offset = "+00:00" if zone in (None, "Z") else str(zone).replace(" ", "+")
    begin = datetime.fromisoformat(f"{whole}{(fraction or '.0')[:7].ljust(7, '0')}{offset}").astimezone(UTC)
    if month is None:
        return begin, begin.replace(year=begin.year + 1)
    if day is None:
        return begin, (begin + timedelta(days=31)).replace(day=1)
    return begin, begin + _length(hour=hour, second=second, fraction=fraction)


def _length(*, hour: str | None, second: str | None, fraction: str | None) -> timedelta:
    if hour is None:
        return timedelta(days=1)
    if second is None:
        return timedelta(minutes=1)
    return timedelta(seconds=1) if fraction is None else timedelta(seconds=10 ** -(len(fraction) - 1))
