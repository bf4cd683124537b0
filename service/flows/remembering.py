"""A request with an Idempotency-Key is carried out once, and answered the same however often it is sent.

Law: what was refused is not remembered: nothing of it was kept, and it may be mended and sent under the same key.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from service.domain.errors import BadInput, Fault, InUse
from service.flows.receipts import Receipt
from service.storage import idempotency
from service.storage.idempotency import Answer, Claim, Name, Remembered
from service.storage.writes import Writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembering:
    """The wish that an answer is remembered: under which claim, until when, and how a receipt is answered."""

    claim: Claim
    until: datetime
    render: Callable[[Receipt], Answer]


class Memory:
    """What is remembered of the requests of one transaction."""

    def __init__(self, found: Mapping[Name, Remembered]) -> None:
        self._found = dict(found)

    def recall(self, wish: Remembering | None) -> Receipt | None:
        """What was answered before. Raises ``BadInput`` when that was the answer to another request."""
        found = None if wish is None else self._found.get(wish.claim.name)
        if wish is None or found is None:
            return None
        answer = recalled(wish.claim, found)
        return Receipt(id=None, duplicate=True, ruleset="", items=(), flags=(), answer=answer, recalled=True)

    def keep(self, wish: Remembering | None, receipt: Receipt, writes: Writes, *, now: datetime) -> Receipt:
        """The receipt with its answer, which is remembered from now on."""
        if wish is None:
            return receipt
        answer = wish.render(receipt)
        idempotency.keep(writes, wish.claim, answer, now=now, until=wish.until)
        # The same again in this transaction has the same answer: neither is given before both are kept.
        self._found[wish.claim.name] = Remembered(fingerprint=wish.claim.fingerprint, answer=answer)
        return replace(receipt, answer=answer)


def recalled(claim: Claim, found: Remembered) -> Answer:
    """What was answered to a request before. Raises ``BadInput`` when that was another one."""
    if found.fingerprint != claim.fingerprint:
        raise BadInput([_REUSED], kind="idempotency-key-reused")
    return found.answer


_REUSED = Fault(
    pointer="", code="idempotency-key-reused", detail="the key was used for another request", hint="use a new key"
)


def memory(connection: Connection, wishes: Sequence[Remembering | None], *, now: datetime) -> Memory:
    """What is remembered of some requests."""
    claims = [wish.claim for wish in wishes if wish is not None]
    return Memory(idempotency.find(connection, claims, now=now) if claims else {})


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Raises ``InUse`` when another process is carrying out a request with the same key."""
    try:
        yield
    except IntegrityError as error:
        if idempotency.is_taken(error):
            raise InUse("a request with this Idempotency-Key is being carried out") from None
        raise
