"""The entries of a Bundle: the resource of each, and what is asked to be done with it.

Law: every entry has a slot of its own with a log of its own, so that what is wrong in one is not blamed on another.
"""

from dataclasses import dataclass, field
from typing import Any

from service.formats.fhir.issues import Log
from service.formats.fhir.node import Node
from service.formats.fhir.resources import Link, Resource, identifier
from service.formats.fhir.types import OUTCOME, REQUESTS, RESOURCES

_TAKEN = ("POST", "PUT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asks to be done with an entry (Bundle.entry.request)."""

    method: str
    url: str = field(repr=False)
    if_match: str | None = None
    if_none_match: str | None = None
    if_none_exist: str | None = field(default=None, repr=False)


@dataclass(slots=True, kw_only=True, frozen=True)
class Slot:
    """One entry. ``resource`` is None when it is ignored or at fault."""

    place: str
    log: Log
    resource: Resource | None = None
    request: Request | None = None
    ignored: str | None = None


def slots(bundle: Node, kind: str | None) -> list[Slot]:
    """The entries of a Bundle of a type; of one within another it is None."""
    sent = bundle.sent.get("entry")
    if sent is not None and not isinstance(sent, list):
        bundle.log.fault(bundle.at("entry"), "structure", "must be a list")
        return []
    return [_slot(one, f"{bundle.at('entry')}[{index}]", kind) for index, one in enumerate(sent or ())]


def _slot(sent: Any, place: str, kind: str | None) -> Slot:
    log = Log()
    if not isinstance(sent, dict):
        log.fault(place, "structure", "must be an object")
        return Slot(place=place, log=log)
    entry = Node(sent, place, log)
    if not entry.understood():
        return Slot(place=place, log=log)
    if kind == "searchset" and _search_mode(entry) == "outcome":
        return Slot(place=place, log=log, ignored=OUTCOME)
    request = _request(entry, kind)
    if request is not None and request.method not in _TAKEN:
        hint = "a result is taken back with the status entered-in-error" if request.method == "DELETE" else None
        log.fault(entry.at("request.method"), "not-supported", "only POST and PUT are taken here", hint=hint)
        return Slot(place=place, log=log, request=request)
    resource = _resource(entry, request)
    if resource is not None and request is not None and kind in REQUESTS:
        _check(entry, request, resource)
    return Slot(place=place, log=log, request=request, resource=resource)


def _search_mode(entry: Node) -> str | None:
    search = entry.child("search")
    return search.text("mode") if search else None


def _request(entry: Node, kind: str | None) -> Request | None:
    child = entry.child("request")
    if child is None:
        if kind in REQUESTS and not entry.has("request"):
            entry.log.fault(entry.at("request"), "required", f"is required in a {kind}")
        return None
    method, url = child.text("method", longest=16), child.text("url", longest=2_000)
    for name in ("method", "url"):
        if not child.has(name):
            child.log.fault(child.at(name), "required", "is required")
    if method is None or url is None:
        return None
    return Request(
        method=method,
        url=url,
        if_match=child.text("ifMatch"),
        if_none_match=child.text("ifNoneMatch"),
        if_none_exist=child.text("ifNoneExist"),
    )


def _resource(entry: Node, request: Request | None) -> Resource | None:
    child = entry.child("resource")
    if child is None:
        if not entry.has("resource"):
            entry.log.fault(entry.at("resource"), "required", "is required")
        return None
    return typed(Resource(child, url=entry.text("fullUrl", longest=2_000), method=request.method if request else None))


def typed(resource: Resource) -> Resource | None:
    """A resource of a type that R4 has, else None and a fault."""
    if resource.kind in RESOURCES:
        return resource
    if not resource.has("resourceType"):
        resource.log.fault(resource.at("resourceType"), "required", "is required")
    elif resource.kind:
        resource.log.fault(resource.at("resourceType"), "type-unknown", "is not a resource type of R4")
    return None


def _check(entry: Node, request: Request, resource: Resource) -> None:
    """Does what is asked for agree with the resource?"""
    path, _, query = request.url.partition("?")
    kind, _, id_ = path.strip("/").removeprefix(f"{resource.base}/").partition("/")
    place = entry.at("request.url")
    if kind != resource.kind:
        entry.log.fault(place, "value", "names another type than that of the resource")
    if request.method == "PUT":
        if not id_ and not query:
            entry.log.fault(place, "required", "an update needs an id or a condition")
        elif id_ and id_ != resource.id:
            entry.log.fault(resource.at("id"), "value", "is not the id in request.url")
    if request.if_none_exist is not None:
        _check_condition(entry.at("request.ifNoneExist"), request.if_none_exist, resource)
    elif query:
        _check_condition(place, query, resource)


def _check_condition(place: str, query: str, resource: Resource) -> None:
    """A condition is met by what a result is known by: an identifier that the resource itself has."""
    condition = Link(place=place, literal=f"{resource.kind}?{query.rpartition('?')[2]}").condition
    own = [identifier(one) for one in resource.children("identifier")]
    if condition is None or condition[1] not in own:
        detail = "is a condition other than one identifier of the resource itself"
        hint = "write identifier=system|value, and give the resource this identifier"
        resource.log.fault(place, "not-supported", detail, hint=hint)
