"""Many panels in one message, line by line: what every such format answers for a line.

Law: one bad line does not sink the others, and no more than one panel is held at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from service.domain.errors import BadInput, Fault
from service.domain.panels import Panel

MAX_LINE = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One panel of a message with the bytes it was read from, or why it could not be read.

    ``lines`` are the numbers of the lines behind it, counted from 1: one line for NDJSON; for CSV, in the order of the
    panel's results, the line of each.
    """

    lines: tuple[int, ...]
    body: bytes = field(repr=False)
    panel: Panel | None = field(default=None, repr=False)
    error: BadInput | None = None


def numbered(stream: BinaryIO) -> Iterator[tuple[int, bytes | BadInput]]:
    """The lines of a stream with their numbers; one that is longer than 1 MiB is passed over and refused."""
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if len(line) <= MAX_LINE:
            yield number, line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE)
        yield number, BadInput([_too_long()], kind="invalid-json")


def _too_long() -> Fault:
    return Fault(pointer="", code="line-too-long", detail=f"the line has more than {MAX_LINE} bytes")
