"""What a door asks for: bytes as a JSON value, one resource, or the Observations that a client looked up for us.

Law: whatever was sent, the answer is a reading, or ``BadInput`` with FHIRPaths.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from service.domain.errors import BadInput, Fault
from service.domain.panels import Code, Patient
from service.formats import strict_json
from service.formats.fhir.bundle import Bundle, read_bundle, read_under
from service.formats.fhir.issues import KIND, Log
from service.formats.fhir.node import Node
from service.formats.fhir.people import patient_in
from service.formats.fhir.resources import Only, Resource, Terms
from service.formats.reading import Reading

MEDIA_TYPE = "application/fhir+json"
MEDIA_TYPES = (MEDIA_TYPE, "application/json")
SINGLE = ("Observation", "DiagnosticReport")
_INDEX = re.compile(r"\.(\d+)(?=\.|$)")
_IN_ENTRY = re.compile(r"Bundle\.entry\[0\]\.resource")


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """One resource as read."""

    kind: str
    reading: Reading
    id: str | None = field(default=None, repr=False)
    ignored: str | None = None


def parse(body: bytes) -> Any:
    """The JSON value in ``body``. Raises ``BadInput``; places are FHIRPaths."""
    try:
        return strict_json.parse(body)
    except BadInput as error:
        faults = [replace(one, pointer=_path(one.pointer)) for one in error.faults]
        raise BadInput(faults, kind=error.kind) from None


def _path(pointer: str) -> str:
    """A JSON Pointer as a FHIRPath, from the resource on: the parser does not know its type."""
    steps = pointer.strip("/").replace("/", ".")
    return _INDEX.sub(r"[\1]", steps)


def read_resource(
    sent: Any,
    *,
    now: datetime,
    base: str | None,
    known: Callable[[Code], bool],
    kind: str | None = None,
    id_: str | None = None,
) -> Single:
    """An Observation or a DiagnosticReport that came alone; ``kind`` and ``id_`` are what the URL says of it.

    Raises ``BadInput`` with every fault.
    """
    found = _check_single(sent, kind, id_)
    alone = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": sent}]}
    read = read_bundle(alone, now=now, base=base, known=known)
    (entry,) = read.entries
    if entry.faults:
        raise BadInput([replace(one, pointer=_alone(one.pointer, found)) for one in entry.faults], kind=KIND)
    return Single(kind=found, reading=_reading_alone(read.reading, found), id=entry.id, ignored=entry.ignored)


def _check_single(sent: Any, kind: str | None, id_: str | None) -> str:
    """The type of a resource that may come alone. Raises ``BadInput`` for any other."""
    log = Log()
    if not isinstance(sent, dict):
        log.fault(kind or "", "structure", "must be an object")
        raise _refused(*log.faults)
    node = Node(sent, "", log)
    found = node.text("resourceType", longest=64)
    if found is None and not log.faults:
        log.fault("resourceType", "required", "is required")
    elif found is not None and found not in SINGLE:
        log.fault("resourceType", "type-unknown", "is not taken here", hint=f"accepted: {', '.join(SINGLE)}")
    elif found is not None and kind is not None and found != kind:
        log.fault(f"{found}.resourceType", "value", "is not the type that the URL names")
    if found in SINGLE and id_ is not None and sent.get("id") != id_:
        log.fault(f"{found}.id", "value" if node.has("id") else "required", "must be the id that the URL names")
    if log.faults or found is None:
        raise _refused(*log.faults)
    return found


def _refused(*faults: Fault) -> BadInput:
    return BadInput(faults, kind=KIND)


def _alone(place: str, kind: str) -> str:
    return _IN_ENTRY.sub(kind, place, count=1)


def _reading_alone(reading: Reading, kind: str) -> Reading:
    panels = tuple(
        replace(panel, results=tuple(replace(one, pointer=_alone(one.pointer, kind)) for one in panel.results))
        for panel in reading.panels
    )
    return Reading(
        panels=panels,
        ignored=tuple(replace(one, place=_alone(one.place, kind)) for one in reading.ignored),
        notices=tuple(replace(one, place=_alone(one.place, kind)) for one in reading.notices),
    )


def read_patient(sent: Any, *, now: datetime, base: str | None) -> Patient:
    """The patient that a Patient resource describes. Raises ``BadInput``."""
    log = Log()
    if not isinstance(sent, dict) or sent.get("resourceType") != "Patient":
        log.fault("Patient", "structure", "must be a Patient")
        raise _refused(*log.faults)
    terms = Terms(now=now, base=base, known=lambda _: False)
    found = patient_in(Resource(Node(sent, "Patient", log)), terms)
    if found is None or log.faults:
        raise _refused(*log.faults)
    return found


def read_observations(
    sent: Any,
    patient: Patient,
    *,
    patient_id: str,
    now: datetime,
    base: str | None,
    known: Callable[[Code], bool],
) -> Bundle:
    """Observations that a client looked up for a patient: a searchset Bundle, a list of resources, or one of them.

    ``patient_id`` is the id that their subjects have to have there. All of them are given to ``patient``; those of
    anybody else are at fault, and so in no panel. Raises ``BadInput`` when it is nothing of the kind.
    """
    only = Only(id=patient_id, patient=patient)
    return read_under(_as_searchset(sent), Terms(now=now, base=base, known=known, only=only))


def _as_searchset(sent: Any) -> Any:
    if isinstance(sent, list):
        return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in sent]}
    single = isinstance(sent, dict) and sent.get("resourceType") in SINGLE
    return _as_searchset([sent]) if single else sent
