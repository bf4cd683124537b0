"""An Observation as results: one for its own value, and one for each of its components.

Law: what an Observation leaves out is taken from what stands around it, and said to be; what contradicts itself or its
report is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from service.domain.panels import Code, Patient, Result, Status, stricter
from service.formats.fhir.codes import interpretations, loinc, named, only_other_than_laboratory, status
from service.formats.fhir.holders import REPLACES, Holder, Holders, accession, collected_by_specimen, issued
from service.formats.fhir.issues import Log
from service.formats.fhir.node import MAX_TEXT, Node
from service.formats.fhir.people import People
from service.formats.fhir.ranges import Whose, sent_range
from service.formats.fhir.resources import Resource, Terms, identity, link, located
from service.formats.fhir.times import Moment, effective
from service.formats.fhir.values import Value, value

MAX_COMPONENTS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A result with what its panel says of it. ``extra``: it only takes back one that was replaced."""

    patient: Patient = field(repr=False)
    collected_at: datetime = field(repr=False)
    issued_at: datetime | None = field(repr=False)
    accession: str | None = field(repr=False)
    result: Result
    extra: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What all results of an Observation have in common."""

    patient: Patient = field(repr=False)
    collected_at: datetime = field(repr=False)
    issued_at: datetime | None = field(repr=False)
    accession: str | None = field(repr=False)
    status: Status

    def drawn(self, result: Result, *, extra: bool = False) -> Drawn:
        return Drawn(
            patient=self.patient,
            collected_at=self.collected_at,
            issued_at=self.issued_at,
            accession=self.accession,
            result=result,
            extra=extra,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Reads the Observations of a message, given all that stands around them."""

    holders: Holders = field(repr=False)
    people: People = field(repr=False)
    terms: Terms = field(repr=False)

    def passed_over(self, resource: Resource) -> bool:
        """Is it no result of a laboratory? One with a LOINC code that is judged here always is."""
        # What is wrong in a resource that is not for us is not for us either.
        quiet = Node(resource.sent, resource.place, Log())
        if only_other_than_laboratory(quiet):
            return not any(self._known(one) for one in (quiet, *quiet.children("component")))
        only_other_than_laboratory(resource)
        return False

    def _known(self, node: Node) -> bool:
        coding = node.sent.get("code")
        return isinstance(coding, dict) and any(map(self.terms.known, loinc(named(node))))

    def drawn(self, resource: Resource) -> list[Drawn]:
        """The results of an Observation; none where it only holds others together, or has faults."""
        if not resource.understood():
            return []
        head, codes = self._head(resource), named(resource)
        own, parts = self._own(resource, codes), self._parts(resource, codes)
        if head is None or not codes:
            return []
        name = identity(resource, self.terms)
        if name is not None and len(name) > MAX_TEXT:
            resource.log.fault(resource.place, "too-long", f"its identity has more than {MAX_TEXT} characters")
            return []
        found: list[tuple[Node, tuple[Code, ...], Value, str | None]] = []
        if own is not None:
            found.append((resource, codes, own, name))
        found += [(node, mine, one, name and f"{name}{mark}") for node, mine, one, mark in parts]
        results = [_result(node, mine, one, name=which, head=head) for node, mine, one, which in found]
        return [*map(head.drawn, results), *self._replaced(resource, head, results, name=name)]

    def _own(self, resource: Resource, codes: tuple[Code, ...]) -> Value | None:
        """The value of the Observation itself. One that is made of others needs none."""
        found = value(resource)
        parts = [named(one) for one in resource.children("component")]
        sent = found is not None and found.absent is None
        if sent and any(set(codes).intersection(part) for part in parts):
            detail = "has a value, and a component with the same code has one too (obs-7)"
            resource.log.fault(resource.place, "invariant", detail)
        if found is not None or parts or resource.children("hasMember"):
            return found
        if not any(name.startswith("value") for name in resource.sent):
            detail = "has neither a value nor a reason for having none"
            resource.log.notice(resource.place, "value-missing", detail)
        return Value(absent="unknown")

    def _parts(self, resource: Resource, codes: tuple[Code, ...]) -> list[tuple[Node, tuple[Code, ...], Value, str]]:
        """Each component with its codes, its value, and the mark that tells it from the others."""
        components = resource.children("component")
        if len(components) > MAX_COMPONENTS:
            resource.log.fault(resource.at("component"), "too-many", f"has more than {MAX_COMPONENTS} components")
            return []
        found, seen = [], dict[str, int]()
        for one in components:
            mine = named(one) if one.understood() else ()
            if not mine:
                continue
            mark = f"#component-{mine[0].code}"
            seen[mark] = count = seen.get(mark, 0) + 1
            found.append((one, mine, value(one) or Value(absent="unknown"), mark if count == 1 else f"{mark}-{count}"))
        return found

    def _head(self, resource: Resource) -> _Head | None:
        holders = self.holders.around(resource)
        own = status(resource)
        patient, collected = self._patient(resource, holders), self._collected(resource, holders)
        released = self._issued(resource, holders, own)
        if any(holder.broken for holder in holders):
            resource.log.fault(resource.place, "report-refused", "the report that it belongs to cannot be used")
        if own is None or patient is None or collected is None:
            return None
        for code, detail in collected.assumed:
            of_the_time = code in ("time-partial", "time-from-end")
            resource.log.notice(collected.place if of_the_time else resource.place, code, detail)
        stated = own
        for holder in holders:
            stated = stricter(stated, holder.status or stated)
        number = accession(resource, self.holders.scope) or next(
            (one.accession for one in holders if one.accession), None
        )
        return _Head(patient=patient, collected_at=collected.at, issued_at=released, accession=number, status=stated)

    def _patient(self, resource: Resource, holders: list[Holder]) -> Patient | None:
        own = self.people.subject(resource, self.holders.scope)
        others = [holder.patient for holder in holders if holder.patient is not None]
        if own is None and not resource.has("subject"):
            if others:
                resource.log.notice(resource.place, "subject-from-report", "names no subject; its report's was taken")
            else:
                resource.log.fault(resource.at("subject"), "required", "is required: whose result is it?")
            own = others[0] if others else None
        if own is not None and any(_who(one) != _who(own) for one in others):
            detail = "is of another patient than what it is reported in"
            resource.log.fault(resource.at("subject"), "patients-differ", detail)
        return own

    def _collected(self, resource: Resource, holders: list[Holder]) -> Moment | None:
        """When the specimen was taken: as it says itself, its report, its specimen; at last when it was issued."""
        now = self.terms.now
        before = len(resource.log.faults)
        own = effective(resource, now=now)
        if own is not None or len(resource.log.faults) > before:
            return own
        of_holder = next((one.collected for one in holders if one.collected is not None), None)
        if of_holder is not None:
            return of_holder.but("time-from-report", "has no time of its own; that of its report was taken")
        specimen = collected_by_specimen(resource, self.holders.scope, now=now)
        if specimen is not None:
            return specimen.but("time-from-specimen", "has no time of its own; that of its specimen was taken")
        return self._as_issued(resource, holders)

    def _as_issued(self, resource: Resource, holders: list[Holder]) -> Moment | None:
        at = issued(resource, now=self.terms.now) or next((one.issued for one in holders if one.issued), None)
        if at is not None:
            detail = "says nowhere when the specimen was taken; when it was issued was taken instead"
            return Moment(at=at).but("time-from-issued", detail)
        resource.log.fault(resource.at("effective"), "required", "says nowhere when the specimen was taken")
        return None

    def _issued(self, resource: Resource, holders: list[Holder], own: Status | None) -> datetime | None:
        """When this version was released: where a report makes the status stricter, not before that report."""
        mine = issued(resource, now=self.terms.now)
        times = [holder.issued for holder in holders if holder.issued and _stricter_than(holder.status, own)]
        if mine is not None:
            return max([mine, *times])
        return max((holder.issued for holder in holders if holder.issued), default=None)

    def _replaced(self, resource: Resource, head: _Head, results: list[Result], *, name: str | None) -> Iterator[Drawn]:
        """What takes back the results that these stand for under a new id."""
        for node in _replacing(resource):
            for old in self._old_names(node, resource):
                for one in results if old != name else ():
                    mark = (one.sender_id or "").removeprefix(name or "") if one.pointer != resource.place else ""
                    yield head.drawn(_taken_back(one, name=f"{old}{mark}", place=node.place), extra=True)

    def _old_names(self, node: Node, resource: Resource) -> list[str]:
        child = node.child("valueReference")
        to = link(child) if child is not None else None
        found = self.holders.scope.find(to, resource) if to and (to.literal or to.identifier) else []
        names = [identity(one, self.terms) for one in found]
        if to is not None:
            condition = to.condition[1] if to.condition else None
            names += [f"{system or ''}|{one}" for system, one in filter(None, (to.identifier, condition))]
            if to.target is not None and not found:
                base, kind, id_ = to.target
                names.append(located(base or resource.base or self.terms.base, kind, id_))
        known = list(dict.fromkeys(filter(None, names)))
        if not known:
            node.log.fault(node.at("valueReference"), "reference-unresolved", "does not tell which result was replaced")
        return known


def _replacing(resource: Resource) -> list[Node]:
    return [one for one in resource.children("extension") if one.sent.get("url") == REPLACES.get(resource.kind)]


def _taken_back(one: Result, *, name: str, place: str) -> Result:
    return replace(
        one,
        pointer=place,
        sender_id=name,
        text="",
        number=None,
        upper=None,
        comparator="",
        absent="replaced",
        range=None,
        status=Status.ENTERED_IN_ERROR,
        interpretation=(),
        note=None,
    )


def _result(node: Node, codes: tuple[Code, ...], found: Value, *, name: str | None, head: _Head) -> Result:
    whose = Whose(patient=head.patient, at=head.collected_at)
    return Result(
        pointer=node.place,
        sender_id=name,
        code=codes[0],
        other_codes=codes[1:],
        text=found.text,
        number=found.number,
        upper=found.upper,
        comparator=found.comparator,
        unit=found.unit,
        absent=found.absent,
        range=sent_range(node, whose, unit=found.unit),
        status=head.status,
        interpretation=interpretations(node),
        note=_note(node),
    )


def _note(node: Node) -> str | None:
    """The notes, one on a line. A very long one stays whole in the message that was kept."""
    texts = [one.text("text", longest=1 << 20) for one in node.children("note")]
    whole = "\n".join(filter(None, texts))
    if len(whole) <= MAX_TEXT:
        return whole or None
    node.log.notice(node.at("note"), "note-shortened", f"its first {MAX_TEXT} characters are shown with the result")
    return whole[:MAX_TEXT]


def _stricter_than(one: Status | None, other: Status | None) -> bool:
    return one is not None and other is not None and one is not other and stricter(one, other) is one


def _who(patient: Patient) -> tuple[str | None, str]:
    return patient.authority, patient.identifier
