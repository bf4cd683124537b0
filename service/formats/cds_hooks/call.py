"""The call of a service: who is looked at, where, and what was looked up beforehand.

Law: every fault of a call is told at once, each with its place; what nobody asks for is not looked at. The access
token that may come with it is checked for being there, and forgotten.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.domain.errors import BadInput
from service.formats.cds_hooks.services import Service
from service.formats.fhir.issues import Log
from service.formats.fhir.node import Node

KIND = "invalid-cds-hooks"

# What a text has to look like, and what is said of one that does not.
Shape = tuple[re.Pattern[str], str]
UUID: Shape = (re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "is not a UUID")
_ID: Shape = (re.compile(r"[A-Za-z0-9.\-]{1,64}"), "is not an id")
_BEARER: Shape = (re.compile("Bearer"), "is not Bearer")
_USER: Shape = (
    re.compile(r"(?:Practitioner|PractitionerRole|Patient|RelatedPerson)/[A-Za-z0-9.\-]{1,64}"),
    "is not a reference to a practitioner, a patient or a related person",
)
_ADDRESS = re.compile(r"https?://[^\s?#]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call as read. ``prefetch`` holds what the client looked up, by key, and None where there is nothing."""

    instance: str
    patient_id: str = field(repr=False)
    server: str | None = field(repr=False)
    prefetch: Mapping[str, Any] = field(repr=False)


def read_call(sent: Any, service: Service) -> Call:
    """The call of a service, from a JSON value. Raises ``BadInput`` with every fault."""
    log = Log()
    node = root(sent, log)
    _hook(node, service)
    instance = required(node, "hookInstance", UUID)
    patient = _context(node, service)
    server = _server(node)
    prefetch = node.child("prefetch")
    raise_all(log)
    return Call(
        instance=instance.lower(), patient_id=patient, server=server, prefetch=prefetch.sent if prefetch else {}
    )


def root(sent: Any, log: Log) -> Node:
    """The object that a body is. Raises ``BadInput``."""
    if not isinstance(sent, dict):
        log.fault("", "structure", "must be an object")
        raise_all(log)
    return Node(sent, "", log)


def raise_all(log: Log) -> None:
    """Raise ``BadInput`` with what is in a log, if there is anything."""
    if log.faults:
        raise BadInput(log.faults, kind=KIND)


def required(node: Node, name: str, shape: Shape | None = None) -> str:
    """A text that has to be there, in a shape; empty, with a fault in the log, where it is not."""
    found = node.text(name, longest=2_000)
    if not node.has(name):
        node.log.fault(node.at(name), "required", "is required")
    elif found is not None and shape is not None and not shape[0].fullmatch(found):
        node.log.fault(node.at(name), "value", shape[1])
    return found or ""


def _hook(node: Node, service: Service) -> None:
    hook = required(node, "hook")
    if hook and hook != service.hook:
        node.log.fault("hook", "value", "is not the hook of this service", hint=f"accepted: {service.hook}")


def _context(node: Node, service: Service) -> str:
    """The patient's id on the client's FHIR server."""
    context = node.child("context")
    if context is None:
        if not node.has("context"):
            node.log.fault("context", "required", "is required")
        return ""
    required(context, "userId", _USER)
    for name in service.texts[2:]:
        required(context, name, _ID)
    for name in (*service.lists, *service.objects):
        if not context.has(name):
            context.log.fault(context.at(name), "required", "is required")
    for name in service.lists:
        context.texts(name)
    for name in service.objects:
        context.child(name)
    return required(context, "patientId", _ID)


def _server(node: Node) -> str | None:
    """The base of the client's FHIR server; it has to be told when access to it is given."""
    access = node.child("fhirAuthorization")
    if access is not None:
        for name in ("access_token", "scope", "subject"):
            required(access, name)
        required(access, "token_type", _BEARER)
        if access.number("expires_in") is None and not access.has("expires_in"):
            access.log.fault(access.at("expires_in"), "required", "is required")
        if not node.has("fhirServer"):
            node.log.fault("fhirServer", "required", "is required where fhirAuthorization is given")
    server = node.text("fhirServer", longest=2_000)
    if server is not None and not _ADDRESS.fullmatch(server):
        node.log.fault("fhirServer", "value", "is not an http or https address")
    return server.rstrip("/") if server else None
