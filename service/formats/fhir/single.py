"""What becomes of one resource: results, or the reason why it has none.

Law: of a resource that is read, everything in it is: a report's contained Observations, an Observation's components
and contained members.
"""

from dataclasses import dataclass, field

from service.formats.fhir.holders import REPLACES
from service.formats.fhir.observation import Drawn, Observations
from service.formats.fhir.resources import Resource
from service.formats.fhir.types import HEADER, MEMBERS, NOT_LABORATORY, PATIENT, REPORT
from service.formats.reading import Ignored

_SPEAK_FOR_OTHERS = {"Patient": PATIENT, "MessageHeader": HEADER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of a resource. ``beside`` are parts of it that were ignored though others were not."""

    drawn: tuple[Drawn, ...] = field(default=(), repr=False)
    ignored: str | None = None
    beside: tuple[Ignored, ...] = ()


def members_of(resource: Resource) -> list[Resource]:
    """The Observations that a resource is, or contains."""
    if resource.kind not in ("Observation", "DiagnosticReport"):
        return []
    own = [resource] if resource.kind == "Observation" else []
    return own + [one for one in resource.contained() if one.kind == "Observation"]


def fate(resource: Resource, reader: Observations) -> Fate:
    """The results of a resource, or why it is ignored. Faults are in its log."""
    if resource.kind == "Observation" and reader.passed_over(resource):
        return Fate(ignored=NOT_LABORATORY)
    if resource.kind not in ("Observation", "DiagnosticReport"):
        return Fate(ignored=_SPEAK_FOR_OTHERS.get(resource.kind, NOT_LABORATORY))
    drawn: list[Drawn] = []
    beside: list[Ignored] = []
    for one in members_of(resource):
        if reader.passed_over(one):
            beside.append(Ignored(place=one.place, why=NOT_LABORATORY))
        else:
            drawn.extend(reader.drawn(one))
    _tell_replaced(resource)
    return Fate(drawn=tuple(drawn), ignored=None if drawn else _why_none(resource), beside=tuple(beside))


def _why_none(resource: Resource) -> str:
    """Its results came with it in other resources, or did not come."""
    others = sum(len(resource.children(name)) for name in ("result", "hasMember"))
    missing = sum(one.code == "reference-unresolved" for one in resource.log.notices)
    return MEMBERS if others > missing else REPORT


def _tell_replaced(resource: Resource) -> None:
    """A report under a new id does not say which result of the old one each of its own replaces."""
    if resource.kind != "DiagnosticReport":
        return
    for one in resource.children("extension"):
        if one.sent.get("url") == REPLACES["DiagnosticReport"]:
            detail = (
                "results of the replaced report stand until they are taken back, or sent under their old identifiers"
            )
            one.log.notice(one.place, "report-not-replaced", detail)
