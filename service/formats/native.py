"""The native JSON format: one panel in a message.

Law: the schema alone refuses. What the quick reader takes, the schema would have taken, and read the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from itertools import chain
from typing import Any

from marshmallow import Schema, ValidationError
from marshmallow.fields import List, Nested

from service.domain.errors import BadInput, Fault
from service.domain.panels import Panel, Patient, Result, SentRange, Status, stricter
from service.domain.people import Sex
from service.formats import quick
from service.formats.fields import Said
from service.formats.panel_shape import CLOCK, MAX_RESULTS, PanelShape
from service.formats.strict_json import escape, listed, parse

MEDIA_TYPE = "application/json"

_SHAPE = PanelShape()


def read(body: bytes, *, now: datetime) -> Panel:
    """The panel in a message received ``now``.

    Raises ``BadInput`` with every fault of shape in it; faults of meaning are for the judgement to find.
    """
    return read_value(parse(body), now=now)


def read_value(sent: Any, *, now: datetime) -> Panel:
    """The panel in a JSON value as ``strict_json.parse`` answers it. Raises ``BadInput``."""
    return quick.read(sent, now=now) or read_with_schema(sent, now=now)


def read_with_schema(sent: Any, *, now: datetime) -> Panel:
    """The same at 20 times the price: every field is looked at, so that every fault can be told."""
    _check_length(sent)
    try:
        shaped: Any = _SHAPE.load(sent)
        faults = list(_future(shaped, now, sent))
    except ValidationError as error:
        valid = error.valid_data if isinstance(error.valid_data, dict) else {}
        faults = listed(chain(_faults(error.messages, sent), _future(valid, now, sent)))
    if faults:
        raise BadInput(faults)
    return _panel(shaped)


def _check_length(sent: Any) -> None:
    """Refuse a panel of far too many results before any of them is looked at."""
    results = sent.get("results") if isinstance(sent, dict) else None
    if isinstance(results, list) and len(results) > MAX_RESULTS:
        detail = f"must have 1 to {MAX_RESULTS} entries"
        raise BadInput([Fault(pointer="/results", code="too-many", detail=detail, hint="send several panels")])


def _future(shaped: Mapping[str, Any], now: datetime, sent: Any) -> Iterator[Fault]:
    for name in ("collected_at", "issued_at"):
        moment = shaped.get(name)
        if moment is not None and moment > now + CLOCK:
            yield Fault(
                pointer=f"/{name}", code="time-in-future", detail="lies in the future", value=_shown(sent[name])
            )


def _faults(messages: Any, sent: Any) -> Iterator[Fault]:
    for path, said in _leaves(messages, ()):
        yield _fault(path, said, sent)


def _leaves(messages: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(messages, Mapping):
        for step, below in messages.items():
            # marshmallow's place for what is wrong with an object as a whole; a sender may use the name for a field.
            whole = step == "_schema" and below == ["Invalid input type."]
            yield from _leaves(below, path if whole else (*path, step))
    else:
        yield from ((path, said) for said in messages)


# What marshmallow itself says, in our words: (code, detail).
_WORDS = {
    "Missing data for required field.": ("required", "is required"),
    "Unknown field.": ("unknown-field", "is not a field here"),
    "Field may not be null.": ("null", "must not be null"),
    "Invalid input type.": ("type", "must be an object"),
    "Not a valid list.": ("type", "must be a list"),
}


def _fault(path: Sequence[str | int], said: str, sent: Any) -> Fault:
    pointer = "".join(f"/{escape(step)}" for step in path)
    if isinstance(said, Said):
        code, detail, hint = said.code, str(said), said.hint
    else:
        code, detail = _WORDS.get(said, ("empty", f"must have 1 to {MAX_RESULTS} entries"))
        hint = _nearest(path) if code == "unknown-field" else None
    return Fault(pointer=pointer, code=code, detail=detail, value=_shown(_at(sent, path)), hint=hint)


def _nearest(path: Sequence[str | int]) -> str | None:
    """The known name most like an unknown one."""
    schema: Schema = _SHAPE
    for step in path[:-1]:
        if isinstance(step, str):
            below = schema.fields[step]
            inner = below.inner if isinstance(below, List) else below
            schema = inner.schema if isinstance(inner, Nested) else schema
    close = get_close_matches(str(path[-1]), schema.fields, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(schema.fields)}"


def _at(sent: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        try:
            sent = sent[step]
        except (KeyError, IndexError, TypeError):
            return None
    return sent


def _shown(value: Any) -> Any:
    """What was sent, short enough to be shown back to the sender."""
    if isinstance(value, str):
        return value if len(value) <= 100 else f"{value[:100]}…"
    return value if value is None or isinstance(value, bool) else None


def _panel(shaped: Mapping[str, Any]) -> Panel:
    patient = shaped["patient"]
    status = shaped.get("status") or Status.FINAL
    return Panel(
        patient=Patient(
            identifier=patient["id"],
            authority=patient.get("authority"),
            sex=patient.get("sex") or Sex.UNKNOWN,
            born=patient.get("birth_date"),
            name=patient.get("name"),
        ),
        collected_at=shaped["collected_at"],
        issued_at=shaped.get("issued_at"),
        accession=shaped.get("accession"),
        pregnant=patient.get("pregnant"),
        trimester=patient.get("trimester"),
        age_years=patient.get("age_years"),
        note=shaped.get("note"),
        results=tuple(_result(index, one, status) for index, one in enumerate(shaped["results"])),
    )


def _result(index: int, shaped: Mapping[str, Any], of_panel: Status) -> Result:
    text, number = shaped["value"]
    return Result(
        pointer=f"/results/{index}",
        sender_id=shaped.get("id"),
        analyte=shaped.get("analyte"),
        code=shaped.get("code"),
        text=text,
        number=number,
        comparator=shaped.get("comparator") or "",
        unit=shaped["unit"],
        range=_range(shaped.get("reference_range")),
        status=stricter(of_panel, shaped.get("status") or of_panel),
        note=shaped.get("note"),
    )


def _range(shaped: Mapping[str, Any] | None) -> SentRange | None:
    low, high = (shaped.get("low"), shaped.get("high")) if shaped else (None, None)
    if shaped is None or (low is None and high is None):
        return None
    return SentRange(low=low and low[1], high=high and high[1], unit=shaped.get("unit"))
