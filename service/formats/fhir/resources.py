"""The resources of a message, and how they refer to each other.

Law: a reference is resolved within the message or not at all: by full URL, by type and id, by a contained id, or by an
identifier (FHIR R4, Bundle, "Resolving references in Bundles"). Nothing is fetched.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl

from service.domain.panels import Code, Patient
from service.formats.fhir.codes import IDENTIFIER_TYPES, concept
from service.formats.fhir.issues import Log
from service.formats.fhir.node import Node

_URL = re.compile(r"(?:(https?://\S+)/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.\-]{1,64})(?:/_history/[A-Za-z0-9.\-]{1,64})?")
_HISTORY = re.compile(r"/_history/[A-Za-z0-9.\-]{1,64}$")
# What names an order or a specimen, which several results share (HL7 table 0203).
_SHARED = frozenset({"PLAC", "ACSN", "PGN", "FGN"})
_PAST = frozenset({"old", "temp"})
MAX_ID = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Only:
    """The one patient about whom something was looked up, and the id that their resources have where it was."""

    id: str = field(repr=False)
    patient: Patient = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which a message is read: when it was received, where relative references lead, which codes are judged.

    With ``only`` nothing is taken that is about anybody else.
    """

    now: datetime
    base: str | None
    known: Callable[[Code], bool] = field(repr=False)
    only: Only | None = None


class Resource(Node):
    """A resource with its place in the message: in an entry, alone, or contained in another."""

    __slots__ = ("base", "container", "id", "kind", "method", "url")

    def __init__(
        self,
        node: Node,
        *,
        url: str | None = None,
        method: str | None = None,
        base: str | None = None,
        container: "Resource | None" = None,
    ) -> None:
        super().__init__(node.sent, node.place, node.log)
        self.kind = node.text("resourceType", longest=64) or ""
        self.id = node.text("id", longest=64)
        self.url, self.method, self.container = url, method, container
        found = _URL.fullmatch(url) if url else None
        self.base = (found[1] if found else None) or base

    def contained(self) -> "list[Resource]":
        return [Resource(one, base=self.base, container=self) for one in self.children("contained")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A Reference as read."""

    place: str
    literal: str | None = field(default=None, repr=False)
    identifier: tuple[str | None, str] | None = field(default=None, repr=False)
    kind: str | None = None

    @property
    def target(self) -> tuple[str | None, str, str] | None:
        """Base, type and id of a RESTful reference."""
        found = _URL.fullmatch(self.literal) if self.literal else None
        return (found[1], found[2], found[3]) if found else None

    @property
    def condition(self) -> tuple[str, tuple[str | None, str]] | None:
        """Type and identifier of a conditional reference (``Patient?identifier=system|value``)."""
        kind, mark, query = (self.literal or "").partition("?")
        found = dict(parse_qsl(query)) if mark else {}
        if set(found) != {"identifier"} or not found["identifier"].rpartition("|")[2]:
            return None
        system, _, name = found["identifier"].rpartition("|")
        return kind, (system or None, name)


def link(node: Node) -> Link:
    """A Reference as it stands in an element."""
    child = node.child("identifier")
    return Link(
        place=node.place,
        literal=node.text("reference", longest=2_000),
        identifier=None if child is None else identifier(child),
        kind=node.text("type"),
    )


def identifier(node: Node) -> tuple[str | None, str] | None:
    """System and value of an Identifier; None when it has no value."""
    found = node.text("value", longest=MAX_ID)
    system = node.text("system", longest=MAX_ID)
    return None if found is None else (system, found)


def identifiers(resource: Node) -> Iterator[tuple[str | None, tuple[str | None, str]]]:
    """Type and name of each identifier that is in use, the official ones first."""
    found = [one for one in resource.children("identifier") if one.text("use") not in _PAST]
    for one in sorted(found, key=lambda one: one.text("use") != "official"):
        name = identifier(one)
        if name is not None:
            yield concept(one.child("type")).of(IDENTIFIER_TYPES), name


def identity(resource: Resource, terms: Terms) -> str | None:
    """The name by which a resource is known again: a business identifier, else its id where it was given."""
    for kind, (system, name) in identifiers(resource):
        if kind not in _SHARED:
            return f"{system or ''}|{name}"
    if resource.container is not None:
        above = identity(resource.container, terms)
        return above and resource.id and f"{above}#{resource.id}"
    return resource.id and located(resource.base or terms.base, resource.kind, resource.id)


def located(base: str | None, kind: str, id_: str) -> str:
    """The URL of a resource; without a base relative, and so beside its sender only."""
    return f"{base}/{kind}/{id_}" if base else f"{kind}/{id_}"


class Scope:
    """The resources among which references are resolved; ``outer`` are those of the Bundle around this one."""

    def __init__(self, resources: Iterable[Resource], *, outer: "Scope | None" = None, batch: bool = False) -> None:
        self.resources = tuple(resources)
        self._outer, self._batch = outer, batch
        self._by_name: dict[str, list[Resource]] = {}
        for one in self.resources:
            for name in _names(one):
                self._by_name.setdefault(name, []).append(one)

    def find(self, to: Link, of: Resource) -> list[Resource]:
        """The resources that a reference means: one, none, or, when the message is ambiguous, several."""
        if to.literal is None:
            return self._by_identifier(to.identifier, to.kind)
        if to.literal.startswith("#"):
            around = of.container or of
            return [one for one in around.contained() if f"#{one.id}" == to.literal] if to.literal != "#" else [around]
        if to.condition is not None:
            return self._by_identifier(to.condition[1], to.condition[0])
        return self._named(_HISTORY.sub("", to.literal), of)

    def may_lead(self, to: Link, found: Resource, of: Resource) -> bool:
        """May the reference be followed? The entries of a batch stand alone, and may not name each other's new ids.

        A Patient with an identifier of its own is somebody whatever becomes of the entry.
        """
        new = self._batch and found.method == "POST" and found.sent is not of.sent
        if not new or (found.kind == "Patient" and any(system for _, (system, _) in identifiers(found))):
            return True
        detail = "names another entry of the batch, which has no id yet"
        of.log.fault(to.place, "not-supported", detail, hint="send what belongs together as a transaction")
        return False

    def _named(self, name: str, of: Resource) -> list[Resource]:
        relative = ":" not in name
        # A relative reference leads to where the resource that has it stands, else to one of which no place is known.
        found = self._by_name.get(f"{of.base}/{name}" if relative and of.base else name, [])
        if not found and relative:
            found = [one for one in self._by_name.get(name, []) if of.base is None or one.base in (None, of.base)]
        return _different(found) or (self._outer.find(Link(place="", literal=name), of) if self._outer else [])

    def _by_identifier(self, name: tuple[str | None, str] | None, kind: str | None) -> list[Resource]:
        if name is None:
            return []
        quiet = (Node(one.sent, one.place, Log()) for one in self.resources)
        pairs = zip(self.resources, quiet, strict=True)
        found = [one for one, node in pairs if one.kind == (kind or "Patient") and name in _all_names(node)]
        return _different(found)


def _names(one: Resource) -> set[str]:
    found = {_HISTORY.sub("", one.url)} if one.url else set()
    return found | ({f"{one.kind}/{one.id}"} if one.id else set())


def _all_names(node: Node) -> set[tuple[str | None, str]]:
    return {name for name in map(identifier, node.children("identifier")) if name is not None}


def _different(found: list[Resource]) -> list[Resource]:
    """Several entries that say word for word the same are one."""
    return found[:1] if all(one.sent == found[0].sent for one in found) else found
