"""Which of the reference ranges that a laboratory sent is the patient's.

Law: one range is chosen by what it says it is for, or none is. Where more than one fits, or the one that does cannot
be read, the range is said to be unclear, and no value is judged by it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from service.domain.panels import Patient, SentRange
from service.domain.people import SEXES, completed
from service.formats.fhir.codes import concept
from service.formats.fhir.node import Node
from service.formats.fhir.values import decimal_of, unit_of
from service.formats.fhir.written import range_in

# Of http://hl7.org/fhir/R4/valueset-referencerange-meaning.html: what no value is called high or low by.
_NO_REFERENCE = frozenset({"critical", "treatment", "therapeutic", "recommended"})
_NORMAL = frozenset({"normal", "normal range", "reference range"})
# AdministrativeGender, HL7 v3 AdministrativeGender, SNOMED CT, and plain words.
_SEX_WORDS = {
    "female": "female", "f": "female", "248152002": "female", "women": "female", "woman": "female",
    "male": "male", "m": "male", "248153007": "male", "men": "male", "man": "male",
}  # fmt: skip
# How many of its own kind make a completed unit of age: (months or days, in one unit).
_MONTHS = {"a": 12, "mo": 1}
_DAYS = {"wk": 7, "d": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Whom a range has to fit: a patient at a collection."""

    patient: Patient = field(repr=False)
    at: datetime = field(repr=False)


_NO_SEX = "it is for one sex, and the patient's is not known"
_NO_AGE = "it is for an age, and the patient's is not known"
_UNKNOWN = frozenset({_NO_SEX, _NO_AGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """Does a range fit? True, False, or None where it cannot be told; and why not."""

    fits: bool | None
    why: str = ""


def sent_range(node: Node, whose: Whose, *, unit: str) -> SentRange | None:
    """The reference range of an Observation or a component whose value is in ``unit``."""
    ranges = [one for one in node.children("referenceRange") if one.understood()]
    about = [(one, _fit(one, whose)) for one in ranges if _is_reference(one)]
    fitting = [(one, fit) for one, fit in about if fit.fits is not False]
    if not fitting:
        if about:
            detail = "no range that was sent is for somebody of this sex and age; none was used"
            node.log.notice(node.at("referenceRange"), "range-not-for-patient", detail)
        return None
    # With the sex or the age unknown, the one for everybody is no better than the one for some.
    certain = [one for one, fit in fitting if fit.fits or fit.why in _UNKNOWN]
    if not any(fit.fits for _, fit in fitting):
        certain = []
    found = {_read(one, unit) for one in certain or [one for one, _ in fitting]}
    if len(found) > 1:
        return SentRange(unclear="several reference ranges may be this patient's")
    (only,) = found
    return only if certain else _uncertain(only, fitting[0][1].why)


def _uncertain(only: SentRange | None, why: str) -> SentRange | None:
    return only and SentRange(unclear=f"it cannot be told whether the reference range is this patient's: {why}")


def _words(node: Node | None) -> list[str]:
    found = concept(node)
    return [one.casefold() for one in (*(code.code for code in found.codes), found.text) if one]


def _is_reference(node: Node) -> bool:
    """Is it a range that values are called high or low by, as far as it says?"""
    return not _NO_REFERENCE.intersection(_words(node.child("type")))


def _fit(node: Node, whose: Whose) -> _Fit:
    fits = [*_by_type(node), *_by_group(node, whose), *_by_age(node, whose)]
    against = next((one for one in fits if one.fits is False), None)
    unsure = next((one for one in fits if one.fits is None), None)
    return against or unsure or _Fit(fits=True)


def _by_type(node: Node) -> Iterator[_Fit]:
    words = _words(node.child("type"))
    if words and not _NORMAL.intersection(words):
        yield _Fit(fits=None, why="its type is not 'normal'")


def _by_group(node: Node, whose: Whose) -> Iterator[_Fit]:
    """Those it applies to. Only the sexes are known here."""
    for one in node.children("appliesTo"):
        sexes = {_SEX_WORDS[word] for word in _words(one) if word in _SEX_WORDS}
        if len(sexes) != 1:
            yield _Fit(fits=None, why="it applies to a group that is not known here")
        elif whose.patient.sex.value in SEXES:
            yield _Fit(fits=whose.patient.sex.value in sexes)
        else:
            yield _Fit(fits=None, why=_NO_SEX)


def _by_age(node: Node, whose: Whose) -> Iterator[_Fit]:
    age = node.child("age")
    if age is None:
        return
    for name in ("low", "high"):
        bound = age.child(name)
        if bound is not None:
            yield _on_side(bound, whose, above=name == "low")


def _on_side(bound: Node, whose: Whose, *, above: bool) -> _Fit:
    """Is the age at least (``above``) or at most this one, in completed units? Both ends belong to the range."""
    found, born = decimal_of(bound), whose.patient.born
    if found is None or born is None:
        return _Fit(fits=None, why=_NO_AGE)
    age = _completed(unit_of(bound), born=whose, number=found[1])
    if age is None:
        return _Fit(fits=None, why="it is for an age that cannot be read")
    return _Fit(fits=age >= found[1] if above else age <= found[1])


def _completed(unit: str, *, born: Whose, number: Decimal) -> int | None:
    """Completed units of age; None for a unit, or a part of one, in which ages are not counted here."""
    if born.patient.born is None or number != int(number):
        return None
    days, months = completed(born.patient.born, born.at.date())
    word = unit.casefold()
    word = {"years": "a", "year": "a", "yr": "a", "y": "a", "months": "mo", "weeks": "wk", "days": "d"}.get(word, word)
    if word in _MONTHS:
        return months // _MONTHS[word]
    return days // _DAYS[word] if word in _DAYS else None


def _read(node: Node, unit: str) -> SentRange | None:
    """The limits of one range; from its text only where it has no others."""
    sides = node.child("low"), node.child("high")
    if not any(sides):
        return _from_text(node, unit)
    low, high = (None if one is None else decimal_of(one) for one in sides)
    if any(one is not None and one.has("comparator") for one in sides):
        return SentRange(unclear="the limits of the reference range have comparators")
    units = {said for one, end in zip(sides, (low, high), strict=True) if one and end and (said := unit_of(one))}
    if len(units) > 1:
        return SentRange(unclear="the limits of the reference range are in different units")
    if low is None and high is None:
        return None
    return _ordered(low[1] if low else None, high[1] if high else None, stated=next(iter(units), None), unit=unit)


def _from_text(node: Node, unit: str) -> SentRange | None:
    text = node.text("text")
    if text is None:
        return None
    found = range_in(text)
    if found is None:
        return SentRange(unclear="the text of the reference range cannot be read in one way only")
    return _ordered(found[0], found[1], stated=found[2], unit=unit)


def _ordered(low: Decimal | None, high: Decimal | None, *, stated: str | None, unit: str) -> SentRange:
    if low is not None and high is not None and low > high:
        return SentRange(unclear="the lower limit of the reference range lies above its upper one")
    found = SentRange(low=low, high=high)
    # Limits in the unit of the value say nothing of their own about it.
    return found if stated in (None, unit) else replace(found, unit=stated)
