"""The map of a source as JSON: how it is sent, and kept in files.

Law: strict, like the native panels: what is not understood is refused with its place.
"""

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from marshmallow import ValidationError
from marshmallow.fields import List, Nested

from service.domain.errors import BadInput
from service.domain.source_maps import KIND, NAME, MappedCode, MappedUnit, SourceMap
from service.formats.fields import TextField, UnitField, refuse
from service.formats.panel_shape import Strict
from service.formats.shape_faults import AtMost, faults_of
from service.formats.strict_json import parse

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
    codes = List(Nested(MappedCodeShape), validate=AtMost(MOST))
    units = List(Nested(MappedUnitShape), validate=AtMost(MOST))


_SHAPE = SourceMapShape()


def read(body: bytes, *, name: str) -> SourceMap:
    """The map in a body. Raises ``BadInput`` with every fault of shape; what it means is checked elsewhere."""
    sent = parse(body)
    try:
        shaped: Any = _SHAPE.load(sent)
    except ValidationError as error:
        raise BadInput(faults_of(error, _SHAPE), kind=KIND) from None
    return SourceMap(
        name=name,
        zone=shaped.get("zone"),
        codes=tuple(MappedCode(**one) for one in shaped.get("codes", ())),
        units=tuple(MappedUnit(**one) for one in shaped.get("units", ())),
    )
