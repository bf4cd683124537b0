"""NDJSON: one native panel on each line.

Law: a line is read exactly as a message of its own would be.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO

from service.domain.errors import BadInput
from service.formats import native
from service.formats.lines import Entry, numbered

MEDIA_TYPE = "application/x-ndjson"


def read(stream: BinaryIO, *, now: datetime) -> Iterator[Entry]:
    """The panels of a stream, one for each line that is not empty. Faults are in the entries; none is raised."""
    for number, line in numbered(stream):
        if isinstance(line, BadInput):
            yield Entry(lines=(number,), body=b"", error=line)
        elif line.strip():
            yield _entry(number, line.rstrip(b"\r\n"), now)


def _entry(number: int, body: bytes, now: datetime) -> Entry:
    try:
        return Entry(lines=(number,), body=body, panel=native.read(body, now=now))
    except BadInput as error:
        return Entry(lines=(number,), body=body, error=error)
