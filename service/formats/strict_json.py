"""JSON as RFC 8259 has it, and nothing beside it.

Law: nothing is read that two readers could understand differently. Numbers keep their text; a key that stands twice,
NaN, a lone surrogate and a nesting bomb are refused with their place.
"""

import json
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

from service.domain.errors import BadInput, Fault

MAX_DEPTH = 32
MAX_FAULTS = 1_000

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|(-?Infinity|NaN)', re.DOTALL)
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")


class Number(str):
    """The text of a JSON number: ``3.50`` stays ``3.50``."""

    __slots__ = ()


class _Repeating(dict[str, Any]):
    """An object in which keys stood more than once."""

    __slots__ = ("repeated",)
    repeated: list[str]


class _Odd(Exception):
    """NaN and its like, or a key that stands twice."""


def parse(body: bytes) -> Any:
    """The value in ``body``: dicts, lists, texts, ``Number``, booleans and None.

    Raises ``BadInput`` naming line and column, or a JSON Pointer.
    """
    text = _decode(body)
    try:
        value = _IN_ORDER.decode(text)
    except (json.JSONDecodeError, _Odd, RecursionError):
        return _looked_into(text)
    return _looked_into(text) if _may_be_odd(text, value) else value


def _may_be_odd(text: str, value: Any) -> bool:
    """Might there be a text that cannot be kept, or too deep a nesting?

    A NUL or half a surrogate pair can only come from an escape, as UTF-8 has none and JSON no bare NUL; and what has
    few brackets cannot be deep.
    """
    return ("\\" in text and "\\u" in text) or (text.count("[") + text.count("{") > MAX_DEPTH and _deep(value))


def _deep(value: Any) -> bool:
    """Is there anything more than ``MAX_DEPTH`` levels deep? Looks at one level after the other."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [item for one in level if isinstance(one, list | dict) for item in _items(one)]
        if not level:
            return False
    return any(_items(one) for one in level if isinstance(one, list | dict))


def _items(holder: list[Any] | dict[str, Any]) -> Collection[Any]:
    return holder.values() if isinstance(holder, dict) else holder


def _looked_into(text: str) -> Any:
    """The value, with all its faults raised: at several times the price, for what may have some."""
    try:
        value = json.loads(
            text, parse_float=Number, parse_int=Number, parse_constant=_refuse_constant, object_pairs_hook=_object
        )
    except json.JSONDecodeError as error:
        raise _broken(f"not JSON: {error.msg}", error.lineno, error.colno) from None
    except _Odd:
        raise _constant(text) from None
    except RecursionError:
        raise _too_deep() from None
    faults = listed(_faults(value, None, depth=0))
    if faults:
        raise BadInput(faults, kind="invalid-json")
    return value


def listed(faults: Iterator[Fault]) -> list[Fault]:
    """All faults; of a message that is nothing but faults the first 1,000, and one that says so."""
    found = list(islice(faults, MAX_FAULTS))
    if next(faults, None) is not None:
        detail = f"has more than {MAX_FAULTS} faults; the others are not listed"
        found.append(Fault(pointer="", code="too-many-faults", detail=detail))
    return found


def _decode(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig" if body.startswith(BOM_UTF8) else "utf-8")
    except UnicodeDecodeError as error:
        before = body[: error.start].decode("utf-8", "replace")
        line, column = _place(before, len(before))
        raise _broken("not UTF-8", line, column) from None


def _refuse_constant(_name: str) -> None:
    raise _Odd


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Odd
    return found


# Made once: json.loads makes one for every message.
_IN_ORDER = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=_refuse_constant, object_pairs_hook=_once
)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    times = Counter(name for name, _ in pairs)
    repeating = _Repeating(found)
    repeating.repeated = sorted(name for name, count in times.items() if count > 1)
    return repeating


def _constant(text: str) -> BadInput:
    match = next(match for match in _TOKEN.finditer(text) if match[1])
    line, column = _place(text, match.start())
    return _broken(f"not JSON: {match[1]} is not a number", line, column)


def _place(text: str, position: int) -> tuple[int, int]:
    """Line and column, counted from 1."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def _broken(detail: str, line: int, column: int) -> BadInput:
    where = f"{detail}, at line {line}, column {column}"
    return BadInput([Fault(pointer="", code="json-invalid", detail=where)], kind="invalid-json")


def _too_deep() -> BadInput:
    detail = f"nested more than {MAX_DEPTH} levels deep"
    return BadInput([Fault(pointer="", code="json-too-deep", detail=detail)], kind="invalid-json")


# Where a value stands: the step to it behind the place that holds it. Only a fault makes a pointer of it.
_Place = tuple["_Place | None", str | int]


def _faults(value: Any, place: "_Place | None", *, depth: int) -> Iterator[Fault]:
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, str) and _UNUSABLE.search(value):
        detail = "holds a NUL or half a surrogate pair, which cannot be kept"
        yield Fault(pointer=_pointer(place), code="text-unusable", detail=detail)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, (place, index), depth=depth + 1)
    elif isinstance(value, dict):
        yield from _object_faults(value, place, depth=depth)


def _object_faults(value: dict[str, Any], place: "_Place | None", *, depth: int) -> Iterator[Fault]:
    if isinstance(value, _Repeating):
        for name in value.repeated:
            detail = "this key stands more than once in the object"
            yield Fault(pointer=_pointer((place, name)), code="key-repeated", detail=detail)
    for name, item in value.items():
        if _UNUSABLE.search(name):
            detail = "a key holds a NUL or half a surrogate pair"
            yield Fault(pointer=_pointer(place), code="text-unusable", detail=detail)
        else:
            yield from _faults(item, (place, name), depth=depth + 1)


def _pointer(place: "_Place | None") -> str:
    return "" if place is None else f"{_pointer(place[0])}/{escape(place[1])}"


def usable(text: str) -> bool:
    """Can the text be kept? A NUL and half a surrogate pair cannot."""
    return not _UNUSABLE.search(text)


def escape(step: str | int) -> str:
    """One step of a JSON Pointer (RFC 6901)."""
    return str(step).replace("~", "~0").replace("/", "~1")
