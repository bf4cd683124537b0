"""A FHIR message comes in and is replied to ($process-message).

Law: the same message is replied to the same again; another one under its id is refused. 4xx says that sending it again
unchanged is of no use, 5xx that it may help.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from service.domain.errors import BadInput, Fault, InUse, Unavailable
from service.flows import fhir_envelopes
from service.flows.fhir_entries import status_of
from service.flows.fhir_taking import Answered, Json, Sending, known, taken
from service.flows.means import Means
from service.formats.fhir import outcome
from service.formats.fhir.answers import EntryAnswer, Reply, ReplyCode, message_reply
from service.formats.fhir.bundle import read_bundle
from service.formats.fhir.issues import KIND
from service.formats.fhir.message import Header, header_of
from service.formats.fhir.searchset import written
from service.storage.idempotency import Answer, Claim

ROUTE = "fhir-message"


def take_in(value: Any, sending: Sending, means: Means) -> Answered:
    """Take in a message, given as parsed. Raises ``BadInput`` when it has no header to which one could reply."""
    header = header_of(value)
    if header is not None and (odd := tuple(_unusable(header))):
        raise BadInput(odd, kind=KIND)
    if header is None:
        return _taken(value, sending, means, header=None)
    try:
        return _taken(value, sending, means, header=header)
    except BadInput as error:
        faults = [_at_header(one) for one in error.faults]
        reply = _reply(header, "fatal-error", outcome.refused(faults), sending=sending)
        return Answered(answer=Answer(status=status_of(faults), headers={}, body=reply), refused=1)
    except (InUse, Unavailable) as error:
        reply = _reply(header, "transient-error", outcome.failed(_LATER, code="transient"), sending=sending)
        retry = {"Retry-After": str(error.retry_after)}
        return Answered(answer=Answer(status=503, headers=retry, body=reply), failed=error)


def _unusable(header: Header) -> Iterator[Fault]:
    """What the reply would have to repeat, and cannot, because it is not as FHIR has it."""
    said = (
        ("id", header.id, _ID),
        ("source.endpoint", header.endpoint, _WORD),
        ("eventUri", header.event_uri, _WORD),
        ("eventCoding.system", header.event_system, _WORD),
        ("eventCoding.code", header.event_code, _CODE),
    )
    for name, text, shape in said:
        if text is not None and not shape.fullmatch(text):
            place, detail = f"Bundle.entry[0].resource.{name}", "is not written as FHIR has it"
            yield Fault(pointer=place, code="value", detail=detail)


_ID, _WORD = re.compile(r"[A-Za-z0-9\-.]{1,64}"), re.compile(r"\S+")
_CODE = re.compile(r"\S+(?:\s\S+)*")
_LATER = "the message cannot be taken in now; send it again later"
_NO_MESSAGE = Fault(pointer="Bundle.type", code="value", detail="must be message")


def _taken(value: Any, sending: Sending, means: Means, *, header: Header | None) -> Answered:
    if isinstance(value, dict) and value.get("type") not in (None, "message"):
        raise BadInput([_NO_MESSAGE], kind=KIND)
    bundle = read_bundle(value, now=sending.received_at, base=None, known=known(means))
    if header is None or bundle.header is None:
        raise RuntimeError("a message that was read has a header")

    def write(_: Sequence[EntryAnswer], issues: Sequence[Json]) -> Answer:
        return Answer(status=200, headers={}, body=_reply(header, "ok", outcome.outcome(issues), sending=sending))

    claim = Claim(client=sending.source, route=ROUTE, key=header.id, fingerprint=_fingerprint(value))
    if bundle.identifier is None:
        return taken(bundle, sending, means, claim=claim, write=write)
    envelope = fhir_envelopes.claim(bundle.identifier, header.id, sending)
    noted = fhir_envelopes.is_noted(envelope, sending, means)
    found = taken(bundle, sending, means, claim=claim, write=write)
    if not noted:
        fhir_envelopes.note(envelope, sending, means)
    return found


def _fingerprint(value: Any) -> str:
    """A digest of what the message says: neither of the order of members nor of when it was sent again."""
    said = [value.get("identifier"), value.get("entry")]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _at_header(fault: Fault) -> Fault:
    if fault.code != "idempotency-key-reused" or fault.pointer:
        return fault
    detail = "the id of this MessageHeader was used for another message, of which the content differs"
    return Fault(pointer="Bundle.entry[0].resource.id", code=fault.code, detail=detail)


def _reply(header: Header, code: ReplyCode, said: Json, *, sending: Sending) -> bytes:
    own = Reply(id=sending.new_id(), outcome_id=sending.new_id(), endpoint=sending.endpoint, at=sending.received_at)
    return written(message_reply(header, code, said, reply=own))
