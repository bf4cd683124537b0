"""What is wrong with a body that does not have its shape: every fault, with its place.

Law: a fault of a shape is told in the same words whatever the body is about.
"""

from collections.abc import Iterator, Mapping, Sized
from difflib import get_close_matches
from typing import Any, TypeVar

from marshmallow import Schema, ValidationError
from marshmallow.fields import List, Nested
from marshmallow.validate import Length

from service.domain.errors import Fault
from service.formats.fields import Said, refuse
from service.formats.strict_json import escape, listed

Sent = TypeVar("Sent", bound=Sized)


class AtMost(Length):
    """Refuses lists that have more entries."""

    def __init__(self, count: int) -> None:
        super().__init__(max=count)

    def __call__(self, value: Sent) -> Sent:
        if self.max is not None and len(value) > self.max:
            raise refuse(f"must have at most {self.max} entries", "too-many")
        return value


def faults_of(error: ValidationError, schema: Schema) -> list[Fault]:
    """Every fault that a schema has found."""
    return listed(_faults(error.messages, "", schema))


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
    code, detail = _WORDS[said]
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
