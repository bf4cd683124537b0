"""HL7 v2 text taken apart: segments, fields, repetitions, components, escapes (version 2.8, chapter 2.5 to 2.7).

Law: the separators are those that the message declares, and text is unescaped after it was taken apart, never before.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from service.domain.errors import Fault

NULL = '""'  # "delete the value", which is something else than a field that is left empty

_LINE_END = re.compile(r"\r\n|\r|\n")
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}", re.ASCII)
# A NUL cannot be kept, and 0x0B and 0x1C frame messages: none of them is text.
_CONTROL = re.compile("[\x00\x0b\x1c]")
_LEAST = 2  # without a component separator, not even the type of the message can be told
_HIGHLIGHT = frozenset({"H", "N"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Separators:
    """MSH-1 and MSH-2. What MSH-2 leaves out is empty, and separates nothing."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    sub: str = "&"

    @property
    def declared(self) -> str:
        """MSH-2."""
        return self.component + self.repetition + self.escape + self.sub


STANDARD = Separators()


def separators(first_line: str) -> Separators | None:
    """The separators that a first segment declares; None when it declares none that can be used."""
    sign = first_line[3:4]
    declared = first_line[4:].partition(sign)[0] if sign else ""
    signs = (sign + declared)[:5]
    # What is not ASCII has other bytes in other character sets, and the head is read before its own is known.
    odd = any(one.isalnum() or one.isspace() or not one.isascii() for one in signs)
    if len(signs) < _LEAST or len(set(signs)) < len(signs) or odd:
        return None
    names = ("field", "component", "repetition", "escape", "sub")
    return Separators(**dict(zip(names, [*signs, *[""] * (len(names) - len(signs))], strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Datum:
    """One repetition of a field."""

    raw: str = field(repr=False)
    signs: Separators
    codec: str = "utf-8"

    @property
    def text(self) -> str:
        """All of it as one text, whatever separators stand in it."""
        return unescaped(self.raw, self.signs, self.codec)

    @property
    def components(self) -> list[str]:
        """The text of each component."""
        return [unescaped(one, self.signs, self.codec) for one in self.raw.split(self.signs.component)]

    def component(self, number: int) -> str:
        """The text of a component, counted from 1; empty when it is not there or is to be deleted."""
        parts = self.raw.split(self.signs.component)
        raw = parts[number - 1] if number <= len(parts) else ""
        return "" if raw == NULL else unescaped(raw, self.signs, self.codec).strip()

    def sub(self, number: int, sub: int) -> str:
        """The text of a subcomponent, both counted from 1."""
        parts = self.raw.split(self.signs.component)
        raw = parts[number - 1] if number <= len(parts) else ""
        subs = raw.split(self.signs.sub) if self.signs.sub else [raw]
        return unescaped(subs[sub - 1], self.signs, self.codec).strip() if sub <= len(subs) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A segment. ``number``: the how-manyth of its name in the message, from 1. ``fields[n]`` is field n."""

    name: str
    number: int
    fields: tuple[str, ...] = field(repr=False)
    signs: Separators
    codec: str = "utf-8"

    def raw(self, number: int) -> str:
        """A field as it stands."""
        return self.fields[number] if number < len(self.fields) else ""

    def data(self, number: int) -> list[Datum]:
        """The repetitions of a field that are not empty."""
        raw = self.raw(number)
        parts = raw.split(self.signs.repetition) if self.signs.repetition else [raw]
        return [Datum(raw=part, signs=self.signs, codec=self.codec) for part in parts if part.strip()]

    def first(self, number: int) -> Datum:
        """The first repetition of a field, or an empty one."""
        return next(iter(self.data(number)), Datum(raw="", signs=self.signs, codec=self.codec))

    def text(self, number: int, component: int = 1) -> str:
        """The text of a component of the first repetition of a field."""
        return self.first(number).component(component)

    def joined(self, number: int) -> str:
        """The components of the first repetition of a field, as a name: an entity with who gave it out."""
        parts = [part.strip() for part in self.first(number).raw.split(self.signs.component)]
        while parts and parts[-1] in ("", NULL):
            parts.pop()
        return "^".join(unescaped(part, self.signs, self.codec) for part in parts)

    def place(self, number: int | None = None, repetition: int | None = None, component: int | None = None) -> str:
        """Where a part of it is, as ERR-2 says it: segment^occurrence^field^repetition^component."""
        if number is not None and repetition is None:
            repetition = 1
        parts = (self.name, self.number, number, repetition, component)
        return "^".join(str(part) for part in parts if part is not None)


def unescaped(raw: str, signs: Separators, codec: str) -> str:
    """The text that stands behind escapes. One that is not known is left as it stands."""
    if not signs.escape or signs.escape not in raw:
        return raw
    sign = re.escape(signs.escape)
    return re.sub(f"{sign}([^{sign}]*){sign}", lambda found: _meant(found, signs, codec), raw)


def _meant(found: re.Match[str], signs: Separators, codec: str) -> str:
    what = found[1]
    letters = {"F": signs.field, "S": signs.component, "T": signs.sub, "R": signs.repetition, "E": signs.escape}
    if what in letters:
        return letters[what]
    if what in _HIGHLIGHT:
        return ""
    if what.startswith("."):
        return "\n" if what[1:3] in ("br", "sp", "ce") else ""
    return _bytes(what[1:], codec, otherwise=found[0]) if what.startswith("X") else found[0]


def _bytes(digits: str, codec: str, *, otherwise: str) -> str:
    """Characters given as hexadecimal numbers of their bytes."""
    try:
        text = bytes.fromhex(digits).decode(codec)
    except ValueError:
        return otherwise
    return otherwise if _CONTROL.search(text) else text


def taken_apart(text: str, signs: Separators, codec: str) -> tuple[list[Segment], list[Fault]]:
    """The segments of a message, and what is wrong with those that are none."""
    segments: list[Segment] = []
    faults: list[Fault] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(_lines(text), start=1):
        name = line[:3]
        if not _NAME.fullmatch(name) or line[3:4] not in ("", signs.field):
            place = f"{segments[-1].name}^{segments[-1].number}" if segments else "MSH^1"
            detail = f"line {number} is not a segment; an end of line within text is written \\.br\\"
            faults.append(Fault(pointer=place, code="segment-unreadable", detail=detail))
            continue
        counts[name] = counts.get(name, 0) + 1
        fields = line.split(signs.field)
        if name == "MSH":  # the separator is the first field itself
            fields = [name, signs.field, *fields[1:]]
        segments.append(Segment(name=name, number=counts[name], fields=tuple(fields), signs=signs, codec=codec))
        if _CONTROL.search(line):
            detail = "holds a control character that is not text"
            faults.append(Fault(pointer=segments[-1].place(), code="type", detail=detail))
    return segments, faults


def _lines(text: str) -> Iterator[str]:
    return (line for line in _LINE_END.split(text) if line.strip())
