"""The services that are offered, and the discovery document that lists them.

Law: what a service asks to be looked up is what the catalogue can judge. Each hook has an id of its own: some clients
tell services apart by the id alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.analytes import LOINC

Json = dict[str, Any]

PATIENT, LABS = "patient", "labs"
_NEWEST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service. ``texts``: members of the context that have to be there; ``more``: what has to be there beside."""

    id: str
    hook: str
    title: str
    description: str
    texts: tuple[str, ...] = ("userId", "patientId")
    lists: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()


_SERVICES = (
    Service(
        id="lab-flags",
        hook="patient-view",
        title="Lab flags",
        description="Open lab flags for this patient, with the reason for each, and results that could not be judged.",
    ),
    Service(
        id="lab-flags-order-select",
        hook="order-select",
        title="Lab flags, while orders are chosen",
        description="The open lab flags of the patient for whom orders are being chosen.",
        lists=("selections",),
        objects=("draftOrders",),
    ),
    Service(
        id="lab-flags-order-sign",
        hook="order-sign",
        title="Lab flags, before orders are signed",
        description="The open lab flags of the patient whose orders are about to be signed.",
        objects=("draftOrders",),
    ),
    Service(
        id="lab-flags-encounter-start",
        hook="encounter-start",
        title="Lab flags, when an encounter begins",
        description="The open lab flags of the patient whose encounter begins.",
        texts=("userId", "patientId", "encounterId"),
    ),
)
SERVICES: Mapping[str, Service] = {one.id: one for one in _SERVICES}


def discovery(codes: Iterable[str], *, version: str) -> Json:
    """The discovery document; ``codes`` are the LOINC codes of all that is judged."""
    prefetch = {PATIENT: "Patient/{{context.patientId}}", LABS: _labs(codes)}
    return {"services": [_told(one, prefetch, version) for one in SERVICES.values()]}


def _labs(codes: Iterable[str]) -> str:
    """Plain search only, as every FHIR server has it: equality, ``_sort`` and ``_count``."""
    listed = ",".join(f"{LOINC}|{code}" for code in codes)
    return (
        f"Observation?patient={{{{context.patientId}}}}&category=laboratory&code={listed}&_sort=-date&_count={_NEWEST}"
    )


def _told(service: Service, prefetch: Json, version: str) -> Json:
    return {
        "hook": service.hook,
        "id": service.id,
        "title": service.title,
        "description": service.description,
        "version": version,
        "prefetch": prefetch,
    }
