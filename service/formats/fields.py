"""The fields that native messages are made of, each with one strict reading.

Law: a value of the wrong type is refused, not converted, and each refusal says what would be accepted. A field has one
reading, ``read``, whoever asks for it: the schema, or the quick reader.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from marshmallow import ValidationError
from marshmallow.fields import Field

from service.domain.panels import Code
from service.domain.quantities import parse_decimal
from service.domain.texts import says_something
from service.formats.strict_json import Number

Read = TypeVar("Read")

MAX_TEXT = 1_000
# What a field says of itself in the OpenAPI document.
Described = dict[str, Any]
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII | re.IGNORECASE)
_COMPLETE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_INSTANT_HINT = "write for example 2026-11-20T08:12:00+01:00"
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EARLIEST = date(1850, 1, 1)
_EARLIEST_INSTANT = datetime(1850, 1, 1, tzinfo=UTC)


class Said(str):
    """What is wrong, with a stable code and perhaps a hint."""

    __slots__ = ("code", "hint")
    code: str
    hint: str | None

    def __new__(cls, text: str, code: str, hint: str | None = None) -> "Said":
        said = super().__new__(cls, text)
        said.code, said.hint = code, hint
        return said


def refuse(text: str, code: str, hint: str | None = None) -> ValidationError:
    """The refusal of a value."""
    return ValidationError(Said(text, code, hint))


class _OneReading(Field[Read]):
    """A field that the schema reads as everybody else does."""

    def read(self, value: Any) -> Read:
        """What a value that is not null says. Raises ``ValidationError``."""
        raise NotImplementedError

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Read:
        return self.read(value)


class TextField(_OneReading[str]):
    """Text that says something: not empty, and of bounded length."""

    def __init__(self, *, longest: int = MAX_TEXT, **options: Any) -> None:
        super().__init__(**options)
        self.longest = longest
        self.described: Described = {"type": "string", "minLength": 1, "maxLength": longest}

    def read(self, value: Any) -> str:
        # What nearly everybody sends, at the price of one test; everything else has its own refusal below.
        if type(value) is str and len(value) <= self.longest and says_something(value):
            return value
        return self._unusual(value)

    def _unusual(self, value: Any) -> str:
        if isinstance(value, Number) or not isinstance(value, str):
            raise refuse("must be text", "type", "put it into quotes" if isinstance(value, Number) else None)
        if not says_something(value):
            raise refuse("must not be empty", "empty")
        if len(value) > self.longest:
            raise refuse(f"must have at most {self.longest} characters", "too-long")
        return value


class UnitField(TextField):
    """Text that may be empty: an empty unit is an unknown one, which is a fault of meaning."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.described = {"type": "string", "maxLength": MAX_TEXT}

    def _unusual(self, value: Any) -> str:
        return value if value == "" else super()._unusual(value)


class ChoiceField(TextField):
    """One of a few words."""

    def __init__(self, words: type[Any], *, shown: list[str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.shown = shown or [word.value for word in words]
        self.words = {text: words(text) for text in self.shown}
        self.described = {"type": "string", "enum": self.shown}

    def read(self, value: Any) -> Any:
        text = super().read(value)
        if text not in self.words:
            raise refuse("is not one of the accepted words", "not-a-choice", f"accepted: {', '.join(self.shown)}")
        return self.words[text]


class WholeField(_OneReading[int]):
    """A whole number within bounds."""

    def __init__(self, low: int, high: int, **options: Any) -> None:
        super().__init__(**options)
        self.low, self.high = low, high
        self.described = {"type": "integer", "minimum": low, "maximum": high}

    def read(self, value: Any) -> int:
        hint = f"accepted: {self.low} to {self.high}"
        if not isinstance(value, Number) or not re.fullmatch(r"-?\d{1,9}", value, re.ASCII):
            raise refuse("must be a whole number", "type", hint)
        if not self.low <= int(value) <= self.high:
            raise refuse("is out of range", "out-of-range", hint)
        return int(value)


class SwitchField(_OneReading[bool]):
    """true or false."""

    described: Described = {"type": "boolean"}

    def read(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise refuse("must be true or false", "type")
        return value


class DecimalField(_OneReading[tuple[str, Decimal]]):
    """A JSON number or a decimal in quotes; answers its text to the letter and the number."""

    described: Described = {
        "oneOf": [{"type": "number"}, {"type": "string", "pattern": r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?$"}]
    }

    def read(self, value: Any) -> tuple[str, Decimal]:
        if not isinstance(value, str):
            raise refuse("must be a number or a decimal in quotes", "type")
        text = value.strip()
        try:
            return text, parse_decimal(text)
        except ValueError as error:
            raise self._refusal(text, str(error)) from None

    @staticmethod
    def _refusal(text: str, why: str) -> ValidationError:
        if "digits" in why:
            return refuse("has more than 30 digits or powers of ten", "number-out-of-range")
        if text[:1] in "<>=":
            hint = 'send the comparator by itself: "comparator": "<", "value": "5"'
            return refuse("is not a decimal number", "number-invalid", hint)
        return refuse("is not a decimal number", "number-invalid", 'accepted: 11.9 or "11.9", with a decimal point')


class InstantField(_OneReading[datetime]):
    """A time with its offset from UTC (RFC 3339); answered in UTC."""

    described: Described = {"type": "string", "format": "date-time"}

    def read(self, value: Any) -> datetime:
        complete = type(value) is str and _COMPLETE.fullmatch(value)
        text = value if complete else self._unusual(value)
        try:
            moment = datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            raise refuse("is not a time that there is", "time-invalid", _INSTANT_HINT) from None
        if moment < _EARLIEST_INSTANT:
            raise refuse(f"lies before {_EARLIEST.year}", "time-invalid", _INSTANT_HINT)
        return moment

    @staticmethod
    def _unusual(value: Any) -> str:
        """A time that leaves out the seconds, has parts of them, or is in small letters."""
        if isinstance(value, Number) or not isinstance(value, str):
            raise refuse("must be a time as text", "type", _INSTANT_HINT)
        match = _INSTANT.fullmatch(value)
        if match is None:
            raise refuse("is not a time", "time-invalid", _INSTANT_HINT)
        if match[3] is None:
            raise refuse("has no offset from UTC", "time-without-offset", _INSTANT_HINT)
        return value.upper()


class DayField(_OneReading[date]):
    """A calendar day."""

    described: Described = {"type": "string", "format": "date"}

    def read(self, value: Any) -> date:
        hint = "write for example 1968-03-14"
        if not isinstance(value, str) or not _DAY.fullmatch(value) or isinstance(value, Number):
            raise refuse("is not a date", "date-invalid", hint)
        try:
            day = date.fromisoformat(value)
        except ValueError:
            raise refuse("is not a date that there is", "date-invalid", hint) from None
        if day < _EARLIEST:
            raise refuse(f"lies before {_EARLIEST.year}", "date-invalid", hint)
        return day


class CodeField(_OneReading[Code]):
    """A LOINC code, or a code with the system that it is from."""

    described: Described = {
        "oneOf": [
            {"type": "string", "minLength": 1, "description": "LOINC"},
            {
                "type": "object",
                "required": ["system", "code"],
                "properties": {"system": {"type": "string"}, "code": {"type": "string"}},
                "additionalProperties": False,
            },
        ]
    }

    def read(self, value: Any) -> Code:
        if isinstance(value, dict) and set(value) == {"system", "code"}:
            return Code(code=_text(value["code"]), system=_text(value["system"]))
        if isinstance(value, dict):
            raise refuse("must have a system and a code, and nothing else", "type")
        return Code(code=_text(value))


_TEXT = TextField(required=True)


def _text(value: Any) -> str:
    if value is None:
        raise _TEXT.make_error("null")
    return _TEXT.read(value)
