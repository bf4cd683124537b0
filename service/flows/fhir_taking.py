"""What all ways of sending FHIR have in common: who sends, what is kept, and how it is taken in.

Law: what was refused is not remembered: nothing of it was kept, and it may be good when it is sent again.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from service.domain.analytes import LOINC_NAMES
from service.domain.errors import InUse, Unavailable
from service.domain.panels import Code
from service.flows.fhir_conditions import checked, still
from service.flows.fhir_entries import Taking, entry_answers, issues_of
from service.flows.fhir_partly import without_contradictions
from service.flows.means import Means
from service.flows.receipts import Receipt
from service.flows.whole import Once, take_in_whole
from service.formats.fhir.answers import EntryAnswer
from service.formats.fhir.bundle import Bundle
from service.formats.fhir.reader import MEDIA_TYPE
from service.storage.idempotency import Answer, Claim
from service.storage.panels import Message

Json = dict[str, Any]
# How an answer is written: from that to each entry, and from all that is to be said of them together.
Write = Callable[[Sequence[EntryAnswer], Sequence[Json]], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """Who sends what, when, and how it is to be answered.

    ``key``: the sender's own name for the request (Idempotency-Key). ``endpoint`` and ``new_id`` are for replies to
    messages; ``remember``: so long an answer is repeated when the same is sent again.
    """

    body: bytes = field(repr=False)
    source: str
    received_at: datetime
    new_id: Callable[[], str]
    endpoint: str
    key_id: str | None = None
    request_id: str | None = None
    key: str | None = field(default=None, repr=False)
    remember: timedelta = timedelta(hours=24)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    @property
    def message(self) -> Message:
        return Message(
            body=self.body,
            content_type=MEDIA_TYPE,
            source=self.source,
            key_id=self.key_id,
            request_id=self.request_id,
            received_at=self.received_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer, and what there is to count: receipts, and how many entries were ``refused``.

    ``failed``: why a message could not be taken in now, for the log.
    """

    answer: Answer
    receipts: tuple[Receipt, ...] = field(default=(), repr=False)
    refused: int = 0
    recalled: bool = False
    failed: Unavailable | InUse | None = None


def known(means: Means) -> Callable[[Code], bool]:
    """Is a code one of an analyte of the catalogue?"""
    analytes = means.catalogue.rulebook.analytes
    return lambda code: code.system in LOINC_NAMES and analytes.coded(code.code) is not None


def taken(bundle: Bundle, sending: Sending, means: Means, *, claim: Claim | None, write: Write) -> Answered:
    """Take in what is good of a Bundle, in one transaction, and answer all of it. Raises what the whole does."""
    message = sending.message
    taking = checked(Taking(bundle=bundle, message=message), means)
    if not taking.whole:
        taking = without_contradictions(taking, means)
    refused = sum(bool(one.faults) for one in taking.bundle.entries)

    def render(receipts: Sequence[Receipt]) -> Answer:
        return write(entry_answers(taking, receipts), issues_of(taking, receipts))

    until = sending.received_at + sending.remember
    once = None if claim is None or refused else Once(claim=claim, until=until, render=render)
    check = still(taking, means)
    found = take_in_whole(taking.bundle.reading.panels, message, means, once=once, check=check)
    answer = found.answer or render(found.receipts)
    return Answered(answer=answer, receipts=found.receipts, refused=refused, recalled=found.recalled)
