"""Many panels come in: they are taken in by the batch, and each is answered.

    gather some ─► take in together ─► those that had to wait ─► … ─► answers in the order of the message
    (meanwhile the next are read)

Law: one bad panel does not sink the others, and what is answered is kept. When nothing more can be kept, the answers
stop with the line that says so.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from service.domain.errors import BadInput, Fault, Unavailable
from service.flows.incoming import Order, order
from service.flows.intake import take_in, take_in_together
from service.flows.means import Means
from service.flows.receipts import Receipt
from service.formats.lines import Entry
from service.storage.panels import Message

# A batch ends with whichever comes first. Beyond a few hundred panels a commit weighs nothing any more; the bytes bound
# the memory, and the seconds how long the panels of a slow sender wait for their answers.
BATCH_PANELS = 250
BATCH_RESULTS = 2_000
BATCH_BYTES = 2 * 1024 * 1024
BATCH_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of one entry: taken in, refused, or not reached because of ``halted``."""

    entry: Entry
    receipt: Receipt | None = field(default=None, repr=False)
    refused: BadInput | None = None
    halted: Unavailable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """An entry in its batch: with the order to take it in, or why it is refused or cannot be taken in now."""

    entry: Entry
    order: Order | None = None
    refused: BadInput | None = None
    halted: Unavailable | None = None


def take_in_all(
    entries: Iterable[Entry],
    message: Message,
    means: Means,
    *,
    clock: Callable[[], datetime],
    dry_run: bool = False,
    strict: bool = False,
) -> Iterator[Sequence[Answered]]:
    """Take in every entry of a message, in order; ``message`` lends each its source and its key.

    Answers what was kept together together. When reading breaks off, what was read before is taken in first.
    """
    alone = dry_run or strict
    for batch in _ahead(_batches(entries, message, means, clock=clock, alone=alone)):
        found = _alone(batch, means, dry_run=dry_run, strict=strict) if alone else _together(batch, means)
        answered = tuple(_until_halted(found))
        yield answered
        if answered[-1].halted is not None:
            return


def _ahead(batches: Iterator[list[_Place]]) -> Iterator[list[_Place]]:
    """The batches; while one is taken in and the database works on it, another thread reads the next."""
    with ThreadPoolExecutor(1, thread_name_prefix="reads-ahead") as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def _until_halted(found: Iterator[Answered]) -> Iterator[Answered]:
    for answered in found:
        yield answered
        if answered.halted is not None:
            return


def _batches(
    entries: Iterable[Entry], message: Message, means: Means, *, clock: Callable[[], datetime], alone: bool
) -> Iterator[list[_Place]]:
    batch: list[_Place] = []
    size, results, began = 0, 0, time.monotonic()
    message_of = _like(message)
    try:
        for entry in entries:
            batch.append(_place(entry, message_of(entry.body, at=clock()), means))
            size += len(entry.body)
            results += len(entry.lines) if entry.panel is None else len(entry.panel.results)
            if batch[-1].halted is not None:
                break
            full = alone or len(batch) >= BATCH_PANELS or size >= BATCH_BYTES or results >= BATCH_RESULTS
            if full or time.monotonic() - began >= BATCH_SECONDS:
                yield batch
                batch, size, results, began = [], 0, 0, time.monotonic()
    except Exception:  # whatever broke the reading off: it is raised again once what was read before is taken in
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _like(message: Message) -> Callable[..., Message]:
    """What makes a message from the same sender, of other bytes and another time."""

    def message_of(body: bytes, *, at: datetime) -> Message:
        return Message(
            body=body,
            content_type=message.content_type,
            source=message.source,
            key_id=message.key_id,
            request_id=message.request_id,
            received_at=at,
            test=message.test,
            quiet=message.quiet,
        )

    return message_of


def _place(entry: Entry, message: Message, means: Means) -> _Place:
    if entry.panel is None:
        return _Place(entry=entry, refused=entry.error)
    try:
        return _Place(entry=entry, order=order(entry.panel, message, means))
    except BadInput as error:
        return _Place(entry=entry, refused=error)
    except Unavailable as error:
        return _Place(entry=entry, halted=error)


def _alone(batch: Sequence[_Place], means: Means, *, dry_run: bool, strict: bool) -> Iterator[Answered]:
    for place in batch:
        if place.order is None:
            yield Answered(entry=place.entry, refused=place.refused, halted=place.halted)
            continue
        try:
            receipt = take_in(place.order, means, dry_run=dry_run, strict=strict)
        except BadInput as error:
            yield Answered(entry=place.entry, refused=error)
        except Unavailable as error:
            yield Answered(entry=place.entry, halted=error)
        else:
            yield Answered(entry=place.entry, receipt=receipt)


def _together(batch: Sequence[_Place], means: Means) -> Iterator[Answered]:
    orders = [place.order for place in batch if place.order is not None]
    receipts = _taken(orders, means)
    for place in batch:
        if place.order is None:
            yield Answered(entry=place.entry, refused=place.refused, halted=place.halted)
            continue
        found = next(receipts)
        if isinstance(found, Unavailable):
            yield Answered(entry=place.entry, halted=found)
        elif isinstance(found, BadInput):
            yield Answered(entry=place.entry, refused=found)
        else:
            yield Answered(entry=place.entry, receipt=found)


def _taken(orders: Sequence[Order], means: Means) -> Iterator[Receipt | BadInput | Unavailable]:
    """What became of each order, in their order; ends with the first that could not be kept for now."""
    done: dict[int, Receipt | BadInput] = {}
    left, room = list(range(len(orders))), len(orders)
    try:
        while left:
            tried, later = left[:room], left[room:]
            taken = _kept([orders[index] for index in tried], means)
            done |= {index: one for index, one in zip(tried, taken, strict=True) if one is not None}
            left = [index for index in tried if index not in done] + later
            # Where most have to wait for the one before, trying all of them each time would be in vain.
            room = max(1, 2 * (len(tried) - len(left) + len(later)))
    except Unavailable as error:
        yield from (done[index] for index in range(min(left)))
        yield error
        return
    yield from (done[index] for index in range(len(orders)))


def _kept(orders: Sequence[Order], means: Means) -> Sequence[Receipt | BadInput | None]:
    """Take in together; where that fails, only the first, so that the one at fault is met alone in the end."""
    try:
        return take_in_together(orders, means)
    except Unavailable as error:
        if not error.locked or len(orders) == 1:
            raise
    except Exception as error:  # noqa: BLE001  it is answered and logged; the panels after it are not at fault
        if len(orders) == 1:
            return [_failed(error)]
    return [*_kept(orders[:1], means), *(None for _ in orders[1:])]


def _failed(error: Exception) -> BadInput:
    """The answer to a panel on which we fail: it is ours to mend, and those after it are taken in all the same."""
    structlog.get_logger().error("panel failed", exc_info=error)
    detail = "the service has failed on this panel; nothing of it was kept"
    return BadInput([Fault(pointer="", code="internal-error", detail=detail)], kind="internal-error")
