"""A flag as a DetectedIssue.

Law: it says what the flag says, in the words that were kept with it. Nothing is left out because it no longer stands:
that is what the status is for.
"""

from dataclasses import dataclass, field
from datetime import datetime

from service.domain.acts import REASONS, Act
from service.formats.fhir.answers import instant
from service.formats.fhir.ours import (
    ACKNOWLEDGEMENTS,
    FLAGS,
    GRAVITY,
    SUPERSEDED_BY,
    Json,
    Who,
    finding,
    flag_id,
    patient,
    references,
    said,
    severity,
)

# http://hl7.org/fhir/R4/valueset-observation-status.html; a flag that rests on a preliminary result is so, too.
_STATUSES = {"superseded": "amended", "withdrawn": "entered-in-error"}
STATUSES = ("preliminary", "final", *_STATUSES.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A flag with what is to be said of it. ``evidence``: references to the versions that it rests on.

    ``rule`` is the address of the rule set; ``intended_use`` the line that goes with every answer. ``acknowledged`` is
    the acknowledgement that holds of its episode.
    """

    name: str
    who: Who
    finding: str
    severity: str
    state: str
    provisional: bool
    at_least: bool
    grade: str | None
    classification: str | None
    why: str = field(repr=False)
    raised_at: datetime
    changed_at: datetime
    superseded_by: str | None
    evidence: tuple[str, ...]
    rule: str
    author: str
    intended_use: str
    acknowledged: Act | None = None


def version(changed_at: datetime) -> str:
    """The version of what is known by when it last changed, to the microsecond."""
    return str(int(changed_at.timestamp()) * 1_000_000 + changed_at.microsecond)


def status(state: str, *, provisional: bool) -> str:
    """The status of a flag in a state."""
    return _STATUSES.get(state, "preliminary" if provisional else "final")


def detected_issue(one: Issue) -> Json:
    """The flag as a DetectedIssue."""
    return said(
        resourceType="DetectedIssue",
        id=flag_id(one.name),
        meta={"versionId": version(one.changed_at), "lastUpdated": instant(one.changed_at)},
        extension=[severity(one.severity), *_superseded(one)],
        identifier=[{"system": FLAGS, "value": one.name}],
        status=status(one.state, provisional=one.provisional),
        code=finding(one.finding),
        severity=GRAVITY[one.severity],
        patient=patient(one.who),
        identifiedDateTime=instant(one.raised_at),
        author={"type": "Device", "display": one.author},
        implicated=references(one.evidence),
        evidence=[said(code=_grounds(one), detail=references(one.evidence))] if one.evidence else [],
        detail=_detail(one),
        reference=one.rule,
        mitigation=[] if one.acknowledged is None else [_mitigation(one.acknowledged)],
    )


def _mitigation(act: Act) -> Json:
    """That somebody has acknowledged it, and why. Notes are left out: they may name somebody."""
    words = {} if act.reason is None else {"code": act.reason.value, "display": REASONS[act.reason]}
    action = {"coding": [{"system": ACKNOWLEDGEMENTS, **words}], "text": "Acknowledged"}
    return {"action": action, "date": instant(act.at), "author": {"display": act.actor.name}}


def _superseded(one: Issue) -> list[Json]:
    if one.superseded_by is None:
        return []
    reference = {"reference": f"DetectedIssue/{flag_id(one.superseded_by)}"}
    return [{"url": SUPERSEDED_BY, "valueReference": reference}]


def _grounds(one: Issue) -> list[Json]:
    return [{"text": text} for text in (one.grade, one.classification) if text]


def _detail(one: Issue) -> str:
    beginning = "At least as grave as said: " if one.at_least else ""
    return f"{beginning}{one.why}. {one.intended_use}"
