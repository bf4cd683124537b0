"""The quick way to read a native panel: one that is in order, in a few microseconds.

Law: it refuses nothing. It answers the panel that the schema would have answered, or None when anything is odd; then
the schema decides, and finds the words. What a field takes is asked of the schema's own fields.

A schema looks at every field in order to tell all faults at once, and a frozen dataclass sets every field through
``object``; each of the two costs more than the reading itself. So this walk stops at the first oddity and fills drafts.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from marshmallow import Schema, ValidationError

from service.domain.panels import Panel, Patient, Result, SentRange, Status, stricter
from service.domain.people import Sex
from service.formats.panel_shape import CLOCK, MAX_RESULTS, PanelShape, PatientShape, RangeShape, ResultShape


class _Odd(Exception):
    """Nothing for the quick way."""


def _draft(whole: type) -> type[Any]:
    """A class of objects that can be filled field by field, and then be told that they are ``whole`` ones.

    Both have the same slots, so Python lets an object change from one to the other. Checks that ``whole`` does when it
    is made would be passed over: a class that has any cannot be drafted.
    """
    if hasattr(whole, "__post_init__"):
        raise TypeError(f"{whole.__name__} checks itself when it is made; make it here by calling it")
    return type(f"{whole.__name__}Draft", (), {"__slots__": vars(whole)["__slots__"]})


def _reads(shape: Schema, *names: str) -> tuple[Callable[[Any], bool], list[Callable[[Any], Any]]]:
    """Has an object these names only; and the readings of the fields, in the order of the names.

    Raises ``TypeError`` when the names are not those of the shape: a field that is new there has to be read here too.
    """
    if set(names) != set(shape.fields):
        raise TypeError(f"{type(shape).__name__} has other fields than are read quickly")
    return frozenset(names).issuperset, [getattr(shape.fields[name], "read", _below) for name in names]


def _below(_: Any) -> Any:
    """Objects and lists are walked here, not read by their fields."""
    raise _Odd


def _remembering(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A reading that remembers: numbers, codes and words come again and again. What is long is left to the schema."""

    @lru_cache(_REMEMBERED, typed=True)
    def remembering(value: Any) -> Any:
        if len(value) > _LONGEST:
            raise _Odd
        return read(value)

    return remembering


_REMEMBERED, _LONGEST = 4_096, 60

_PanelDraft, _PatientDraft, _ResultDraft = _draft(Panel), _draft(Patient), _draft(Result)
_of_panel, (_, _accession, _collected, _issued, _panel_status, _, _panel_note) = _reads(
    PanelShape(), "patient", "accession", "collected_at", "issued_at", "status", "results", "note"
)
_of_patient, (_identifier, _authority, _sex, _born, _name, _pregnant, _trimester, _age) = _reads(
    PatientShape(), "id", "authority", "sex", "birth_date", "name", "pregnant", "trimester", "age_years"
)
_of_result, (_id, _analyte, _code, _value, _comparator, _unit, _, _status, _note) = _reads(
    ResultShape(), "id", "analyte", "code", "value", "comparator", "unit", "reference_range", "status", "note"
)
_of_range, (_low, _high, _range_unit) = _reads(RangeShape(), "low", "high", "unit")
_known_code, _known_value = _remembering(_code), _remembering(_value)
_known_sex, _known_status = _remembering(_sex), _remembering(_status)
_POINTERS = tuple(f"/results/{place}" for place in range(MAX_RESULTS))
_STRICTER = {one: {other: stricter(one, other) for other in Status} for one in Status}


def read(sent: Any, *, now: datetime) -> Panel | None:
    """The panel in a JSON value that was received ``now``, or None when the schema has to look at it."""
    try:
        panel: Panel = _panel(sent, now + CLOCK)
    except (_Odd, ValidationError, KeyError, TypeError):
        return None
    return panel


def _panel(sent: Any, latest: datetime) -> Any:
    if type(sent) is not dict or not _of_panel(sent):
        raise _Odd
    patient, made = sent["patient"], _PanelDraft()
    made.patient = _patient(patient)
    made.pregnant, made.trimester, made.age_years = _at_collection(patient)
    made.collected_at = collected = _collected(sent["collected_at"])
    made.issued_at = issued = None if (one := sent.get("issued_at")) is None else _issued(one)
    if collected > latest or (issued is not None and issued > latest):
        raise _Odd
    made.accession = None if (one := sent.get("accession")) is None else _accession(one)
    made.note = None if (one := sent.get("note")) is None else _panel_note(one)
    made.results = _results(
        sent["results"], Status.FINAL if (one := sent.get("status")) is None else _panel_status(one)
    )
    made.__class__ = Panel
    return made


def _patient(sent: Any) -> Any:
    if type(sent) is not dict or not _of_patient(sent):
        raise _Odd
    made = _PatientDraft()
    made.identifier = _identifier(sent["id"])
    made.authority = None if (one := sent.get("authority")) is None else _authority(one)
    made.sex = Sex.UNKNOWN if (one := sent.get("sex")) is None else _known_sex(one)
    made.born = None if (one := sent.get("birth_date")) is None else _born(one)
    made.name = None if (one := sent.get("name")) is None else _name(one)
    made.__class__ = Patient
    return made


def _at_collection(patient: dict[str, Any]) -> tuple[bool | None, int | None, int | None]:
    """Pregnant, trimester and age, which belong to the collection and not to the person."""
    pregnant = None if (one := patient.get("pregnant")) is None else _pregnant(one)
    trimester = None if (one := patient.get("trimester")) is None else _trimester(one)
    if trimester is not None and pregnant is False:
        raise _Odd
    return pregnant, trimester, None if (one := patient.get("age_years")) is None else _age(one)


def _results(sent: Any, status: Status) -> tuple[Any, ...]:
    if type(sent) is not list or not 0 < len(sent) <= MAX_RESULTS:
        raise _Odd
    return tuple([_result(one, _POINTERS[place], status) for place, one in enumerate(sent)])


def _result(sent: Any, pointer: str, of_panel: Status) -> Any:
    if type(sent) is not dict or not _of_result(sent):
        raise _Odd
    made = _ResultDraft()
    made.pointer = pointer
    made.sender_id = None if (one := sent.get("id")) is None else _id(one)
    made.analyte = analyte = None if (one := sent.get("analyte")) is None else _analyte(one)
    made.code = code = (
        None if (one := sent.get("code")) is None else _known_code(one) if type(one) is str else _code(one)
    )
    if analyte is None and code is None:
        raise _Odd
    made.text, made.number = _known_value(sent["value"])
    made.comparator = "" if (one := sent.get("comparator")) is None else _comparator(one)
    made.unit = _unit(sent["unit"])
    made.range = None if (one := sent.get("reference_range")) is None else _range(one)
    made.status = of_panel if (one := sent.get("status")) is None else _STRICTER[of_panel][_known_status(one)]
    made.note = None if (one := sent.get("note")) is None else _note(one)
    # What only other formats say.
    made.other_codes = made.interpretation = ()
    made.upper = made.absent = made.mapped = None
    made.promotes = False
    made.__class__ = Result
    return made


def _range(sent: Any) -> SentRange | None:
    if type(sent) is not dict or not _of_range(sent):
        raise _Odd
    return _range_of(sent.get("low"), sent.get("high"), sent.get("unit"))


@lru_cache(_REMEMBERED, typed=True)
def _range_of(low: Any, high: Any, unit: Any) -> SentRange | None:
    if any(isinstance(one, str) and len(one) > _LONGEST for one in (low, high, unit)):
        raise _Odd
    lower = None if low is None else _low(low)[1]
    upper = None if high is None else _high(high)[1]
    said = None if unit is None else _range_unit(unit)
    if lower is not None and upper is not None and lower > upper:
        raise _Odd
    return None if lower is None and upper is None else SentRange(low=lower, high=upper, unit=said)


def joined(panels: Sequence[Panel]) -> Panel:
    """One panel with the results of several, in their order; everything else is that of the first."""
    sent = [result for panel in panels for result in panel.results]
    results = tuple(_with(one, _ResultDraft, pointer=_POINTERS[place]) for place, one in enumerate(sent))
    whole: Panel = _with(panels[0], _PanelDraft, results=results)
    return whole


def _with(one: Any, draft: type[Any], **changed: Any) -> Any:
    """The same with other values in some fields: ``dataclasses.replace`` at a third of its price."""
    made = draft()
    for name in draft.__slots__:
        setattr(made, name, changed[name] if name in changed else getattr(one, name))
    made.__class__ = type(one)
    return made
