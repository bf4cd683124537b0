"""The shape of a native panel, as it is published and as it is read.

Law: what the service promises in its documentation is the very schema that reads.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, validates_schema
from marshmallow.fields import List, Nested
from marshmallow.validate import Length

from service.domain.panels import Status
from service.domain.people import Sex
from service.formats.fields import (
    ChoiceField,
    CodeField,
    DayField,
    DecimalField,
    InstantField,
    Said,
    SwitchField,
    TextField,
    UnitField,
    WholeField,
)

MAX_RESULTS = 200
MAX_NAME = 255
# A clock of a sender may be wrong by hours; a collection later than this is a wrong date.
CLOCK = timedelta(hours=24)


def _about(description: str, example: Any = None) -> dict[str, Any]:
    return {"description": description, **({} if example is None else {"example": example})}


class Strict(Schema):
    class Meta:
        unknown = RAISE


class PatientShape(Strict):
    """Who the results are from."""

    id = TextField(
        required=True,
        longest=MAX_NAME,
        metadata=_about("Your identifier for the patient; compared exactly.", "88204113"),
    )
    authority = TextField(
        allow_none=True,
        longest=MAX_NAME,
        metadata=_about(
            "Who assigned the identifier. Without it, it counts beside the key's source only.", "hospital-a"
        ),
    )
    sex = ChoiceField(Sex, allow_none=True, metadata=_about("Administrative sex.", "female"))
    birth_date = DayField(allow_none=True, metadata=_about("Date of birth.", "1968-03-14"))
    name = TextField(allow_none=True, metadata=_about("Kept only where the operator has chosen to keep names."))
    pregnant = SwitchField(allow_none=True, metadata=_about("Pregnant at this collection."))
    trimester = WholeField(1, 3, allow_none=True, metadata=_about("Trimester at this collection; implies pregnant."))
    age_years = WholeField(
        0, 130, allow_none=True, metadata=_about("Completed years at this collection, where no birth date is known.")
    )

    @validates_schema(skip_on_field_errors=False)
    def _check_pregnancy(self, data: Mapping[str, Any], **_: Any) -> None:
        if data.get("trimester") is not None and data.get("pregnant") is False:
            raise ValidationError(Said("contradicts pregnant: false", "contradiction"), "trimester")


class RangeShape(Strict):
    """The laboratory's reference range."""

    low = DecimalField(allow_none=True, metadata=_about("Lower limit, inclusive.", "8.6"))
    high = DecimalField(allow_none=True, metadata=_about("Upper limit, inclusive.", "10.3"))
    unit = TextField(allow_none=True, metadata=_about("Unit of the limits where it is not the result's own."))

    @validates_schema
    def _check_order(self, data: Mapping[str, Any], **_: Any) -> None:
        low, high = data.get("low"), data.get("high")
        if low is not None and high is not None and low[1] > high[1]:
            raise ValidationError(Said("lies below the lower limit", "range-inverted"), "high")


class ResultShape(Strict):
    """One result."""

    id = TextField(allow_none=True, metadata=_about("Your id of the result; the best way to correct it later.", "R-77"))
    analyte = TextField(allow_none=True, metadata=_about("Key or alias of an analyte (GET /v1/analytes).", "calcium"))
    code = CodeField(allow_none=True, metadata=_about("LOINC code, or {system, code}.", "17861-6"))
    value = DecimalField(required=True, metadata=_about("The number, kept to the letter.", "11.9"))
    comparator = TextField(
        allow_none=True, metadata=_about("How the true value lies to the number: <, <=, >=, >.", "<")
    )
    unit = UnitField(required=True, metadata=_about("Unit as reported.", "mg/dL"))
    reference_range = Nested(RangeShape, allow_none=True)
    status = ChoiceField(Status, allow_none=True, metadata=_about("Status of the result; the panel's where left out."))
    note = TextField(allow_none=True, metadata=_about("A remark of the laboratory."))

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _check_name(self, _: Mapping[str, Any], sent: Any, **__: Any) -> None:
        # What was sent is asked: a name of the wrong type has its own fault already.
        if isinstance(sent, Mapping) and sent.get("analyte") is None and sent.get("code") is None:
            hint = "name the analyte, or give its LOINC code"
            raise ValidationError(Said("is required where there is no code", "required", hint), "analyte")


class PanelShape(Strict):
    """The results of one specimen or collection."""

    patient = Nested(PatientShape, required=True)
    accession = TextField(
        allow_none=True, metadata=_about("Laboratory's number of the specimen or order.", "A-2026-000123")
    )
    collected_at = InstantField(
        required=True, metadata=_about("When the specimen was taken.", "2026-11-20T08:12:00+01:00")
    )
    issued_at = InstantField(
        allow_none=True, metadata=_about("When the laboratory released this version; tells versions apart.")
    )
    status = ChoiceField(Status, allow_none=True, metadata=_about("Status of all results; the stricter one counts."))
    results = List(Nested(ResultShape), required=True, validate=Length(min=1, max=MAX_RESULTS))
    note = TextField(allow_none=True, metadata=_about("A remark on the panel."))
