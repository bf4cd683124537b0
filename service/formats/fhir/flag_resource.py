"""An episode as a Flag: what there is to look out for, as long as it stands.

Law: a Flag is active exactly as long as its episode is open.
"""

from dataclasses import dataclass, field
from datetime import datetime

from service.formats.fhir.answers import instant
from service.formats.fhir.detected_issue import version
from service.formats.fhir.ours import (
    EPISODES,
    SUPERSEDED_BY,
    Json,
    Who,
    finding,
    flag_id,
    joint_id,
    patient,
    said,
    severity,
)

# Extensions of the standard: http://hl7.org/fhir/R4/flag-profiles.html
_DETAIL = "http://hl7.org/fhir/StructureDefinition/flag-detail"
_PRIORITY = "http://hl7.org/fhir/StructureDefinition/flag-priority"
_PRIORITIES = {"critical": "PH", "severe": "PH", "moderate": "PM", "mild": "PL", "info": "PN"}
_CATEGORY = "http://terminology.hl7.org/CodeSystem/flag-category"

# An episode that goes on as part of another stands no longer by itself.
STATUSES = {"open": "active", "resolved": "inactive", "merged": "inactive", "withdrawn": "entered-in-error"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An episode with what is to be said of it; ``patient`` is our own name for the patient."""

    name: str
    patient: str
    who: Who
    finding: str
    state: str
    level: str
    opened_at: datetime = field(repr=False)
    resolved_at: datetime | None = field(repr=False)
    changed_at: datetime
    last_flag: str
    merged_into: str | None
    author: str


def flag(one: Standing) -> Json:
    """The episode as a Flag."""
    return said(
        resourceType="Flag",
        id=joint_id(one.patient, one.name),
        meta={"versionId": version(one.changed_at), "lastUpdated": instant(one.changed_at)},
        extension=[*_extensions(one)],
        identifier=[{"system": EPISODES, "value": one.name}],
        status=STATUSES[one.state],
        category=[{"coding": [{"system": _CATEGORY, "code": "lab", "display": "Lab"}]}],
        code=finding(one.finding),
        subject=patient(one.who),
        period=said(start=instant(one.opened_at), end=None if one.resolved_at is None else instant(one.resolved_at)),
        author={"type": "Device", "display": one.author},
    )


def _extensions(one: Standing) -> list[Json]:
    priority = {"coding": [{"system": "http://hl7.org/fhir/flag-priority-code", "code": _PRIORITIES[one.level]}]}
    detail = {"reference": f"DetectedIssue/{flag_id(one.last_flag)}"}
    found: list[Json] = [
        {"url": _DETAIL, "valueReference": detail},
        {"url": _PRIORITY, "valueCodeableConcept": priority},
        severity(one.level),
    ]
    if one.merged_into is not None:
        into = f"Flag/{joint_id(one.patient, one.merged_into)}"
        found.append({"url": SUPERSEDED_BY, "valueReference": {"reference": into}})
    return found
