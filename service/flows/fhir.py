"""FHIR comes in: a Bundle, a message or one resource is read, taken in, and answered entry by entry.

    bytes ─► reading ─► conditions ─► take in whole ─► an answer for each entry, kept with what it tells of

Law: a transaction and a message are taken in whole or not at all. Of anything else each entry stands for itself, and
what is good is kept in one transaction.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import format_datetime
from http import HTTPStatus

from service.domain.errors import BadInput, Fault
from service.flows import fhir_message
from service.flows.fhir_taking import Answered, Json, Sending, known, taken
from service.flows.means import Means
from service.formats.fhir import answers, outcome
from service.formats.fhir.answers import EntryAnswer
from service.formats.fhir.bundle import Bundle, Entry, read_bundle
from service.formats.fhir.entries import Request
from service.formats.fhir.issues import KIND
from service.formats.fhir.reader import Single, parse, read_resource
from service.formats.fhir.searchset import written
from service.formats.fhir.types import NOT_LABORATORY, UNITS
from service.storage.idempotency import Answer, Claim

BUNDLE, RESOURCE = "fhir-bundle", "fhir-resource"
# Kinds of refusal: of a transaction as a whole, and those that are about the content.
UNIT, _CONTENT = "invalid-fhir-transaction", frozenset({KIND, "invalid-panel"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the URL and the headers ask of one resource; with an ``id`` it is an update."""

    kind: str
    id: str | None = field(default=None, repr=False)
    if_match: str | None = None
    if_none_match: str | None = None
    if_none_exist: str | None = field(default=None, repr=False)

    @property
    def request(self) -> Request:
        method, url = ("POST", self.kind) if self.id is None else ("PUT", f"{self.kind}/{self.id}")
        return Request(
            method=method,
            url=url,
            if_match=self.if_match,
            if_none_match=self.if_none_match,
            if_none_exist=self.if_none_exist,
        )


def take_in_bundle(sending: Sending, means: Means) -> Answered:
    """Take in a Bundle of any type. Raises ``BadInput`` when nothing of it can be taken; ``InUse``; ``Unavailable``."""
    value = parse(sending.body)
    if isinstance(value, dict) and value.get("type") == "message":
        return fhir_message.take_in(value, sending, means)
    # Anything may stand there, also what is in no set.
    unit = isinstance(value, dict) and str(value.get("type")) in UNITS
    digest = sending.digest
    # The very same Bundle is answered the same again, also when the answer was lost.
    claim = Claim(client=sending.source, route=BUNDLE, key=sending.key or digest, fingerprint=digest)
    try:
        bundle = read_bundle(value, now=sending.received_at, base=None, known=known(means))
        return taken(bundle, sending, means, claim=claim, write=_transaction if unit else _batch)
    except BadInput as error:
        raise BadInput(error.faults, kind=UNIT if unit and error.kind in _CONTENT else error.kind) from None


def take_in_message(sending: Sending, means: Means) -> Answered:
    """Take in a message, and reply to it. Raises ``BadInput`` when it has no header to which one could reply."""
    return fhir_message.take_in(parse(sending.body), sending, means)


def take_in_resource(asked: Asked, sending: Sending, means: Means) -> Answered:
    """Take in one resource. The answer is its OperationOutcome, with Location and ETag among the headers.

    Raises ``BadInput`` with every fault, and when it is no result of a laboratory; ``InUse``; ``Unavailable``.
    """
    sent, now = parse(sending.body), sending.received_at
    read = read_resource(sent, now=now, base=None, known=known(means), kind=asked.kind, id_=asked.id)
    if read.ignored == NOT_LABORATORY:
        raise BadInput([Fault(pointer=asked.kind, code="not-laboratory", detail=f"is {NOT_LABORATORY}")], kind=KIND)
    claim = None
    if sending.key is not None:
        print_ = hashlib.sha256(f"{asked!r} {asked.id} {asked.if_none_exist} {sending.digest}".encode()).hexdigest()
        claim = Claim(client=sending.source, route=RESOURCE, key=sending.key, fingerprint=print_)
    return taken(_alone(asked, read), sending, means, claim=claim, write=_single)


def _alone(asked: Asked, read: Single) -> Bundle:
    """One resource as a Bundle of one entry."""
    panels = read.reading.panels
    entry = Entry(
        place=asked.kind,
        kind=read.kind,
        id=read.id,
        request=asked.request,
        results=tuple((at, place) for at, one in enumerate(panels) for place in range(len(one.results))),
        ignored=read.ignored,
        notices=read.reading.notices,
    )
    return Bundle(type=RESOURCE, reading=read.reading, entries=(entry,))


def _batch(found: Sequence[EntryAnswer], _: Sequence[Json]) -> Answer:
    return Answer(status=200, headers={}, body=written(answers.batch_response(found)))


def _transaction(found: Sequence[EntryAnswer], _: Sequence[Json]) -> Answer:
    return Answer(status=200, headers={}, body=written(answers.transaction_response(found)))


def _single(found: Sequence[EntryAnswer], issues: Sequence[Json]) -> Answer:
    (one,) = found
    said = {
        "Location": one.location,
        "ETag": None if one.version is None else answers.etag(one.version),
        "Last-Modified": None
        if one.modified_at is None
        else format_datetime(one.modified_at.astimezone(UTC), usegmt=True),
    }
    headers = {name: value for name, value in said.items() if value is not None}
    return Answer(status=HTTPStatus(one.status), headers=headers, body=written(one.outcome or outcome.outcome(issues)))
