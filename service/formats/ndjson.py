"""NDJSON: one native panel on each line.

Law: a line is read exactly as a message of its own would be.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, BinaryIO

from service.domain.errors import BadInput
from service.formats import native
from service.formats.lines import Entry, numbered
from service.formats.strict_json import parse

MEDIA_TYPE = "application/x-ndjson"


def read(stream: BinaryIO, *, now: datetime, passed_over: Collection[str] = ()) -> Iterator[Entry]:
    """The panels of a stream, one for each line that is not empty. Faults are in the entries; none is raised.

    Members of a line that are ``passed_over`` may stand there, unread.
    """
    for number, line in numbered(stream):
        if isinstance(line, BadInput):
            yield Entry(lines=(number,), body=b"", error=line)
        elif line.strip():
            yield _entry(number, line.rstrip(b"\r\n"), now=now, passed_over=passed_over)


def _entry(number: int, body: bytes, *, now: datetime, passed_over: Collection[str]) -> Entry:
    try:
        return Entry(lines=(number,), body=body, panel=native.read_value(_without(parse(body), passed_over), now=now))
    except BadInput as error:
        return Entry(lines=(number,), body=body, error=error)


def _without(sent: Any, passed_over: Collection[str]) -> Any:
    if isinstance(sent, dict):
        for name in passed_over:
            sent.pop(name, None)
    return sent
