"""The header of a FHIR message.

Law: what the reply has to repeat is read here, also from a message that is refused.
"""

from dataclasses import dataclass, field
from typing import Any

from service.formats.fhir.issues import Log
from service.formats.fhir.node import Node
from service.formats.fhir.resources import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Id, event and sender of a message. The event is a Coding, or a URI."""

    id: str
    endpoint: str = field(repr=False)
    event_uri: str | None = None
    event_system: str | None = None
    event_code: str | None = None


def header_in(resource: Resource) -> Header | None:
    """The header that a MessageHeader is, or None and its faults in the log."""
    resource.understood()
    source, coding = resource.child("source"), resource.child("eventCoding")
    uri, endpoint = resource.text("eventUri"), source.text("endpoint") if source else None
    code, system = (coding.text("code"), coding.text("system")) if coding else (None, None)
    _require(resource, "id", present=resource.id is not None)
    _require(resource, "source.endpoint", present=endpoint is not None)
    _require(resource, "event", present=uri is not None or code is not None)
    if resource.id is None or endpoint is None or resource.log.faults:
        return None
    return Header(id=resource.id, endpoint=endpoint, event_uri=uri, event_system=system, event_code=code)


def _require(resource: Resource, name: str, *, present: bool) -> None:
    if not present:
        resource.log.fault(resource.at(name), "required", "is required")


def header_of(sent: Any) -> Header | None:
    """The header of a message, as far as it can be told, whatever else is wrong with it."""
    entries = sent.get("entry") if isinstance(sent, dict) else None
    first = entries[0] if isinstance(entries, list) and entries else None
    resource = first.get("resource") if isinstance(first, dict) else None
    if not isinstance(resource, dict) or resource.get("resourceType") != "MessageHeader":
        return None
    return header_in(Resource(Node(resource, "Bundle.entry[0].resource", Log())))
