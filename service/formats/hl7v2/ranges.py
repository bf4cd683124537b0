"""The reference range in OBX-7, which is text.

Law: what can be read in one way only is read; anything else is said to be unclear, and nothing is judged by it.
"""

import re
from decimal import Decimal

from service.domain.panels import SentRange
from service.domain.quantities import parse_decimal

_NUMBER = r"[+-]?(?:\d+(?:[.,]\d+)?|\.\d+)"
_SPAN = re.compile(rf"({_NUMBER})\s*(?:-|\N{{EN DASH}}|\bto\b)\s*({_NUMBER})", re.ASCII)
_SIDE = re.compile(rf"(<=|>=|<|>)\s*({_NUMBER})", re.ASCII)
# Three digits behind a comma may be thousands, unless nothing stands before it.
_THOUSANDS = re.compile(r"[+-]?0*[1-9]\d*,\d{3}", re.ASCII)


def sent_range(text: str, unit: str) -> SentRange | None:
    """The range in a text, whose bounds belong to it. ``<5`` has only an upper bound, ``>5`` only a lower one."""
    bare = text.strip()
    if not bare:
        return None
    # A unit that begins like a number is told from the limit before it by a blank only.
    if unit and (not unit[0].isdigit() or bare.endswith(f" {unit}")):
        bare = bare.removesuffix(unit).strip()
    found = _span(bare) or _side(bare)
    return found or SentRange(unclear="the text of OBX-7 is not a range that can be read in one way only")


def _span(text: str) -> SentRange | None:
    found = _SPAN.fullmatch(text)
    low, high = (_bound(found[1]), _bound(found[2])) if found else (None, None)
    return SentRange(low=low, high=high) if low is not None and high is not None and low <= high else None


def _side(text: str) -> SentRange | None:
    found = _SIDE.fullmatch(text)
    bound = _bound(found[2]) if found else None
    if found is None or bound is None:
        return None
    return SentRange(high=bound) if found[1].startswith("<") else SentRange(low=bound)


def _bound(text: str) -> Decimal | None:
    if _THOUSANDS.fullmatch(text):
        return None
    try:
        return parse_decimal(text.replace(",", "."))
    except ValueError:
        return None
