"""Bundles of any type as panels, with what became of each entry.

    value ─► slots ─► scope ─► holders (reports) ─► results of each resource ─► panels

Law: a transaction or a message is read whole or refused with all of its faults; of any other Bundle each entry stands
for itself. The order of the entries decides nothing but the order of the panels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.domain.errors import BadInput, Fault
from service.domain.panels import Code
from service.formats.fhir.entries import Request, Slot, slots
from service.formats.fhir.gather import Position, check_repeated, gather
from service.formats.fhir.holders import Holders
from service.formats.fhir.issues import KIND, Log
from service.formats.fhir.message import Header, header_in
from service.formats.fhir.node import Node
from service.formats.fhir.observation import Observations
from service.formats.fhir.people import People
from service.formats.fhir.resources import Resource, Scope, Terms, identifier
from service.formats.fhir.single import Fate, fate, members_of
from service.formats.fhir.types import BUNDLES, NESTED, NOT_LABORATORY, UNITS
from service.formats.reading import Ignored, Notice, Reading
from service.formats.strict_json import listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of one entry: where its results went, or why it was ignored, or its faults.

    ``kind`` and ``id`` are those of the resource, as far as it says them.
    """

    place: str
    kind: str | None = None
    id: str | None = field(default=None, repr=False)
    request: Request | None = None
    results: tuple[Position, ...] = ()
    ignored: str | None = None
    faults: tuple[Fault, ...] = ()
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A Bundle as read. ``reading`` holds what is not at fault; ``entries`` are those of the Bundle, in its order."""

    type: str
    reading: Reading
    entries: tuple[Entry, ...]
    identifier: str | None = field(default=None, repr=False)
    header: Header | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A resource, in whatever Bundle within the Bundle: ``index`` is that of the outermost entry."""

    index: int
    slot: Slot
    fate: Fate


def read_bundle(sent: Any, *, now: datetime, base: str | None, known: Callable[[Code], bool]) -> Bundle:
    """A Bundle, given as ``strict_json.parse`` answers it, that was received ``now``.

    ``base``: where ids without an address of their own belong; ``known``: is a code one that is judged here? Raises
    ``BadInput`` when it cannot be read, and with every fault in a transaction or a message.
    """
    return read_under(sent, Terms(now=now, base=base, known=known))


def read_under(sent: Any, terms: Terms) -> Bundle:
    """The same under terms of any kind."""
    log = Log()
    node = _bundle_node(sent, log)
    kind = _type(node) if node else None
    if node is None or kind is None or log.faults:
        raise BadInput(log.faults, kind=KIND)
    top = slots(node, kind)
    header = _header(node, top, kind)
    parts = list(_parts(top, terms, People(terms), batch=kind == "batch"))
    name = _name(node)
    # Whatever was wrong with the Bundle itself keeps all of it from being read.
    _raise(log.faults)
    return _read(kind, parts, top, header=header, name=name)


def _bundle_node(sent: Any, log: Log) -> Node | None:
    """The Bundle that a value is; None and a fault when it is none."""
    if not isinstance(sent, dict):
        log.fault("Bundle", "structure", "must be an object")
        return None
    node = Node(sent, "Bundle", log)
    if node.text("resourceType") != "Bundle":
        log.fault("Bundle.resourceType", "value", "must be Bundle")
    node.understood()
    return node


def _type(node: Node) -> str | None:
    kind = node.text("type", longest=64)
    if kind in BUNDLES:
        return kind
    if not node.has("type"):
        node.log.fault(node.at("type"), "required", "is required")
    else:
        hint = f"accepted: {', '.join(BUNDLES)}"
        node.log.fault(node.at("type"), "not-supported", "is not a type of Bundle that is read", hint=hint)
    return None


def _name(node: Node) -> str | None:
    child = node.child("identifier")
    found = identifier(child) if child else None
    return f"{found[0] or ''}|{found[1]}" if found else None


def _header(node: Node, top: Sequence[Slot], kind: str) -> Header | None:
    if kind != "message":
        return None
    first = top[0].resource if top else None
    if first is None or first.kind != "MessageHeader":
        node.log.fault(f"{node.at('entry')}[0].resource", "required", "a message begins with its MessageHeader")
        return None
    return header_in(first)


def _parts(
    top: Sequence[Slot],
    terms: Terms,
    people: People,
    *,
    batch: bool = False,
    outer: Scope | None = None,
    index: int | None = None,
) -> Iterator[_Part]:
    """Every resource, Bundles within the Bundle entered, with its fate."""
    scope = Scope([one.resource for one in top if one.resource], outer=outer, batch=batch)
    holders = Holders(scope, people, terms)
    reader = Observations(holders=holders, people=people, terms=terms)
    _put_around(scope.resources, holders, reader)
    for place, slot in enumerate(top):
        number = place if index is None else index
        if slot.resource is not None and slot.resource.kind == "Bundle":
            below = slots(slot.resource, None)
            yield _Part(index=number, slot=slot, fate=Fate(ignored=NESTED))
            yield from _parts(below, terms, people, outer=scope, index=number)
        else:
            yield _Part(index=number, slot=slot, fate=fate(slot.resource, reader) if slot.resource else Fate())


def _put_around(resources: Sequence[Resource], holders: Holders, reader: Observations) -> None:
    for one in resources:
        if one.kind == "DiagnosticReport":
            holders.put(one)
    for one in resources:
        for observation in members_of(one):
            if not reader.passed_over(observation):
                holders.put_members(observation)


def _read(kind: str, parts: list[_Part], top: Sequence[Slot], *, header: Header | None, name: str | None) -> Bundle:
    drawn = [(part.slot.log, part.fate.drawn) for part in parts]
    check_repeated(drawn, unit=kind in UNITS, versions=kind == "history")
    if kind in UNITS:
        _raise(fault for part in parts for fault in part.slot.log.faults)
    # An entry is taken or refused as a whole, also where it is a Bundle itself.
    refused = {part.index for part in parts if part.slot.log.faults}
    good = [part for part in parts if part.index not in refused]
    # A history begins with the newest version, and of two that cannot be told apart the last one counts.
    order = good[::-1] if kind == "history" else good
    gathered = gather([part.fate.drawn for part in order])
    places = {id(part): found for part, found in zip(order, gathered.positions, strict=True)}
    entries = tuple(
        _entry(slot, [part for part in parts if part.index == index], places) for index, slot in enumerate(top)
    )
    reading = Reading(
        panels=gathered.panels,
        ignored=tuple(one for part in good for one in _ignored(part)),
        notices=tuple(one for part in good for one in part.slot.log.notices),
    )
    return Bundle(type=kind, reading=reading, entries=entries, identifier=name, header=header)


def _raise(faults: Any) -> None:
    found = listed(iter(faults))
    if found:
        raise BadInput(found, kind=KIND)


def _ignored(part: _Part) -> Iterator[Ignored]:
    why = part.slot.ignored or part.fate.ignored
    if why is not None:
        place = part.slot.resource.place if part.slot.resource else part.slot.place
        yield Ignored(place=place, why=why)
    yield from part.fate.beside


def _entry(slot: Slot, parts: Sequence[_Part], places: dict[int, tuple[Position, ...]]) -> Entry:
    """An entry, with all that was in it where it is a Bundle itself."""
    faults = tuple(fault for part in parts for fault in part.slot.log.faults)
    results = tuple(position for part in parts for position in places.get(id(part), ()))
    why = slot.ignored or (parts[0].fate.ignored if len(parts) == 1 else NOT_LABORATORY)
    return Entry(
        place=slot.place,
        kind=slot.resource.kind if slot.resource else None,
        id=slot.resource.id if slot.resource else None,
        request=slot.request,
        results=results,
        ignored=None if results or faults else why,
        faults=faults,
        notices=tuple(notice for part in parts for notice in part.slot.log.notices),
    )
