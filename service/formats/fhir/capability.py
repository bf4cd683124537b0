"""The CapabilityStatement: what this server takes and answers, and what it does not.

Law: it tells the truth. What stands here is what the doors do, and a test asks them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.formats.fhir.answers import instant
from service.formats.fhir.detected_issue import STATUSES
from service.formats.fhir.ours import Json, said

Parameter = tuple[str, str, str]

MEDIA = ["application/fhir+json", "application/json"]
_DEFINITION = "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message"
_UPDATED: Parameter = ("_lastUpdated", "date", "When it last changed. Prefixes: eq, ge, gt, le, lt, sa, eb.")
_ID: Parameter = ("_id", "token", "The id, or several with commas.")
_PATIENT: Parameter = (
    "patient",
    "reference",
    (
        "The patient by identifier: patient:identifier=system|value (or patient.identifier). In patient=Patient/x, x "
        "is the identifier, and what stands before /Patient/ its system."
    ),
)

SEARCHES: dict[str, tuple[Parameter, ...]] = {
    "Observation": (
        _ID,
        _PATIENT,
        ("subject", "reference", "The same as patient."),
        ("code", "token", "The first code (LOINC before others), or the analyte as urn:lab-alerts:analyte|calcium."),
        ("date", "date", "When the specimen was collected."),
        ("status", "token", "The status of the current version."),
        _UPDATED,
    ),
    "DetectedIssue": (
        _ID,
        _PATIENT,
        ("code", "token", "The finding: hypercalcemia, raised_alp, anemia, thrombocytopenia or pattern."),
        ("identified", "date", "When the flag was raised."),
        ("date", "date", "When the specimen was collected (not a parameter of R4)."),
        ("status", "token", f"One of {', '.join(STATUSES)} (not a parameter of R4)."),
        _UPDATED,
    ),
    "Flag": (
        _ID,
        _PATIENT,
        ("subject", "reference", "The same as patient."),
        ("code", "token", "The finding (not a parameter of R4)."),
        ("date", "date", "Flags whose period overlaps."),
        ("status", "token", "active, inactive or entered-in-error (not a parameter of R4)."),
        _UPDATED,
    ),
}
# A search without a patient would read everybody's rows; flags have an index for it.
NEEDS_PATIENT = frozenset({"Observation", "Flag"})

_WRITES = {
    "Observation": (
        "Takes what laboratories send. A result is known again by its identifier, else by its id beside the sender's "
        "key; the ids of this server are its own, and Location names them. One Observation with components is kept as "
        "several, one for each value. Searches need patient or _id. A create of what is held already is answered with "
        "200. Resources in an answer that were sent as FHIR are shown as sent, without narrative and foreign "
        "references."
    ),
    "DiagnosticReport": (
        "Taken for its results: those contained in it, and in a Bundle those that it refers to. It is not kept as a "
        "resource of its own; the answer names the Observations."
    ),
}
_SHOWN = {
    "DetectedIssue": "A flag: a possible finding, raised by a published rule. status amended: superseded.",
    "Flag": "An episode: a stretch of time in which a finding stands.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What the statement says of this very server: its address, version, and what it is for."""

    base: str
    version: str
    since: datetime
    intended_use: str


def statement(server: Server) -> Json:
    """The CapabilityStatement of a running server."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(server.since),
        "kind": "instance",
        "name": "LabAlerts",
        "title": "lab-alerts",
        "description": server.intended_use,
        "software": {"name": "lab-alerts", "version": server.version},
        "implementation": {"description": "lab-alerts: possible findings in laboratory results", "url": server.base},
        "fhirVersion": "4.0.1",
        "format": MEDIA,
        "rest": [_rest()],
        "messaging": [_messaging(server.base)],
    }


def _rest() -> Json:
    return {
        "mode": "server",
        "documentation": _GENERAL,
        "security": {"cors": False, "description": "Authorization: Bearer with an API key; scopes panels:write to "
        "send, flags:read to read."},
        "resource": [*_resources()],
        "interaction": [{"code": "transaction"}, {"code": "batch"}],
        "operation": [{"name": "process-message", "definition": _DEFINITION}],
    }  # fmt: skip


_GENERAL = (
    "JSON only. A Bundle posted to the base is taken as its type says: transaction and message whole or not at all; "
    "batch, collection, document, searchset and history entry by entry, answered as a batch. Entries may create and "
    "update; other resources than results and reports are read for what they say of these (Patient, Specimen) and are "
    "not kept. Unknown search parameters are refused. Prefer: return=minimal, representation or OperationOutcome "
    "(the default)."
)


def _resources() -> Iterable[Json]:
    for kind, documentation in _WRITES.items():
        reads = ("read", "vread", "history-instance", "search-type") if kind in SEARCHES else ()
        yield said(
            type=kind,
            documentation=documentation,
            interaction=[{"code": code} for code in (*reads, "create", "update")],
            versioning="versioned" if reads else None,
            updateCreate=True,
            conditionalCreate=True,
            conditionalRead="not-supported",
            searchParam=_parameters(kind),
        )
    for kind, documentation in _SHOWN.items():
        yield said(
            type=kind,
            documentation=documentation,
            interaction=[{"code": "read"}, {"code": "search-type"}],
            versioning="versioned",
            readHistory=False,
            conditionalRead="not-supported",
            searchParam=_parameters(kind),
        )


def _parameters(kind: str) -> list[Json]:
    names = ("name", "type", "documentation")
    return [dict(zip(names, one, strict=True)) for one in SEARCHES.get(kind, ())]


def _messaging(base: str) -> dict[str, Any]:
    protocol = {"system": "http://terminology.hl7.org/CodeSystem/message-transport", "code": "http"}
    return {
        "endpoint": [{"protocol": protocol, "address": f"{base}/$process-message"}],
        "documentation": (
            "Messages of any event that bring laboratory results. The same MessageHeader.id with the same content is "
            "answered the same again; with other content it is refused."
        ),
    }
