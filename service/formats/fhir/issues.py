"""What can be wrong with a FHIR message, in our words and in those of OperationOutcome.

Law: every code has the issue type (http://hl7.org/fhir/R4/valueset-issue-type.html) that fits it best. No text here
holds what was sent.
"""

from collections.abc import Iterable
from typing import Literal

from service.domain.errors import Fault
from service.formats.reading import Notice

KIND = "invalid-fhir"

FaultCode = Literal[
    "structure", "required", "value", "code-invalid", "invariant", "too-long", "too-many",
    "number-out-of-range", "time-invalid", "time-without-offset", "time-in-future",
    "not-supported", "type-unknown", "subject-not-patient", "patients-differ", "patient-refused", "report-refused",
    "reference-unresolved", "reference-ambiguous", "identity-repeated", "identity-missing",
]  # fmt: skip

NoticeCode = Literal[
    "time-partial", "time-from-end", "time-from-report", "time-from-specimen", "time-from-issued", "time-unused",
    "birth-date-partial", "subject-from-report", "reference-unresolved", "range-not-for-patient", "report-not-replaced",
    "value-missing", "note-shortened", "interpretation-shortened",
]  # fmt: skip

_OURS: dict[FaultCode, str] = {
    "structure": "structure",
    "required": "required",
    "value": "value",
    "code-invalid": "code-invalid",
    "invariant": "invariant",
    "too-long": "too-long",
    "too-many": "too-costly",
    "number-out-of-range": "value",
    "time-invalid": "value",
    "time-without-offset": "value",
    "time-in-future": "business-rule",
    "not-supported": "not-supported",
    "type-unknown": "not-supported",
    "subject-not-patient": "business-rule",
    "patients-differ": "conflict",
    "patient-refused": "processing",
    "report-refused": "processing",
    "reference-unresolved": "not-found",
    "reference-ambiguous": "multiple-matches",
    "identity-repeated": "duplicate",
    "identity-missing": "required",
}

# What the JSON reader and the flows find.
_OTHERS = {
    "json-invalid": "structure",
    "json-too-deep": "too-costly",
    "key-repeated": "structure",
    "text-unusable": "value",
    "too-many-faults": "too-costly",
    "result-repeated": "duplicate",
    "id-of-another-analyte": "conflict",
    "idempotency-key-reused": "conflict",
    # A fault of meaning, where the sender has asked that these refuse the message.
    "code_unmapped": "code-invalid",
    "unit_unknown": "value",
    "value_not_numeric": "value",
    "comparator_unusable": "value",
    "implausible": "value",
    "reference_range_unusable": "value",
    "patient_facts_contradict": "conflict",
}

ISSUE_TYPES: dict[str, str] = dict((*_OURS.items(), *_OTHERS.items()))

# HTTP status by issue type, for a resource or a message that is refused: 400 cannot be read or breaks a rule of FHIR
# itself, 422 breaks one of ours.
_STATUSES = {
    "too-costly": 413,
    "not-supported": 422,
    "business-rule": 422,
    "processing": 422,
    "not-found": 422,
    "conflict": 409,
    "duplicate": 409,
    "multiple-matches": 412,
}


class Log:
    """What was found while something was read: each fault and notice once."""

    __slots__ = ("_faults", "_notices")

    def __init__(self) -> None:
        self._faults: dict[tuple[str, str], Fault] = {}
        self._notices: dict[tuple[str, str], Notice] = {}

    def fault(self, place: str, code: FaultCode, detail: str, *, hint: str | None = None) -> None:
        found = Fault(pointer=place, code=code, detail=detail, hint=hint)
        self._faults.setdefault((place, f"{code} {detail}"), found)

    def notice(self, place: str, code: NoticeCode, detail: str) -> None:
        self._notices.setdefault((place, code), Notice(place=place, code=code, detail=detail))

    @property
    def faults(self) -> tuple[Fault, ...]:
        return tuple(self._faults.values())

    @property
    def notices(self) -> tuple[Notice, ...]:
        return tuple(self._notices.values())


def issue_type(code: str) -> str:
    """The issue type of a fault's code."""
    return ISSUE_TYPES.get(code, "processing")


def http_status(faults: Iterable[Fault]) -> int:
    """The HTTP status with which faults are answered: that of the first fault, but 400 as soon as one is unreadable."""
    found = [404 if one.code == "type-unknown" else _STATUSES.get(issue_type(one.code), 400) for one in faults]
    return 400 if 400 in found or not found else found[0]
