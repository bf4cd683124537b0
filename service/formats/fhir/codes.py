"""Codeable concepts: what something is, in one or more code systems.

Law: every coding is kept, LOINC first. The text names something only where there is no coding; it never decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from service.domain.analytes import LOINC
from service.domain.panels import Code, Status
from service.formats.fhir.node import Node

# LOINC by its OID, as systems write it that come from HL7 v3.
_ALSO_LOINC = frozenset({"urn:oid:2.16.840.1.113883.6.1", "http://loinc.org/", "https://loinc.org"})
CATEGORIES = frozenset(
    {"http://terminology.hl7.org/CodeSystem/observation-category", "http://hl7.org/fhir/observation-category"}
)
INTERPRETATIONS = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
ABSENT_REASONS = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
IDENTIFIER_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
MAX_INTERPRETATIONS = 20

_OF_REPORT = {"partial": Status.PRELIMINARY, "appended": Status.APPENDED}
_OF_OBSERVATION = {one.value: one for one in Status if one is not Status.APPENDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """The codings of a CodeableConcept, LOINC first, and its text."""

    codes: tuple[Code, ...] = ()
    text: str | None = None
    display: str | None = None

    @property
    def said(self) -> str | None:
        """What it says in short: for people, not for deciding."""
        return self.text or self.display or (self.codes[0].code if self.codes else None)

    def of(self, system: str) -> str | None:
        """Its first code of a system."""
        return next((one.code for one in self.codes if one.system == system), None)


NOTHING = Concept()


def concept(node: Node | None) -> Concept:
    """A CodeableConcept as read."""
    if node is None:
        return NOTHING
    codings = node.children("coding")
    found = [code for code in map(_code, codings) if code is not None]
    display = next(filter(None, (one.text("display") for one in codings)), None)
    return Concept(
        codes=tuple(dict.fromkeys(sorted(found, key=lambda one: one.system != LOINC))),
        text=node.text("text"),
        display=display,
    )


def _code(coding: Node) -> Code | None:
    """A coding; one without a code says nothing that could be looked up."""
    code, system = coding.text("code"), coding.text("system") or ""
    return None if code is None else Code(code=code.strip(), system=LOINC if system in _ALSO_LOINC else system)


def named(node: Node) -> tuple[Code, ...]:
    """The codes that ``node.code`` gives, and a fault when there are none. A bare text is a code of no system."""
    found = concept(node.child("code"))
    if found.codes or found.text:
        return found.codes or (Code(code=found.text or "", system=""),)
    node.log.fault(node.at("code"), "required", "says in no code and in no words what was observed")
    return ()


def only_other_than_laboratory(node: Node) -> bool:
    """Do its categories, all of them FHIR's own, name others than the laboratory?"""
    codes = [code for one in node.children("category") for code in concept(one).codes]
    return bool(codes) and all(one.system in CATEGORIES and one.code != "laboratory" for one in codes)


def interpretations(node: Node) -> tuple[str, ...]:
    """The laboratory's own opinion: HL7's codes, else others, else what it says in words."""
    found = (_opinion(concept(one)) for one in node.children("interpretation"))
    opinions = tuple(dict.fromkeys(filter(None, found)))
    if len(opinions) > MAX_INTERPRETATIONS:
        detail = f"the first {MAX_INTERPRETATIONS} are kept"
        node.log.notice(node.at("interpretation"), "interpretation-shortened", detail)
    return opinions[:MAX_INTERPRETATIONS]


def _opinion(one: Concept) -> str | None:
    return one.of(INTERPRETATIONS) or (one.codes[0].code if one.codes else one.text)


def absent_reason(node: Node) -> str | None:
    """The code of ``dataAbsentReason``, else its words."""
    child = node.child("dataAbsentReason")
    if child is None:
        return None
    found = concept(child)
    return found.of(ABSENT_REASONS) or found.text or found.said or "unknown"


def status(node: Node, *, of_report: bool = False) -> Status | None:
    """The status, which has to be one of R4's."""
    words = {**_OF_OBSERVATION, **_OF_REPORT} if of_report else _OF_OBSERVATION
    sent = node.text("status")
    if sent is None:
        if not node.has("status"):
            node.log.fault(node.at("status"), "required", "is required")
        return None
    if sent not in words:
        hint = f"accepted: {', '.join(words)}"
        node.log.fault(node.at("status"), "code-invalid", "is not a status of this resource", hint=hint)
    return words.get(sent)


def loinc(codes: Iterable[Code]) -> list[Code]:
    return [one for one in codes if one.system == LOINC]
