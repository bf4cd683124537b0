"""The patient in PID.

Law: an identifier goes with who gave it out, said in one way whatever the message spells; a fact that cannot be read
stays unknown, and the sender is told.
"""

from service.domain.errors import Fault
from service.domain.panels import Patient
from service.domain.people import Sex
from service.formats.hl7v2 import times
from service.formats.hl7v2.segments import Datum, Segment
from service.formats.reading import Notice

LONGEST = 255

# HL7 table 0001.
_SEXES = {
    "F": Sex.FEMALE,
    "M": Sex.MALE,
    "O": Sex.OTHER,
    "A": Sex.OTHER,
    "X": Sex.OTHER,
    "U": Sex.UNKNOWN,
    "N": Sex.UNKNOWN,
    "": Sex.UNKNOWN,
}
_OF_THE_HOSPITAL = ("MR", "PI")
_UNIVERSAL = {"ISO": "urn:oid:", "UUID": "urn:uuid:", "URI": ""}


def patient(pid: Segment) -> tuple[Patient | None, list[Fault], list[Notice]]:
    """The patient of a PID segment, what is wrong with it, and what could not be read of the facts."""
    chosen = _chosen(pid.data(3))
    faults = _faults(pid, chosen)
    if chosen is None or faults:
        return None, faults, []
    notices: list[Notice] = []
    born = None
    if text := pid.text(7):
        try:
            born = times.day(text)
        except ValueError:
            detail = "the birth date is not a calendar day (YYYYMMDD) and is taken as unknown"
            notices.append(Notice(place=pid.place(7), code="birth-date-unreadable", detail=detail))
    sex = _SEXES.get(pid.text(8).upper())
    if sex is None:
        detail = "the sex is none of F, M, O, A, U, N and is taken as unknown"
        notices.append(Notice(place=pid.place(8), code="sex-unreadable", detail=detail))
    found = Patient(
        identifier=chosen.component(1),
        authority=authority(chosen),
        sex=sex or Sex.UNKNOWN,
        born=born,
        name=_name(pid.first(5)),
    )
    return found, [], notices


def _chosen(identifiers: list[Datum]) -> Datum | None:
    """The identifier that counts: the medical record number, else that of the institution, else the first."""
    there = [one for one in identifiers if one.component(1)]
    for kind in _OF_THE_HOSPITAL:
        for one in there:
            if one.component(5) == kind:
                return one
    return there[0] if there else None


def _faults(pid: Segment, chosen: Datum | None) -> list[Fault]:
    place = pid.place(3)
    if chosen is None:
        detail = "PID-3 (patient identifier) is empty"
        return [Fault(pointer=place, code="required", detail=detail)]
    if max(len(chosen.component(1)), len(authority(chosen) or "")) > LONGEST:
        detail = f"PID-3 has more than {LONGEST} characters in one part"
        return [Fault(pointer=place, code="too-long", detail=detail)]
    return []


def authority(identifier: Datum) -> str | None:
    """Who gave it out (CX-4): the universal id as a URI, as FHIR says it, where there is one; else the name."""
    name, universal, kind = (identifier.sub(4, place) for place in (1, 2, 3))
    if universal and kind.upper() in _UNIVERSAL:
        return f"{_UNIVERSAL[kind.upper()]}{universal}"
    return name or universal or None


def _name(name: Datum) -> str | None:
    given = " ".join(filter(None, (name.component(2), name.component(3), name.sub(1, 1))))
    return given or None
