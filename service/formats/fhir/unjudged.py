"""What the sender of an accepted result should know of it: that it was not judged, and why.

Law: fixed words, which hold no value and nothing of the patient. What follows from a rule is information; what the
sender could mend is a warning.
"""

from collections.abc import Mapping
from typing import Any

from service.domain.verdicts import Outcome, Reason, Verdict
from service.formats.fhir.outcome import issue

Json = dict[str, Any]

# The element that would have to be mended, beside the result.
_WARNINGS: Mapping[Reason, tuple[str, str, str]] = {
    Reason.CODE_UNMAPPED: ("code", "code-invalid", "the code names no analyte that is judged here"),
    Reason.UNIT_UNKNOWN: ("valueQuantity", "value", "the unit is not one of this analyte"),
    Reason.VALUE_NOT_NUMERIC: ("", "value", "the value is not a number"),
    Reason.COMPARATOR_UNUSABLE: ("valueQuantity.comparator", "value", "the comparator says nothing to compare"),
    Reason.IMPLAUSIBLE: ("", "value", "the value is outside what a living patient can have; check unit and sample"),
    Reason.RANGE_UNUSABLE: ("referenceRange", "value", "the reference range cannot be used"),
    Reason.FACTS_CONTRADICT: ("", "conflict", "what is said of the patient contradicts itself"),
    Reason.INDEFINITE: ("", "incomplete", "it cannot be told on which side of the limit the value lies"),
    Reason.BETWEEN_LIMITS: ("", "incomplete", "the value lies between limits of which either may apply"),
    Reason.NO_INTERVAL: ("referenceRange", "incomplete", "no published interval fits this patient; send a range"),
    Reason.STATUS_UNKNOWN: ("status", "incomplete", "the status of the result is not known"),
}
_INFORMATION: Mapping[Reason, str] = {
    Reason.VALUE_ABSENT: "there is no value",
    Reason.NO_RULE: "no rule judges this analyte; the result is kept",
    Reason.OUTSIDE_SCOPE: "the value lies on a side that no rule looks at",
    Reason.PRECEDENCE: "another result of the same collection decides",
    Reason.REPLACED: "a version of this result that outranks this one is held",
}
_OTHERWISE = "the result is kept and not judged"


def told(place: str, verdict: Verdict) -> list[Json]:
    """The issue that tells why a result was not judged; none where it was."""
    if verdict.outcome is not Outcome.NOT_JUDGED or verdict.reason is None:
        return []
    if verdict.reason not in _WARNINGS:
        words = _INFORMATION.get(verdict.reason, _OTHERWISE)
        return [issue("information", "informational", f"not judged: {words}", place=place)]
    element, code, words = _WARNINGS[verdict.reason]
    # Only the hint to the units is the same for everybody: others may speak of the patient.
    hint = f" ({verdict.hint})" if verdict.reason is Reason.UNIT_UNKNOWN and verdict.hint else ""
    return [issue("warning", code, f"not judged: {words}{hint}", place=f"{place}.{element}" if element else place)]
