"""Who the patient is: a Patient resource of the message, or what a reference says by itself.

Law: a patient is known by an identifier and whoever assigned it. What is no patient is refused, and so is a reference
that leads nowhere.
"""

from collections.abc import Mapping, Sequence

from service.domain.panels import Patient
from service.domain.people import Sex
from service.formats.fhir.node import Node
from service.formats.fhir.resources import MAX_ID, Link, Only, Resource, Scope, Terms, identifiers, link
from service.formats.fhir.times import day

_SEXES: Mapping[str, Sex] = {one.value: one for one in Sex}
_NAMES = ("official", "usual")


def patient_in(resource: Resource, terms: Terms) -> Patient | None:
    """The patient that a Patient resource describes, or None and its faults in the log."""
    if not resource.understood():
        return None
    named = dict(reversed([(kind, name) for kind, name in identifiers(resource)]))
    first = next((name for _, name in identifiers(resource)), None)
    system, name = named.get("MR") or first or _by_id(resource, terms)
    if not name:
        detail = "has neither an identifier nor an id, so that nobody could be told from others"
        resource.log.fault(resource.at("identifier"), "identity-missing", detail)
        return None
    return Patient(
        identifier=name, authority=system, sex=_sex(resource), born=day(resource, "birthDate"), name=_name(resource)
    )


def _by_id(resource: Resource, terms: Terms) -> tuple[str | None, str]:
    """An id means something where it was given; that of a contained resource only within its container."""
    if resource.container is not None or resource.id is None:
        return None, ""
    return resource.base or terms.base, resource.id


def _sex(resource: Resource) -> Sex:
    sent = resource.text("gender")
    if sent is not None and sent not in _SEXES:
        resource.log.fault(
            resource.at("gender"),
            "code-invalid",
            "is not an administrative gender",
            hint=f"accepted: {', '.join(_SEXES)}",
        )
    return _SEXES.get(sent or "", Sex.UNKNOWN)


def _name(resource: Resource) -> str | None:
    """The official name, else the usual one, else the first."""
    names = sorted(resource.children("name"), key=lambda one: _rank(one.text("use")))
    if not names:
        return None
    parts = [*names[0].texts("given"), names[0].text("family") or ""]
    return (names[0].text("text") or " ".join(filter(None, parts)))[:MAX_ID] or None


def _rank(use: str | None) -> int:
    return _NAMES.index(use) if use in _NAMES else len(_NAMES)


class People:
    """The patients of a message, each Patient resource read once."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._read: dict[int, tuple[Resource, Patient | None]] = {}

    def subject(self, resource: Resource, scope: Scope) -> Patient | None:
        """The patient whom a resource is about; None when it names none, or when that is at fault."""
        child = resource.child("subject")
        if child is None:
            return None
        to = link(child)
        if to.kind not in (None, "Patient"):
            return _no_patient(child, to.kind or "")
        found = scope.find(to, resource)
        if self._terms.only is not None:
            return _the_only(self._terms.only, to, found, child=child)
        if len(found) > 1:
            resource.log.fault(to.place, "reference-ambiguous", "several entries are meant by this reference")
            return None
        if found and not scope.may_lead(to, found[0], resource):
            return None
        return self._found(found[0], child) if found else self._from_link(to, child, resource)

    def _found(self, found: Resource, child: Node) -> Patient | None:
        if found.kind != "Patient":
            return _no_patient(child, found.kind)
        # The resource is kept beside what was read, so that its address stays its own.
        _, read = self._read.setdefault(id(found.sent), (found, patient_in(found, self._terms)))
        if read is None or (found.container is None and found.log.faults):
            child.log.fault(
                child.place, "patient-refused", "the Patient that is meant cannot be used", hint=found.place
            )
            return None
        return read

    def _from_link(self, to: Link, child: Node, of: Resource) -> Patient | None:
        """Somebody of whom no resource came: the logical identifier, else the address."""
        name = to.identifier or (to.condition[1] if to.condition and to.condition[0] == "Patient" else None)
        if name is not None:
            return Patient(identifier=name[1], authority=name[0])
        if to.target is not None:
            base, kind, id_ = to.target
            if kind != "Patient":
                return _no_patient(child, kind)
            return Patient(identifier=id_, authority=base or of.base or self._terms.base)
        if to.literal is not None:
            child.log.fault(to.place, "reference-unresolved", "leads to nothing in this message")
        else:
            child.log.fault(to.place, "required", "has neither a reference nor an identifier with a value")
        return None


def _the_only(only: Only, to: Link, found: Sequence[Resource], *, child: Node) -> Patient | None:
    """The one patient who was asked for, if it is they whom a reference means."""
    ids = {(one.kind, one.id) for one in found} | ({to.target[1:]} if to.target else set())
    if ids == {("Patient", only.id)} or (
        not ids and to.identifier == (only.patient.authority, only.patient.identifier)
    ):
        return only.patient
    child.log.fault(child.place, "patients-differ", "is not the patient who was asked for")
    return None


def _no_patient(child: Node, kind: str) -> Patient | None:
    shown = kind if kind.isalpha() and len(kind) <= 64 else "another resource"
    child.log.fault(child.place, "subject-not-patient", f"is of {shown}; only results of patients are taken")
    return None
