"""How a setting is declared: a field of a dataclass that carries how its text is read and what it means.

Law: what is said here of a setting is all there is to say; the check and the documentation follow from it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError, fields

from service import settings_text


class Read(fields.Field[Any]):
    """A marshmallow field around one reading function, which says what is accepted when the reading fails."""

    def __init__(self, read: Callable[[str], object], accepts: str) -> None:
        super().__init__()
        self._read = read
        self.accepts = accepts

    def _deserialize(self, value: str, *_: object, **__: object) -> object:
        try:
            return self._read(settings_text.not_empty(value))
        except settings_text.Odd as odd:
            raise ValidationError(f"{odd}; accepted: {self.accepts}") from odd


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a field of Settings carries beside its default."""

    read: Callable[[str], object]
    accepts: str
    meaning: str
    secret: bool


def setting(default: object, meaning: str, *, read: Callable[[str], object], accepts: str, secret: bool = False) -> Any:
    entry = Entry(read=read, accepts=accepts, meaning=meaning, secret=secret)
    return field(default=default, repr=not secret, metadata={"entry": entry})


def number(default: int, meaning: str, *, low: int, high: int) -> Any:
    return setting(
        default,
        meaning,
        read=lambda text: settings_text.whole(text, low, high),
        accepts=f"whole numbers from {low} to {high}",
    )


def flag(default: bool, meaning: str) -> Any:
    return setting(default, meaning, read=settings_text.switch, accepts="true or false")


def one_of(default: str, meaning: str, *choices: str) -> Any:
    return setting(default, meaning, read=lambda text: settings_text.choice(text, choices), accepts=", ".join(choices))
