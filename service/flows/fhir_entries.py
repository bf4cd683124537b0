"""From what became of the results of a FHIR message to the answer for each of its entries.

Law: each entry is answered in its place, and each result that was not judged is told with its reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from service.domain.errors import Fault
from service.domain.panels import Panel
from service.domain.verdicts import Verdict
from service.flows.arrivals import Arrival
from service.flows.receipts import Receipt
from service.formats.fhir import outcome
from service.formats.fhir.answers import EntryAnswer
from service.formats.fhir.bundle import Bundle, Entry
from service.formats.fhir.issues import http_status
from service.formats.fhir.ours import joint_id, versioned
from service.formats.fhir.types import BUNDLES, UNITS
from service.formats.fhir.unjudged import told
from service.formats.reading import Ignored
from service.storage.panels import Message

Json = dict[str, Any]
CONFLICT = "version-conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """A Bundle about to be taken in. ``answered``: entries that need no more, by index, with their answers."""

    bundle: Bundle
    message: Message
    answered: Mapping[int, EntryAnswer] = field(default_factory=dict, repr=False)

    @property
    def whole(self) -> bool:
        """Is it taken in whole or not at all? Entries stand for themselves in all but these."""
        return self.bundle.type in UNITS or self.bundle.type not in BUNDLES


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """One result of an entry, with what became of it."""

    place: str
    arrival: Arrival
    verdict: Verdict
    patient: str

    @property
    def id(self) -> str:
        return joint_id(self.patient, self.arrival.held.key)

    @property
    def location(self) -> str:
        return versioned(self.id, self.arrival.held.version)


def entry_answers(taking: Taking, receipts: Sequence[Receipt]) -> list[EntryAnswer]:
    """The answer to each entry, in their order."""
    return [
        taking.answered.get(index) or _answer(entry, taking, receipts)
        for index, entry in enumerate(taking.bundle.entries)
    ]


def _answer(entry: Entry, taking: Taking, receipts: Sequence[Receipt]) -> EntryAnswer:
    if entry.faults:
        return EntryAnswer(status=status_of(entry.faults), outcome=outcome.refused(entry.faults))
    issues = list(_issues(entry, taking, receipts))
    if entry.ignored is not None:
        issues.append(outcome.issue("information", "informational", f"ignored: {entry.ignored}", place=entry.place))
    found = _kept(entry, taking.bundle.reading.panels, receipts)
    said = outcome.outcome(issues) if issues else None
    if not found or entry.kind != "Observation":
        return EntryAnswer(status=HTTPStatus.OK, outcome=said)
    # Of an Observation that is made of several values it is the first that stands for it.
    first = found[0].arrival
    return EntryAnswer(
        status=HTTPStatus.OK if first.known else HTTPStatus.CREATED,
        location=found[0].location,
        version=str(first.held.version),
        modified_at=None if first.duplicate else taking.message.received_at,
        outcome=said,
    )


def status_of(faults: Sequence[Fault]) -> HTTPStatus:
    """The HTTP status with which faults are answered."""
    if any(one.code == CONFLICT for one in faults):
        return HTTPStatus.PRECONDITION_FAILED
    return HTTPStatus(http_status(faults))


def issues_of(taking: Taking, receipts: Sequence[Receipt]) -> list[Json]:
    """What there is to say of all entries together, what was ignored for one reason in one issue."""
    found = [issue for entry in taking.bundle.entries for issue in _issues(entry, taking, receipts)]
    ignored = [Ignored(place=one.place, why=one.ignored) for one in taking.bundle.entries if one.ignored is not None]
    return [*found, *(outcome.accepted(ignored=ignored)["issue"] if ignored else ())]


def _issues(entry: Entry, taking: Taking, receipts: Sequence[Receipt]) -> Iterator[Json]:
    yield from map(outcome.of_notice, entry.notices)
    found = _kept(entry, taking.bundle.reading.panels, receipts)
    for one in found:
        yield from _told(one, alone=len(found) == 1 and entry.kind == "Observation")


def _kept(entry: Entry, panels: Sequence[Panel], receipts: Sequence[Receipt]) -> list[_Kept]:
    return [
        _Kept(
            place=panels[at].results[place].pointer,
            arrival=receipts[at].items[place][0],
            verdict=receipts[at].items[place][1],
            patient=receipts[at].patient or "",
        )
        for at, place in entry.results
    ]


_NOT_HELD = "a correction of a result that is not held of this patient; kept as the first version"


def _told(one: _Kept, *, alone: bool) -> Iterator[Json]:
    """Why it was not judged, what is odd about it, and under which name it is kept when the answer names another."""
    yield from told(one.place, one.verdict)
    if one.arrival.notice is not None:
        yield outcome.issue("information", "informational", one.arrival.notice, place=one.place)
    elif one.arrival.held.status.corrects and not one.arrival.known:
        yield outcome.issue("warning", "not-found", _NOT_HELD, place=one.place)
    if not alone:
        kept = f"kept as {one.location}"
        yield outcome.issue("information", "informational", kept, place=one.place)
