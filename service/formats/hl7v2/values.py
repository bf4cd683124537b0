"""What stands in OBX-5, by the type that OBX-2 names.

Law: a number is read by a strict grammar or not at all; whatever else was sent is kept as text, and is no number.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from service.domain.quantities import parse_decimal
from service.formats.hl7v2.segments import NULL, Datum

LONGEST = 1_000
_COMPARED = re.compile(r"(<=|>=|<|>)?\s*(\S+)", re.ASCII)

# Table 0125: data types that an observation may have. What is not among them is no type.
TEXTS = frozenset({"ST", "TX", "FT"})
CODED = frozenset({"CE", "CWE", "CF", "CNE", "IS", "ID"})
ATTACHED = frozenset({"ED", "RP"})
_OTHERS = "AD CK CN CP CQ CX DR DT DTM EI MA MO NA NDL PN PPN SI TM TN TS VID XAD XCN XON XPN XTN CD"
OTHERS = frozenset(_OTHERS.split())
TYPES = frozenset({"NM", "SN", "NR"}) | TEXTS | CODED | ATTACHED | OTHERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value as read. ``oddity``: how it departs from its type, where it was read all the same."""

    text: str = field(repr=False)
    number: Decimal | None = field(default=None, repr=False)
    upper: Decimal | None = field(default=None, repr=False)
    comparator: str = field(default="", repr=False)
    absent: str | None = None
    oddity: str | None = None


def nothing(why: str) -> Value:
    """There is no value."""
    return Value(text="", absent=why)


def value(kind: str, data: Sequence[Datum]) -> Value:
    """The value in the repetitions of OBX-5."""
    if not data:
        return nothing("unknown")
    if data[0].raw.strip() == NULL:
        return nothing("deleted")
    if len(data) > 1 and kind not in TEXTS:
        return Value(text=_short("~".join(one.text for one in data)), oddity="several-values")
    if kind in TEXTS:
        return _text("\n".join(one.text for one in data).strip())
    return _READERS.get(kind, _other)(data[0])


def number_in(text: str) -> tuple[str, Decimal] | None:
    """Comparator and number of a text such as ``5.2`` or ``< 5``; None for anything else."""
    found = _COMPARED.fullmatch(text.strip())
    if found is None:
        return None
    number = _decimal(found[2])
    return None if number is None else (found[1] or "", number)


def _decimal(text: str) -> Decimal | None:
    try:
        return parse_decimal(text)
    except ValueError:
        return None


def _numeric(sent: Datum) -> Value:
    text = sent.text.strip()
    found = number_in(text)
    if found is None:
        return Value(text=_short(text), oddity="not-a-number")
    comparator, number = found
    oddity = "comparator-in-number" if comparator else None
    return Value(text=_bare(text, comparator), number=number, comparator=comparator, oddity=oddity)


def _bare(text: str, comparator: str) -> str:
    return text.removeprefix(comparator).strip()


def _text(text: str) -> Value:
    found = number_in(text)
    if found is None:
        return Value(text=_short(text))
    return Value(text=_bare(text, found[0]), number=found[1], comparator=found[0], oddity="number-in-text")


def _structured(sent: Datum) -> Value:
    """SN: comparator^number^separator or suffix^number."""
    comparator, first, between, second = (sent.component(place) for place in range(1, 5))
    if not any((comparator, first, between, second)):
        return nothing("unknown")
    low, high = _decimal(first), _decimal(second)
    shown = _short(f"{comparator}{first}{between}{second}")
    if between == "-" and low is not None and high is not None and low <= high and comparator in ("", "="):
        return Value(text=shown, number=low, upper=high)
    if between or second or low is None:
        return Value(text=shown)
    # What is no comparator (``<>``) is left to the judgement, which says that it cannot be used.
    return Value(text=first, number=low, comparator="" if comparator == "=" else comparator[:8])


def _range(sent: Datum) -> Value:
    """NR: low^high."""
    first, second = sent.component(1), sent.component(2)
    low, high = _decimal(first), _decimal(second)
    if low is not None and high is not None and low <= high:
        return Value(text=f"{first}-{second}", number=low, upper=high)
    return Value(text=_short(f"{first}-{second}"))


def _coded(sent: Datum) -> Value:
    words = (sent.component(place) for place in (2, 1, 9, 5, 4))
    return Value(text=_short(next(filter(None, words), "")))


def _attached(sent: Datum) -> Value:
    """A picture, a document: only its kind is kept with the result; all of it stays in the message."""
    kinds = (sent.component(place) for place in (2, 3))
    return Value(text=_short(" ".join(filter(None, kinds)) or "attachment"))


def _other(sent: Datum) -> Value:
    return Value(text=_short(" ".join(filter(None, (one.strip() for one in sent.components)))))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


_READERS: dict[str, Callable[[Datum], Value]] = {
    "NM": _numeric,
    "SN": _structured,
    "NR": _range,
    **dict.fromkeys(CODED, _coded),
    **dict.fromkeys(ATTACHED, _attached),
}
