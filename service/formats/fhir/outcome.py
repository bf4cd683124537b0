"""OperationOutcome: what was wrong, or was not quite in order, in FHIR's own words.

Law: an outcome says where and what, and never repeats a value or anybody's name.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from service.domain.errors import Fault
from service.formats.fhir.issues import issue_type
from service.formats.reading import Ignored, Notice

Json = dict[str, Any]
# Expressions are places of resources: what is none (a line and a column) stands in the text already.
_ALL_OK = "all of it was taken in"


def outcome(issues: Iterable[Json]) -> Json:
    """An OperationOutcome. It has at least one issue, and so says when there is none."""
    found = list(issues)
    return {
        "resourceType": "OperationOutcome",
        "issue": found or [issue("information", "informational", _ALL_OK)],
    }


def issue(severity: str, code: str, text: str, *, place: str = "") -> Json:
    """One issue; ``place`` is a FHIRPath."""
    said: Json = {"severity": severity, "code": code, "details": {"text": text}}
    return {**said, "expression": [place]} if place else said


def refused(faults: Iterable[Fault]) -> Json:
    """The outcome of what was refused: an issue for each fault."""
    return outcome(map(of_fault, faults))


def of_fault(fault: Fault) -> Json:
    text = f"{fault.detail} ({fault.hint})" if fault.hint else fault.detail
    return issue("error", issue_type(fault.code), text, place=fault.pointer)


def failed(text: str, *, code: str = "exception") -> Json:
    """The outcome when it is not the sender's fault: ``exception``, ``transient``, ``lock-error``, ``timeout``."""
    return outcome([issue("fatal", code, text)])


def accepted(notices: Iterable[Notice] = (), ignored: Iterable[Ignored] = ()) -> Json:
    """The outcome of what was taken in: what was put up with, and what was left out."""
    return outcome([*map(of_notice, notices), *_of_ignored(ignored)])


def of_notice(notice: Notice) -> Json:
    code = "not-found" if notice.code == "reference-unresolved" else "informational"
    severity = "warning" if notice.code in _WARNINGS else "information"
    return issue(severity, code, notice.detail, place=notice.place)


# What may make an answer of ours another one than the sender expects.
_WARNINGS = frozenset(
    {"reference-unresolved", "report-not-replaced", "range-not-for-patient", "time-from-issued", "value-missing"}
)


def _of_ignored(ignored: Iterable[Ignored]) -> Iterator[Json]:
    """One issue for each reason, with all of its places: a Bundle may hold hundreds that are not for us."""
    places: dict[str, list[str]] = {}
    for one in ignored:
        places.setdefault(one.why, []).append(one.place)
    for why, found in places.items():
        yield {**issue("information", "informational", f"ignored: {why}"), "expression": found}
