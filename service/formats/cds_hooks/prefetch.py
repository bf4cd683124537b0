"""What the client looked up for us: the patient, and the results.

Law: what is absent, what failed and what cannot be read is told apart, and none of it is taken for "there is nothing".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from service.domain.errors import BadInput, Fault
from service.domain.panels import Code, Panel, Patient
from service.formats.cds_hooks.call import Call
from service.formats.cds_hooks.services import LABS, PATIENT
from service.formats.fhir.issues import Log
from service.formats.fhir.node import Node
from service.formats.fhir.reader import read_observations, read_patient
from service.formats.fhir.resources import Resource, identifiers

_FIRST = re.compile(r"^(?:Bundle|Patient)\b")
Faults = tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The patient of a call: every name that they have, as system and value, and what the resource says of them.

    ``described`` is None, and ``faults`` say why, where no usable Patient resource came. ``tried``: something came.
    """

    names: tuple[tuple[str | None, str], ...] = field(repr=False)
    described: Patient | None = field(default=None, repr=False)
    faults: Faults = ()
    tried: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Labs:
    """The results of a call. ``usable``: they came, or there are none; else ``faults`` say why not.

    ``faults`` of usable ones are those of single entries; ``paged``: there are older ones, which did not come.
    ``tried``: the client has looked them up.
    """

    panels: tuple[Panel, ...] = ()
    faults: Faults = ()
    usable: bool = True
    paged: bool = False
    tried: bool = True


def read_person(call: Call, *, now: datetime) -> Person:
    """The patient of a call: by the identifiers of the Patient resource, and by the id on the client's server."""
    literal = ((call.server, call.patient_id),) if call.server else ()
    sent: Any = call.prefetch.get(PATIENT)
    faults = _missing(call.prefetch, PATIENT) if sent is None else _not_that(sent, call.patient_id)
    if faults:
        return Person(names=literal, faults=faults, tried=sent is not None)
    try:
        described = read_patient(sent, now=now, base=call.server)
    except BadInput as error:
        return Person(names=literal, faults=_moved(error.faults, PATIENT))
    given = identifiers(Resource(Node(sent, PATIENT, Log())))
    return Person(names=tuple(dict.fromkeys([*(name for _, name in given), *literal])), described=described)


def _missing(prefetch: Mapping[str, Any], key: str) -> Faults:
    detail = "is null: nobody can be found without it" if key in prefetch else "is needed and did not come"
    return _trouble(key, "required", detail)


def _trouble(key: str, code: str, detail: str) -> Faults:
    return (Fault(pointer=f"prefetch.{key}", code=code, detail=detail),)


def _failed(sent: Any, key: str) -> Faults:
    """An OperationOutcome says that the client tried and failed."""
    failed = isinstance(sent, dict) and sent.get("resourceType") == "OperationOutcome"
    return _trouble(key, "reference-unresolved", "could not be looked up by the client") if failed else ()


def _not_that(sent: Any, patient_id: str) -> Faults:
    if failed := _failed(sent, PATIENT):
        return failed
    if isinstance(sent, dict) and sent.get("resourceType") == "Patient" and sent.get("id") != patient_id:
        return _trouble(PATIENT, "patients-differ", "is not the patient of the context")
    return ()


def _moved(faults: Faults, key: str) -> Faults:
    """The faults with their places in the call."""
    return tuple(replace(one, pointer=_FIRST.sub(f"prefetch.{key}", one.pointer)) for one in faults)


def read_labs(call: Call, person: Person, *, now: datetime, known: Callable[[Code], bool]) -> Labs:
    """The results of a call as panels of its patient."""
    sent = call.prefetch.get(LABS)
    if sent is None:
        # Null says that there are none: nothing is missing then.
        came = LABS in call.prefetch
        return Labs(usable=came, tried=came, faults=() if came else _missing(call.prefetch, LABS))
    if failed := _failed(sent, LABS):
        return Labs(usable=False, faults=failed)
    patient = person.described or Patient(identifier=call.patient_id, authority=call.server)
    try:
        found = read_observations(sent, patient, patient_id=call.patient_id, now=now, base=call.server, known=known)
    except BadInput as error:
        return Labs(usable=False, faults=_moved(error.faults, LABS))
    faults = _moved(tuple(fault for entry in found.entries for fault in entry.faults), LABS)
    panels = found.reading.panels
    return Labs(panels=panels, faults=faults, usable=bool(panels) or not faults, paged=_goes_on(sent))


def _goes_on(sent: Any) -> bool:
    """Does the Bundle have a next page?"""
    links = sent.get("link") if isinstance(sent, dict) else None
    listed = links if isinstance(links, list) else []
    return any(isinstance(one, dict) and one.get("relation") == "next" for one in listed)
