"""The map of a source as JSON: how it is sent, and kept in files.

Law: strict, like the native panels: what is not understood is refused with its place.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from marshmallow import Schema, ValidationError
from marshmallow.fields import List, Nested
from marshmallow.validate import Length

from service.domain.errors import BadInput, Fault
from service.domain.source_maps import KIND, NAME, MappedCode, MappedUnit, SourceMap
from service.formats.fields import Said, TextField, UnitField, refuse
from service.formats.panel_shape import Strict
from service.formats.strict_json import escape, listed, parse

MEDIA_TYPE = "application/json"
MOST = 5_000


def _about(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "example": example}


class ZoneField(TextField):
    """The name of a time zone in the IANA database."""

    def read(self, value: Any) -> str:
        text = super().read(value)
        try:
            return ZoneInfo(text).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise refuse("is not a time zone", "zone-unknown", "write for example Europe/Berlin") from None


class SystemField(UnitField):
    """A code system; empty for codes that are sent without one."""


class MappedCodeShape(Strict):
    """A code of the source, or a name, and the analyte that it is."""

    system = SystemField(
        required=True,
        metadata=_about(f"System of the code, as the list of unmapped codes has it; {NAME}: a name.", NAME),
    )
    code = TextField(required=True, metadata=_about("The code, or the name.", "HGB-X"))
    analyte = TextField(required=True, metadata=_about("Key of an analyte (GET /v1/analytes).", "hemoglobin"))


class MappedUnitShape(Strict):
    """A spelling of the source, and the unit that it is."""

    analyte = TextField(required=True, metadata=_about("Key of the analyte of which it is a unit.", "hemoglobin"))
    spelling = TextField(required=True, metadata=_about("The unit as the source spells it.", "g%"))
    unit = TextField(required=True, metadata=_about("Code of a unit of the analyte (GET /v1/analytes).", "g/dL"))


class SourceMapShape(Strict):
    """What the codes, names and units of a source are in the catalogue."""

    zone = ZoneField(
        allow_none=True,
        metadata=_about("Time zone (IANA) of HL7 v2 times that say no offset; UTC where left out.", "Europe/Vienna"),
    )
    codes = List(Nested(MappedCodeShape), validate=Length(max=MOST))
    units = List(Nested(MappedUnitShape), validate=Length(max=MOST))


_SHAPE = SourceMapShape()


def read(body: bytes, *, name: str) -> SourceMap:
    """The map in a body. Raises ``BadInput`` with every fault of shape; what it means is checked elsewhere."""
    sent = parse(body)
    try:
        shaped: Any = _SHAPE.load(sent)
    except ValidationError as error:
        raise BadInput(listed(_faults(error.messages, "", _SHAPE)), kind=KIND) from None
    return SourceMap(
        name=name,
        zone=shaped.get("zone"),
        codes=tuple(MappedCode(**one) for one in shaped.get("codes", ())),
        units=tuple(MappedUnit(**one) for one in shaped.get("units", ())),
    )


def _faults(messages: Any, pointer: str, schema: Schema | None) -> Iterator[Fault]:
    if not isinstance(messages, Mapping):
        yield from (_fault(said, pointer, schema) for said in messages)
        return
    for step, below in messages.items():
        whole = step == "_schema" and below == ["Invalid input type."]
        place = pointer if whole else f"{pointer}/{escape(step)}"
        yield from _faults(below, place, schema if isinstance(step, int) else _below(schema, step, below))


def _below(schema: Schema | None, step: str, below: Any) -> Schema | None:
    """The shape of what stands in a field; that of the object itself where the field is unknown to it."""
    field = schema.fields.get(step) if schema is not None else None
    inner = field.inner if isinstance(field, List) else field
    return inner.schema if isinstance(inner, Nested) and isinstance(below, Mapping) else schema


def _fault(said: str, pointer: str, schema: Schema | None) -> Fault:
    if isinstance(said, Said):
        return Fault(pointer=pointer, code=said.code, detail=str(said), hint=said.hint)
    code, detail = _WORDS.get(said, ("too-many", f"must have at most {MOST} entries"))
    hint = _nearest(pointer, schema) if code == "unknown-field" and schema is not None else None
    return Fault(pointer=pointer, code=code, detail=detail, hint=hint)


def _nearest(pointer: str, schema: Schema) -> str:
    close = get_close_matches(pointer.rpartition("/")[2], schema.fields, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(schema.fields)}"


_WORDS = {
    "Missing data for required field.": ("required", "is required"),
    "Unknown field.": ("unknown-field", "is not a field here"),
    "Field may not be null.": ("null", "must not be null"),
    "Invalid input type.": ("type", "must be an object"),
    "Not a valid list.": ("type", "must be a list"),
}
