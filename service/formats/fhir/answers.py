"""The Bundles that answer a batch, a transaction and a message.

Law: an answer has an entry for each entry that was asked, in the same order. Nothing is made up here: ids, times and
addresses are given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Literal

from service.formats.fhir.message import Header

Json = dict[str, Any]
# http://hl7.org/fhir/R4/valueset-response-code.html
ReplyCode = Literal["ok", "transient-error", "fatal-error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryAnswer:
    """The answer to one entry. ``location`` and ``version`` are those of the resource that it became."""

    status: HTTPStatus
    location: str | None = None
    version: str | None = None
    modified_at: datetime | None = None
    outcome: Json | None = field(default=None, repr=False)
    resource: Json | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a reply to a message needs of its own: two ids (UUIDs), and the address of whoever answers."""

    id: str
    outcome_id: str
    endpoint: str
    at: datetime


def batch_response(answers: Sequence[EntryAnswer]) -> Json:
    """The answer to a batch, and to a Bundle whose entries were taken one by one."""
    return _response("batch-response", answers)


def transaction_response(answers: Sequence[EntryAnswer]) -> Json:
    """The answer to a transaction that was taken in whole. One that was not is answered with an OperationOutcome."""
    return _response("transaction-response", answers)


def _response(kind: str, answers: Sequence[EntryAnswer]) -> Json:
    # An empty list is not allowed in FHIR's JSON.
    entries = {"entry": [_entry(one) for one in answers]} if answers else {}
    return {"resourceType": "Bundle", "type": kind, **entries}


def _entry(one: EntryAnswer) -> Json:
    said = {
        "status": f"{one.status.value} {one.status.phrase}",
        "location": one.location,
        "etag": None if one.version is None else etag(one.version),
        "lastModified": None if one.modified_at is None else instant(one.modified_at),
        "outcome": one.outcome,
    }
    response = {name: value for name, value in said.items() if value is not None}
    return {"response": response} if one.resource is None else {"resource": one.resource, "response": response}


def etag(version: str) -> str:
    """The weak ETag of a version, as FHIR's HTTP has it."""
    return f'W/"{version}"'


def instant(at: datetime) -> str:
    """An instant in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message_reply(header: Header, code: ReplyCode, outcome: Json, *, reply: Reply) -> Json:
    """The reply to a message: its header names the message that is answered, and leads to the outcome."""
    address = f"urn:uuid:{reply.outcome_id}"
    said = {
        "resourceType": "MessageHeader",
        "id": reply.id,
        **_event(header),
        "destination": [{"endpoint": header.endpoint}],
        "source": {"endpoint": reply.endpoint},
        "response": {"identifier": header.id, "code": code, "details": {"reference": address}},
    }
    return {
        "resourceType": "Bundle",
        "type": "message",
        "timestamp": instant(reply.at),
        "entry": [
            {"fullUrl": f"urn:uuid:{reply.id}", "resource": said},
            {"fullUrl": address, "resource": {**outcome, "id": reply.outcome_id}},
        ],
    }


def _event(header: Header) -> Json:
    if header.event_uri is not None:
        return {"eventUri": header.event_uri}
    coding = {"system": header.event_system, "code": header.event_code}
    return {"eventCoding": {name: value for name, value in coding.items() if value is not None}}
