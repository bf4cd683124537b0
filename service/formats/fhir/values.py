"""``value[x]``: what was measured, in any of the types that R4 has for it.

Law: a number is read as a number only where it can be read in one way; whatever else was sent is kept as text.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from service.domain.quantities import parse_decimal
from service.formats.fhir.codes import absent_reason, concept
from service.formats.fhir.node import Node, reason_in
from service.formats.fhir.written import number_in

UCUM = "http://unitsofmeasure.org"
MAX_TEXT = 1_000
# A string may have a megabyte; of what is no number only the beginning is kept beside the message.
_LONGEST = 1 << 20
_COMPARATORS = ("<", "<=", ">=", ">")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value as read, or why there is none."""

    text: str = field(default="", repr=False)
    number: Decimal | None = field(default=None, repr=False)
    upper: Decimal | None = field(default=None, repr=False)
    comparator: str = field(default="", repr=False)
    unit: str = ""
    absent: str | None = None


def value(node: Node) -> Value | None:
    """The value of an Observation or a component; None when it says nothing of one, or says it wrongly.

    A value and a reason for having none exclude each other (FHIR R4 Observation, obs-6).
    """
    sent = [name for name in node.sent if _is_value(name) and node.has(name)]
    reason = absent_reason(node)
    if sent and reason is not None:
        node.log.fault(node.place, "invariant", "has a value and a dataAbsentReason; only one of them can be (obs-6)")
        return None
    if len(sent) > 1:
        node.log.fault(node.place, "structure", "has more than one value[x]")
        return None
    if sent:
        return _read(node, sent[0])
    reason = reason or node.absent_reason(*(name for name in _READERS if f"_{name}" in node.sent))
    return None if reason is None else Value(absent=reason[:MAX_TEXT])


def _is_value(name: str) -> bool:
    return name.startswith("value") and name[5:6].isupper()


def _read(node: Node, name: str) -> Value | None:
    reader = _READERS.get(name)
    if reader is None:
        node.log.fault(node.at(name), "structure", f"is not a value that R4 has: {', '.join(_READERS)}")
        return None
    return reader(node, name)


def unit_of(quantity: Node) -> str:
    """The code of UCUM where there is one, else the unit in words; never a mixture of both."""
    system, code, unit = (quantity.text(name) for name in ("system", "code", "unit"))
    if code is not None and system == UCUM:
        return code.strip()
    return (unit or code or "").strip()


def decimal_of(quantity: Node) -> tuple[str, Decimal] | None:
    """The number in ``value``, with its text."""
    sent = quantity.number("value")
    if sent is None:
        return None
    try:
        return str(sent), parse_decimal(sent)
    except ValueError:
        quantity.log.fault(quantity.at("value"), "number-out-of-range", "has more than 30 digits or powers of ten")
        return None


def _quantity(node: Node, name: str) -> Value | None:
    quantity = node.child(name)
    if quantity is None:
        return None
    unit, found, comparator = unit_of(quantity), decimal_of(quantity), quantity.text("comparator")
    if comparator is not None and comparator not in _COMPARATORS:
        hint = f"accepted: {', '.join(_COMPARATORS)}"
        quantity.log.fault(quantity.at("comparator"), "code-invalid", "is not a comparator of R4", hint=hint)
        return None
    if found is None:
        reason = quantity.absent_reason("value") or reason_in(quantity.sent.get("extension"))
        return None if quantity.has("value") else Value(absent=reason or "unknown", unit=unit)
    return Value(text=found[0], number=found[1], comparator=comparator or "", unit=unit)


def _integer(node: Node, name: str) -> Value | None:
    sent = node.number(name)
    if sent is None:
        return None
    if not sent.lstrip("-").isdigit() or len(sent) > 11:
        node.log.fault(node.at(name), "value", "is not an integer of FHIR (32 bits)")
        return None
    return Value(text=str(sent), number=Decimal(sent))


def _range(node: Node, name: str) -> Value | None:
    """From low to high; with one of them only, at least or at most that."""
    span = node.child(name)
    if span is None:
        return None
    sides = [span.child("low"), span.child("high")]
    ends = [None if one is None else decimal_of(one) for one in sides]
    units = {unit_of(one) for one, end in zip(sides, ends, strict=True) if one and end}
    low, high = ends
    text = "-".join(end[0] if end else "" for end in ends)
    if low and high and low[1] > high[1]:
        span.log.fault(span.place, "invariant", "its low lies above its high (rng-2)")
        return None
    if not units:
        return Value(absent="unknown")
    if len(units) > 1:
        return Value(text=text)
    return _spanned(low, high, text=text, unit=units.pop())


def _spanned(low: tuple[str, Decimal] | None, high: tuple[str, Decimal] | None, *, text: str, unit: str) -> Value:
    if low and high:
        return Value(text=text, number=low[1], upper=high[1], unit=unit)
    end = low or high or ("", None)
    return Value(text=end[0], number=end[1], comparator=">=" if low else "<=", unit=unit)


def _string(node: Node, name: str) -> Value | None:
    text = node.text(name, longest=_LONGEST)
    if text is None:
        return None
    found = number_in(text) if len(text) <= MAX_TEXT else None
    return Value(text=found[1], number=found[2], comparator=found[0]) if found else Value(text=short(text.strip()))


def _concept(node: Node, name: str) -> Value | None:
    child = node.child(name)
    said = concept(child).said
    if child is None:
        return None
    return Value(text=short(said)) if said else Value(absent=reason_in(child.sent.get("extension")) or "unknown")


def _flag(node: Node, name: str) -> Value | None:
    sent = node.flag(name)
    return None if sent is None else Value(text=str(sent).lower())


def _words(node: Node, name: str) -> Value | None:
    text = node.text(name)
    return None if text is None else Value(text=text)


def _period(node: Node, name: str) -> Value | None:
    child = node.child(name)
    ends = [child.text(side) or "" for side in ("start", "end")] if child else []
    return Value(text="/".join(ends)) if child else None


def _ratio(node: Node, name: str) -> Value | None:
    child = node.child(name)
    if child is None:
        return None
    sides = [child.child(side) for side in ("numerator", "denominator")]
    return Value(text=short(":".join(_shown(one) for one in sides)))


def _shown(quantity: Node | None) -> str:
    if quantity is None:
        return ""
    number, unit = quantity.number("value") or "", unit_of(quantity)
    return f"{quantity.text('comparator') or ''}{number}{' ' if unit else ''}{unit}"


def _sampled(node: Node, name: str) -> Value | None:
    return None if node.child(name) is None else Value(text="sampled data")


def short(text: str) -> str:
    """A text of bounded length."""
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


_READERS: dict[str, Callable[[Node, str], Value | None]] = {
    "valueQuantity": _quantity,
    "valueCodeableConcept": _concept,
    "valueString": _string,
    "valueBoolean": _flag,
    "valueInteger": _integer,
    "valueRange": _range,
    "valueRatio": _ratio,
    "valueSampledData": _sampled,
    "valueTime": _words,
    "valueDateTime": _words,
    "valuePeriod": _period,
}
