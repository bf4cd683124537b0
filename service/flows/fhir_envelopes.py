"""Which message came in which envelope (Bundle.identifier).

Law: an envelope holds one message. It is noted after its message was kept, and looked up before: what was refused is
not remembered.
"""

import hashlib

from service.domain.errors import BadInput, Fault
from service.flows.fhir_taking import Sending
from service.flows.means import Means
from service.flows.remembering import one_at_a_time
from service.formats.fhir.issues import KIND
from service.storage import idempotency
from service.storage.idempotency import Answer, Claim
from service.storage.writes import Writes

_ROUTE = "fhir-envelope"


def claim(envelope: str, header_id: str, sending: Sending) -> Claim:
    """The claim that an envelope holds the message with this header."""
    key = hashlib.sha256(envelope.encode()).hexdigest()
    return Claim(client=sending.source, route=_ROUTE, key=key, fingerprint=header_id)


def is_noted(wanted: Claim, sending: Sending, means: Means) -> bool:
    """Is it noted already? Raises ``BadInput`` when another message came in this envelope."""
    with means.database.reading() as connection:
        found = idempotency.find(connection, [wanted], now=sending.received_at).get(wanted.name)
    if found is not None and found.fingerprint != wanted.fingerprint:
        raise BadInput([_OTHER], kind=KIND)
    return found is not None


_OTHER = Fault(
    pointer="Bundle.identifier",
    code="idempotency-key-reused",
    detail="this envelope came with another MessageHeader before",
    hint="give each message an envelope of its own",
)


def note(wanted: Claim, sending: Sending, means: Means) -> None:
    """Note it. Raises ``InUse`` when somebody else does the same at this moment; the message may be sent again."""
    writes, until = Writes(), sending.received_at + sending.remember
    idempotency.keep(writes, wanted, Answer(status=200, headers={}, body=b""), now=sending.received_at, until=until)
    with one_at_a_time(), means.database.transaction() as connection:
        writes.flush(connection)
