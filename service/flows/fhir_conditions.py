"""Conditions under which an entry is to be taken in: that nothing is held under its identifier, or which version is.

Law: a condition is about the very result that the entry brings, found by its patient and its identity.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from sqlalchemy import Connection

from service.domain.errors import BadInput, Fault, InUse
from service.domain.panels import Panel, Result
from service.flows.fhir_entries import CONFLICT, Taking
from service.flows.fhir_partly import refusing, without
from service.flows.incoming import order
from service.flows.means import Means
from service.formats.fhir import outcome
from service.formats.fhir.answers import EntryAnswer
from service.formats.fhir.bundle import Entry
from service.formats.fhir.entries import Request
from service.formats.fhir.ours import joint_id, versioned
from service.formats.fhir.resources import Link
from service.storage import patients, results
from service.storage.results import KeptVersion

UNMET = "precondition-failed"
_TAG = re.compile(r'(?:W/)?"(\d{1,9})"')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What is held of the result of an entry: our name for the patient, and the versions."""

    patient: str
    versions: Sequence[KeptVersion] = field(repr=False)

    @property
    def current(self) -> KeptVersion:
        return next(one for one in self.versions if one.current)


def checked(taking: Taking, means: Means) -> Taking:
    """Refuse the entries whose condition is not met, and answer those that need not be taken in.

    Raises ``BadInput`` where entries do not stand for themselves.
    """
    if not any(_conditional(taking)):
        return taking
    with means.database.reading() as connection:
        return _applied(taking, *_all_checked(taking, means, connection))


def still(taking: Taking, means: Means) -> Callable[[Connection], None] | None:
    """What looks at the conditions of the entries once more, when nobody else can write; None where there are none.

    It raises ``InUse`` where one is no longer met: whoever was first has changed it a moment ago.
    """
    if not any(_conditional(taking)):
        return None

    def check(connection: Connection) -> None:
        if any(_all_checked(taking, means, connection)):
            raise InUse("somebody else has changed this at the same moment")

    return check


_Faults = dict[int, tuple[Fault, ...]]
_Answers = dict[int, EntryAnswer]


def _all_checked(taking: Taking, means: Means, connection: Connection) -> tuple[_Faults, _Answers]:
    faults: _Faults = {}
    answers: _Answers = {}
    for index, request in _conditional(taking):
        found = _checked(taking, taking.bundle.entries[index], request, means=means, connection=connection)
        if isinstance(found, Fault):
            faults[index] = (found,)
        elif found is not None:
            answers[index] = found
    return faults, answers


def _conditional(taking: Taking) -> Iterator[tuple[int, Request]]:
    for index, entry in enumerate(taking.bundle.entries):
        request = entry.request
        if entry.results and request is not None and any(_conditions(request)):
            yield index, request


def _conditions(request: Request) -> tuple[str | None, ...]:
    return request.if_match, request.if_none_match, request.if_none_exist


def _applied(taking: Taking, faults: _Faults, answers: _Answers) -> Taking:
    if faults and taking.whole:
        raise BadInput([one for found in faults.values() for one in found], kind=UNMET)
    left = replace(taking, bundle=without(taking.bundle, answers), answered=answers)
    return refusing(left, faults)


def _checked(
    taking: Taking, entry: Entry, request: Request, *, means: Means, connection: Connection
) -> Fault | EntryAnswer | None:
    """What is wrong with a condition, or the answer where nothing has to be done; None where it is met."""
    at, place = entry.results[0]
    panel = taking.bundle.reading.panels[at]
    if request.if_none_match:
        return _not_supported(entry)
    if request.if_none_exist and not _names(request.if_none_exist, entry, panel.results[place]):
        return _not_supported(entry)
    held = _held(panel, place, taking, means=means, connection=connection)
    if request.if_none_exist:
        return None if held is None else _as_held(held)
    return None if held is not None and _tagged(request.if_match) == held.current.version.number else _conflict(entry)


def _names(query: str, entry: Entry, result: Result) -> bool:
    """Does the condition name the identifier by which the result is known?"""
    named = Link(place="", literal=f"{entry.kind}?{query.rpartition('?')[2]}").condition
    return named is not None and f"{named[1][0] or ''}|{named[1][1]}" == result.sender_id


def _held(panel: Panel, place: int, taking: Taking, *, means: Means, connection: Connection) -> _Held | None:
    asked = order(panel, taking.message, means)
    patient = patients.find(connection, [asked.who]).get(asked.who)
    if patient is None:
        return None
    name = (patient.id, asked.names[place][1])
    versions = results.versions(connection, [name]).get(name)
    return _Held(patient=patient.id, versions=versions) if versions else None


def _as_held(held: _Held) -> EntryAnswer:
    one = held.current
    location = versioned(joint_id(held.patient, one.result), one.version.number)
    told = outcome.issue("information", "informational", "is held already; nothing was created")
    return EntryAnswer(
        status=HTTPStatus.OK, location=location, version=str(one.version.number), outcome=outcome.outcome([told])
    )


def _tagged(if_match: str | None) -> int | None:
    found = _TAG.fullmatch((if_match or "").strip())
    return None if found is None else int(found[1])


def _not_supported(entry: Entry) -> Fault:
    detail = "has a condition other than If-Match, or If-None-Exist with the identifier by which the result is known"
    hint = "write If-None-Exist: identifier=system|value with the first identifier of the Observation"
    return Fault(pointer=entry.place, code="not-supported", detail=detail, hint=hint)


def _conflict(entry: Entry) -> Fault:
    return Fault(pointer=entry.place, code=CONFLICT, detail="another version than that of If-Match is the current one")
