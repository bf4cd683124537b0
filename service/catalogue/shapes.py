"""The shape of the catalogue's files.

Law: a key that is not described here is a fault, so that a misspelled one can never be silently ignored.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from service.domain.errors import BadCatalogue
from service.domain.quantities import parse_decimal
from service.domain.rules import Direction, Finding, Severity


class Strict(Schema):
    class Meta:
        unknown = RAISE


def _is_number(text: str) -> None:
    try:
        parse_decimal(text)
    except ValueError:
        raise ValidationError("not a decimal number in quotes") from None


def text(*, required: bool = True, **options: Any) -> fields.String:
    return fields.String(required=required, validate=validate.Length(min=1), **options)


def number(*, required: bool = True) -> fields.String:
    return fields.String(required=required, validate=_is_number)


def texts() -> fields.List[str]:
    return fields.List(text(), load_default=list)


def stated(*, required: bool = False) -> fields.Dict:
    return fields.Dict(keys=text(), values=number(), required=required, validate=validate.Length(min=1))


class PopulationShape(Strict):
    population = text()
    sex = fields.String(validate=validate.OneOf(["female", "male"]))
    age_from = text(required=False)
    age_to = text(required=False)
    pregnancy = fields.String(load_default="no", validate=validate.OneOf(["no", "yes", "any"]))
    trimester = fields.List(fields.Integer(validate=validate.Range(1, 3)), validate=validate.Length(min=1))


class IntervalShape(PopulationShape):
    low = stated()
    high = stated()
    source = text()
    high_source = text(required=False)
    note = text(required=False)


class NotEstablishedShape(PopulationShape):
    reason = text()


class UnitShape(Strict):
    code = text()
    family = text()
    factor = number()
    spellings = texts()
    exact = texts()


class PlausibleShape(Strict):
    low = number()
    high = number()
    low_excluded = fields.Boolean(load_default=False)
    source = text()


class LaboratoryLimitsShape(Strict):
    lower = fields.List(number(), required=True, validate=validate.Length(equal=2))
    upper = fields.List(number(), required=True, validate=validate.Length(equal=2))
    source = text()


class SourceShape(Strict):
    title = text()
    url = fields.Url(schemes={"https", "http"})
    evidence = fields.String(
        load_default="confirmed", validate=validate.OneOf(["confirmed", "transcribed", "judgement"])
    )


class AnalyteShape(Strict):
    key = text()
    name = text()
    aliases = texts()
    canonical_unit = text()
    loinc = fields.Dict(keys=text(), values=text(), load_default=dict)
    unit = fields.List(fields.Nested(UnitShape), required=True, validate=validate.Length(min=1))
    plausible = fields.Nested(PlausibleShape, required=True)
    laboratory_limits = fields.Nested(LaboratoryLimitsShape, required=True)
    interval = fields.List(fields.Nested(IntervalShape), required=True, validate=validate.Length(min=1))
    not_established = fields.List(fields.Nested(NotEstablishedShape), load_default=list)
    sources = fields.Dict(keys=text(), values=fields.Nested(SourceShape), required=True)


def _is_end(value: object) -> None:
    """One end of a row: the word "limit", a multiple of it, or numbers by unit."""
    if isinstance(value, dict):
        stated().deserialize(value)
    elif value != "limit":
        raise ValidationError('write "limit", { times = "2.5" } or numbers by unit')


def end() -> fields.Raw:
    return fields.Raw(validate=_is_end)


class RowShape(Strict):
    above = end()
    up_to = end()
    below = end()
    down_to = end()
    severity = fields.Enum(Severity, by_value=True, required=True)
    grade = text(required=False)
    rests_on = text()
    sources = texts()


class ExampleShape(Strict):
    value = text()
    limit = number()
    severity = fields.Enum(Severity, by_value=True)
    grade = text(required=False)


class ClassShape(PopulationShape):
    mild = stated(required=True)
    moderate = stated(required=True)
    severe = stated(required=True)


class ClassificationShape(Strict):
    scale = text()
    direction = fields.Enum(Direction, by_value=True, required=True)
    sources = texts()
    class_ = fields.List(fields.Nested(ClassShape), required=True, data_key="class")
    not_defined = fields.List(fields.Nested(PopulationShape), load_default=list)


class RuleShape(Strict):
    key = text()
    finding = fields.Enum(Finding, by_value=True, required=True)
    analytes = fields.List(text(), required=True, validate=validate.Length(min=1))
    direction = fields.Enum(Direction, by_value=True, required=True)
    scale = text()
    row = fields.List(fields.Nested(RowShape), required=True, validate=validate.Length(min=1))
    example = fields.List(fields.Nested(ExampleShape), required=True)
    classification = fields.Nested(ClassificationShape)


class PatternShape(Strict):
    key = text()
    finding = fields.Enum(Finding, by_value=True, required=True)
    of = fields.List(fields.Enum(Finding, by_value=True), required=True)
    at_least = fields.Integer(required=True, validate=validate.Range(min=2))
    severity = fields.Enum(Severity, by_value=True, required=True)
    rests_on = text()
    sources = texts()


class RuleSetShape(Strict):
    version = text()
    title = text()
    published = fields.Raw(required=True)
    sources = fields.Dict(keys=text(), values=fields.Nested(SourceShape), required=True)
    precedence = fields.Dict(keys=fields.Enum(Finding, by_value=True), values=texts(), load_default=dict)
    rule = fields.List(fields.Nested(RuleShape), required=True, validate=validate.Length(min=1))
    pattern = fields.List(fields.Nested(PatternShape), load_default=list, validate=validate.Length(max=1))


class SeverityNoteShape(Strict):
    opening = text()
    seek_help = text()


class NoteSourceShape(Strict):
    title = text()
    url = fields.Url(schemes={"https", "http"})


class NoteShape(Strict):
    finding = fields.Enum(Finding, by_value=True, required=True)
    title = text()
    reviewed = fields.Raw(required=True)
    what = text()
    symptoms = fields.List(text(), required=True, validate=validate.Length(min=1))
    causes = fields.List(text(), required=True, validate=validate.Length(min=1))
    follows = text()
    severity = fields.Dict(
        keys=fields.Enum(Severity, by_value=True), values=fields.Nested(SeverityNoteShape), required=True
    )
    source = fields.List(fields.Nested(NoteSourceShape), required=True, validate=validate.Length(min=1))


class IntendedUseShape(Strict):
    text = text()


def read(shape: type[Schema], data: Mapping[str, Any]) -> dict[str, Any]:
    """The data in its shape. Raises ``BadCatalogue`` for the first place that does not fit."""
    try:
        loaded: dict[str, Any] = shape().load(data)
    except ValidationError as error:
        path, detail = _first(error.messages)
        raise BadCatalogue(detail, place=_place(path, data), row=_row(path)) from None
    return loaded


def _first(messages: Any) -> tuple[tuple[str | int, ...], str]:
    if isinstance(messages, Mapping):
        key, below = next(iter(messages.items()))
        path, detail = _first(below)
        return (key, *path), detail
    return (), str(messages[0])


def _place(path: Sequence[str | int], data: Any) -> str:
    """The path in words; an entry with a key or a name is called by it."""
    words: list[str] = []
    for step in path:
        data = _below(data, step)
        named = data.get("key") or data.get("population") if isinstance(data, Mapping) else None
        words.append(
            str(named) if named and isinstance(step, int) else f"{step + 1}" if isinstance(step, int) else step
        )
    return " ".join(words)


def _below(data: Any, step: str | int) -> Any:
    try:
        return data[step]
    except (KeyError, IndexError, TypeError):
        return None


def _row(path: Sequence[str | int]) -> int | None:
    for name, step in pairwise(path):
        if name == "row" and isinstance(step, int):
            return step + 1
    return None
