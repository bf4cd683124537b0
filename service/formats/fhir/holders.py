"""What stands around a result: its reports, and the Observations whose member it is.

Law: a report speaks for all of its results, through members of members; of the status of a report and of a result the
stricter one counts (for members of an Observation their own counts).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from service.domain.panels import Patient, Status
from service.formats.fhir.codes import status
from service.formats.fhir.node import Node
from service.formats.fhir.people import People
from service.formats.fhir.resources import Link, Resource, Scope, Terms, identifiers, link
from service.formats.fhir.times import Moment, effective, moment

REPLACES = {
    "Observation": "http://hl7.org/fhir/StructureDefinition/observation-replaces",
    "DiagnosticReport": "http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A report, or an Observation with members, as far as it speaks for its results. ``broken``: it has faults."""

    status: Status | None
    patient: Patient | None = field(repr=False)
    collected: Moment | None = field(repr=False)
    issued: datetime | None = field(repr=False)
    accession: str | None = field(repr=False)
    resource: Resource = field(repr=False)

    @property
    def broken(self) -> bool:
        return self.resource.kind == "DiagnosticReport" and bool(self.resource.log.faults)


class Holders:
    """Holders by the result they are around. A resource is told from others by the very object it was sent as."""

    def __init__(self, scope: Scope, people: People, terms: Terms) -> None:
        self.scope, self._people, self._terms = scope, people, terms
        self._around: dict[int, list[Holder]] = {}
        self._led: dict[tuple[int, str], list[Resource]] = {}

    def around(self, resource: Resource) -> list[Holder]:
        return self._around.get(id(resource.sent), [])

    def put(self, report: Resource) -> None:
        """Put a report around all of its results."""
        report.understood()
        stated = status(report, of_report=True)
        holder = self._holder(report, stated)
        found = [*self._linked(report, "result"), *(one for one in report.contained() if one.kind == "Observation")]
        self._put(holder, found, deep=True)
        self._check_withdrawn(report, stated, found)

    def put_members(self, observation: Resource) -> None:
        """Put an Observation around its members, for what these leave out."""
        members = self._linked(observation, "hasMember")
        if members:
            self._put(self._holder(observation, None), members, deep=False)
        self._linked(observation, "derivedFrom")

    def _holder(self, resource: Resource, stated: Status | None) -> Holder:
        now = self._terms.now
        return Holder(
            status=stated,
            patient=self._people.subject(resource, self.scope),
            collected=effective(resource, now=now),
            issued=issued(resource, now=now),
            accession=accession(resource, self.scope),
            resource=resource,
        )

    def _put(self, holder: Holder, found: Iterable[Resource], *, deep: bool) -> None:
        waiting, seen = list(found), {id(holder.resource.sent)}
        while waiting:
            one = waiting.pop()
            if id(one.sent) in seen or one.kind != "Observation":
                continue
            seen.add(id(one.sent))
            self._around.setdefault(id(one.sent), []).append(holder)
            if deep:
                waiting.extend(self._linked(one, "hasMember"))

    def _linked(self, resource: Resource, name: str) -> list[Resource]:
        """Those that a list of references leads to, each list followed once however many reports lead there."""
        key = id(resource.sent), name
        if key not in self._led:
            self._led[key] = list(self._followed(resource, name))
        return self._led[key]

    def _followed(self, resource: Resource, name: str) -> Iterator[Resource]:
        """The same; one that leads nowhere is told."""
        for child in resource.children(name):
            found = self._at_end(link(child), resource)
            if found is not None:
                yield found

    def _at_end(self, to: Link, resource: Resource) -> Resource | None:
        found = self.scope.find(to, resource) if to.literal or to.identifier else []
        if len(found) > 1:
            resource.log.fault(to.place, "reference-ambiguous", "several entries are meant by this reference")
        elif not found:
            detail = "leads to nothing in this message; what it names is not read with it"
            resource.log.notice(to.place, "reference-unresolved", detail)
        elif self.scope.may_lead(to, found[0], resource):
            return found[0]
        return None

    def _check_withdrawn(self, report: Resource, stated: Status | None, found: Sequence[Resource]) -> None:
        """A report that takes back results which it does not bring would leave them standing."""
        missing = [one for one in report.log.notices if one.code == "reference-unresolved"]
        if stated is not None and stated.withdraws and missing:
            detail = "the report takes back results that are not in this message, and so cannot be taken back by it"
            report.log.fault(missing[0].place, "reference-unresolved", detail, hint="send the Observations with it")
        elif stated is Status.ENTERED_IN_ERROR and not found:
            detail = "the report was entered in error, and does not say which results that takes back"
            report.log.fault(report.at("result"), "required", detail, hint="send the Observations with it")


def issued(resource: Resource, *, now: datetime) -> datetime | None:
    """When this version was released: ``issued``, else when it was last updated."""
    meta = resource.child("meta")
    found = moment(resource, "issued", now=now) or (meta and moment(meta, "lastUpdated", now=now))
    if not found:
        return None
    for code, detail in found.assumed:
        resource.log.notice(found.place, code, detail)
    return found.at


def specimens(resource: Resource, scope: Scope) -> list[Resource]:
    """The specimens that came with a result or a report."""
    sent = resource.sent.get("specimen")
    nodes = resource.children("specimen") if isinstance(sent, list) else [resource.child("specimen")]
    links = [link(one) for one in nodes if one is not None]
    found = [one for to in links if to.literal or to.identifier for one in scope.find(to, resource)]
    return [one for one in found if one.kind == "Specimen"]


def accession(resource: Resource, scope: Scope) -> str | None:
    """The laboratory's number of the specimen, where exactly one came with it."""
    found = specimens(resource, scope)
    child = found[0].child("accessionIdentifier") if len(found) == 1 else None
    return child.text("value") if child else _order_number(resource)


def _order_number(resource: Resource) -> str | None:
    """An accession number among the identifiers of the resource itself (HL7 table 0203, ACSN)."""
    return next((name for kind, (_, name) in identifiers(resource) if kind == "ACSN"), None)


def collected_by_specimen(resource: Resource, scope: Scope, *, now: datetime) -> Moment | None:
    """When the specimen was taken, as the specimen says."""
    for one in specimens(resource, scope):
        collection: Node | None = one.child("collection")
        if collection is None:
            continue
        if collection.has("collectedDateTime"):
            return moment(collection, "collectedDateTime", now=now)
        span = collection.child("collectedPeriod")
        if span is not None and span.has("start"):
            return moment(span, "start", now=now)
    return None
