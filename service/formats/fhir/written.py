"""Numbers and ranges that were written as text.

Law: what can be read in one way only is read; anything else stays text.
"""

import re
from decimal import Decimal

from service.domain.quantities import parse_decimal

_NUMBER = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)"
_SIGNS = {"≤": "<=", "≥": ">="}
_COMPARED = re.compile(rf"\s*(<=|>=|<|>|≤|≥)?\s*({_NUMBER})\s*", re.ASCII)
# Behind the numbers may stand one word, which is the unit.
_UNIT = r"(?:\s*([^\s\d.,<>=+-]\S*|10[*^]\S+))?"
_SPAN = re.compile(rf"({_NUMBER})\s*(?:-|–|\bto\b)\s*({_NUMBER}){_UNIT}", re.ASCII)
_SIDE = re.compile(rf"(<=|>=|<|>|≤|≥)\s*({_NUMBER}){_UNIT}", re.ASCII)

Bounds = tuple[Decimal | None, Decimal | None, str | None]


def number_in(text: str) -> tuple[str, str, Decimal] | None:
    """Comparator, text and number of ``5.2`` or ``< 5``."""
    found = _COMPARED.fullmatch(text)
    number = found and _decimal(found[2])
    return None if found is None or number is None else (_sign(found[1] or ""), found[2], number)


def range_in(text: str) -> Bounds | None:
    """Low, high and unit of ``8.6-10.3``, ``<5`` or ``>= 40 mg/dL``. The bounds belong to the range."""
    if found := _SPAN.fullmatch(text.strip()):
        low, high = _decimal(found[1]), _decimal(found[2])
        return None if low is None or high is None or low > high else (low, high, found[3])
    if found := _SIDE.fullmatch(text.strip()):
        bound = _decimal(found[2])
        if bound is None:
            return None
        return (None, bound, found[3]) if _sign(found[1])[0] == "<" else (bound, None, found[3])
    return None


def _sign(text: str) -> str:
    return _SIGNS.get(text, text)


def _decimal(text: str) -> Decimal | None:
    try:
        return parse_decimal(text)
    except ValueError:
        return None
