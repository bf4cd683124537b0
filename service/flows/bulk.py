"""Many panels come in: each is taken in by itself, and each is answered.

Law: one bad panel does not sink the others, and what is answered is kept. When nothing more can be kept, the answers
stop with the line that says so.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from service.domain.errors import BadInput, Unavailable
from service.flows.intake import Receipt, take_in
from service.flows.means import Means
from service.formats.lines import Entry
from service.storage.panels import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of one entry: taken in, refused, or not reached because of ``halted``."""

    entry: Entry
    receipt: Receipt | None = field(default=None, repr=False)
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
) -> Iterator[Answered]:
    """Take in every entry of a message, in order; ``message`` lends each its source and its key."""
    for entry in entries:
        answered = _one(
            entry, replace(message, body=entry.body, received_at=clock()), means, dry_run=dry_run, strict=strict
        )
        yield answered
        if answered.halted is not None:
            return


def _one(entry: Entry, message: Message, means: Means, *, dry_run: bool, strict: bool) -> Answered:
    if entry.panel is None:
        return Answered(entry=entry, refused=entry.error)
    try:
        return Answered(entry=entry, receipt=take_in(entry.panel, message, means, dry_run=dry_run, strict=strict))
    except BadInput as error:
        return Answered(entry=entry, refused=error)
    except Unavailable as error:
        return Answered(entry=entry, halted=error)
