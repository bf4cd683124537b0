"""A version of a result as an Observation, with our opinion beside that of the laboratory.

Law: the value is shown to the letter. Ours is said only where a flag was raised: what is clear or was not judged gets
no word from us, and nothing is ever called normal.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from service.domain.panels import Code, Result, SentRange, Status
from service.formats.fhir.answers import instant
from service.formats.fhir.as_sent import kept_of
from service.formats.fhir.codes import ABSENT_REASONS, CATEGORIES, INTERPRETATIONS
from service.formats.fhir.ours import ANALYTES, FINDINGS, SEVERITY, Json, Who, finding, is_address, patient, said

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_CATEGORY = next(one for one in CATEGORIES if "terminology" in one)
# What a report may be and an Observation may not.
_STATUSES = {Status.APPENDED: "final"}
_ABSENT = (
    "unknown asked-unknown temp-unknown not-asked asked-declined masked not-applicable unsupported as-text error "
    "not-a-number negative-infinity positive-infinity not-performed not-permitted"
)
# Of v3-ObservationInterpretation; what else a laboratory says are its own words.
_OPINIONS = "A AA H HH HU L LL LU N < > B D U W S R I MS VS POS NEG IND DET ND E EXP UNE RR WR NR TOX AC CAR HX LX QCF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What the service raised on a result."""

    finding: str
    severity: str
    direction: str | None
    ruleset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A version of a result with what is to be said of it. ``raw``: the Observation as sent, where it is still kept."""

    id: str
    version: int
    who: Who
    result: Result
    analyte: str | None
    status: Status
    collected_at: datetime = field(repr=False)
    issued_at: datetime | None = field(repr=False)
    updated_at: datetime
    opinion: Opinion | None = None
    raw: Json | None = field(default=None, repr=False)


def observation(one: Shown) -> Json:
    """The version as an Observation."""
    sent = _written(one) if one.raw is None else kept_of(one.raw)
    own = sent.pop("interpretation", [])
    theirs = own if isinstance(own, list) else []
    return said(
        resourceType="Observation",
        id=one.id,
        meta={"versionId": str(one.version), "lastUpdated": instant(one.updated_at)},
        **{name: value for name, value in sent.items() if name != "resourceType"},
        status=_STATUSES.get(one.status, one.status.value),
        subject=patient(one.who),
        interpretation=[*theirs, *(() if one.opinion is None else (_ours(one.opinion),))],
    )


def _ours(one: Opinion) -> Json:
    """Our opinion: on which side, beyond a critical limit or not, and what it may be; A where there is no side."""
    side = {"high": "H", "low": "L"}.get(one.direction or "", "A")
    code = side * 2 if one.severity == "critical" else side
    possible = finding(one.finding)["text"]
    return {
        "extension": [{"url": SEVERITY, "valueCode": one.severity}],
        "coding": [
            {"system": INTERPRETATIONS, "code": code},
            {"system": FINDINGS, "code": one.finding, "display": possible},
        ],
        "text": f"{possible}, {one.severity}, by lab-alerts ({one.ruleset})",
    }


def _written(one: Shown) -> Json:
    """An Observation of what is kept in the row."""
    result = one.result
    return said(
        identifier=_identifier(result.sender_id),
        category=[{"coding": [{"system": _CATEGORY, "code": "laboratory"}]}],
        code=_code(result, one.analyte),
        effectiveDateTime=instant(one.collected_at),
        issued=None if one.issued_at is None else instant(one.issued_at),
        **_value(result),
        interpretation=[_opinion(code) for code in result.interpretation],
        note=[{"text": result.note}] if result.note else None,
        referenceRange=_range(result.range, result.unit),
    )


def _identifier(sender_id: str | None) -> list[Json]:
    if sender_id is None:
        return []
    system, bar, value = sender_id.partition("|")
    if bar and value and is_address(system):
        return [{"system": system, "value": value}]
    return [{"value": sender_id}]


def _code(result: Result, analyte: str | None) -> Json:
    """Every code that was sent, and the analyte that we know it by."""
    codes = [code for code in (result.code, *result.other_codes) if code is not None]
    coding = [_coding(code) for code in codes if code.code and (not code.system or is_address(code.system))]
    if analyte is not None:
        coding.append({"system": ANALYTES, "code": analyte})
    words = result.analyte or next((code.code for code in codes if code.code), None) or analyte
    return said(coding=coding, text=words or "unknown")


def _coding(code: Code) -> Json:
    return {"system": code.system, "code": code.code} if code.system else {"code": code.code}


def _value(result: Result) -> Json:
    if result.absent is not None or not result.text:
        return {"dataAbsentReason": _absent(result.absent or "unknown")}
    if result.number is None:
        return {"valueString": result.text}
    if result.upper is not None:
        low, high = _quantity(str(result.number), result.unit), _quantity(str(result.upper), result.unit)
        return {"valueRange": {"low": low, "high": high}}
    quantity = _quantity(result.text if _NUMBER.fullmatch(result.text) else format(result.number, "f"), result.unit)
    return {"valueQuantity": {**quantity, **({"comparator": result.comparator} if result.comparator else {})}}


def _absent(reason: str) -> Json:
    if reason in _ABSENT.split():
        return {"coding": [{"system": ABSENT_REASONS, "code": reason}]}
    return {"text": reason}


def _quantity(number: str, unit: str | None) -> Json:
    """A quantity; its number is written as it was sent, digit for digit."""
    return said(value=orjson.Fragment(number), unit=unit or None)


def _opinion(code: str) -> Json:
    if code in _OPINIONS.split():
        return {"coding": [{"system": INTERPRETATIONS, "code": code}]}
    return {"text": code}


def _range(sent: SentRange | None, unit: str) -> list[Json]:
    return [dict(_ends(sent, unit))] if sent is not None and (sent.low, sent.high) != (None, None) else []


def _ends(sent: SentRange, unit: str) -> Iterator[tuple[str, Json]]:
    for side, end in (("low", sent.low), ("high", sent.high)):
        if end is not None:
            yield side, _quantity(format(end, "f"), sent.unit or unit)
