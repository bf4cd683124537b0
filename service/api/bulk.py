"""Many panels in one request, answered line by line while they come in.

Law: memory does not grow with the message. Every line of it is answered with its number, and the last line of the
answer adds everything up.
"""

import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO, Any

import orjson
from flask import Response, g, request, stream_with_context
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected

from service.api import answers, auditing, counting, guard
from service.api.guard import means
from service.api.problems import PROBLEMS, error_data
from service.domain.verdicts import Outcome
from service.flows.bulk import Answered, take_in_all
from service.formats import csv_rows, ndjson
from service.storage.panels import Message

FORMATS = {ndjson.MEDIA_TYPE: ndjson.read, csv_rows.MEDIA_TYPE: csv_rows.read}

Data = dict[str, Any]
_BUFFER = 16_384
_PIECE = 65_536


class _Whole(io.RawIOBase):
    """A body of which the end is believed only when it is as long as its header says.

    Otherwise a row that was cut off in a number would be taken for a whole one. Raises ``ClientDisconnected``.
    """

    def __init__(self, source: IO[bytes], *, length: int | None) -> None:
        self._source, self._left = source, length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._source.read(len(buffer))
        buffer[: len(found)] = found
        if self._left is not None:
            self._left -= len(found)
            if not found and self._left > 0:
                raise ClientDisconnected
        return len(found)


class Tally:
    """The accounting of a whole message."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.complete = True

    def add(self, verdict: Data) -> None:
        """Count one verdict; a refused line counts as one that was rejected."""
        self.outcomes[verdict["outcome"]] += 1
        if "reason" in verdict:
            self.reasons[str(verdict["reason"])] += 1

    def data(self) -> Data:
        """The last line of an answer."""
        counts = {"received": self.outcomes.total()} | {one.value: self.outcomes[one] for one in Outcome}
        summary = {"counts": counts, "not_judged": dict(self.reasons), "complete": self.complete}
        return {"summary": summary, "intended_use": means().catalogue.intended_use}


def send(media_type: str, *, dry_run: bool, strict: bool) -> Response:
    """Take in a stream of panels. Raises ``BadInput`` when not even its beginning can be read."""
    request.max_content_length = sys.maxsize  # its lines are bounded instead; None would mean the app's limit
    now = guard.now()
    message = Message(
        body=b"",
        content_type=media_type,
        source=guard.key().source,
        key_id=guard.key().id,
        request_id=g.request_id,
        received_at=now,
    )
    # Without a buffer its lines would be read byte by byte.
    stream = io.BufferedReader(_Whole(request.stream, length=request.content_length), _BUFFER)
    entries = FORMATS[media_type](stream, now=now)
    counted = counting.Stream(source=message.source, door=counting.DOORS[media_type], dry_run=dry_run)
    answered = take_in_all(counted.read(entries), message, means(), clock=guard.now, dry_run=dry_run, strict=strict)
    by_row = media_type == csv_rows.MEDIA_TYPE
    lines = stream_with_context(_lines(counted.answered(answered), by_row=by_row))
    applied = {"Preference-Applied": "handling=strict"} if strict else {}
    return Response(lines, headers=applied, content_type=ndjson.MEDIA_TYPE)


def _lines(answered: Iterator[Sequence[Answered]], *, by_row: bool) -> Iterator[bytes]:
    """The lines of the answer, those of what was kept together in one piece."""
    tally, noted = Tally(), auditing.noted()
    try:
        for batch in answered:
            yield from _pieces(line for one in batch for line in _told(one, tally, by_row=by_row))
    except (ParseException, ClientDisconnected):  # the body is not framed as its headers say, or breaks off
        tally.complete = False
    finally:  # also when the client does not wait for the end
        noted.update(tally.outcomes)
    yield orjson.dumps(tally.data()) + b"\n"


def _pieces(lines: Iterator[Data]) -> Iterator[bytes]:
    """Lines of JSON, sent some at a time: each piece costs as much as a small answer."""
    gathered = bytearray()
    for line in lines:
        gathered += orjson.dumps(line) + b"\n"
        if len(gathered) >= _PIECE:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


def _told(one: Answered, tally: Tally, *, by_row: bool) -> Iterator[Data]:
    """The lines of the answer for one entry."""
    if one.halted is not None:
        tally.complete = False
        yield {"line": one.entry.lines[0], "status": PROBLEMS["unavailable"].status, "detail": one.halted.why}
    elif one.receipt is None:
        yield from _refused(one, tally)
    else:
        told = answers.receipt(one.receipt, means().catalogue, brief=True)
        for verdict in told["verdicts"]:
            tally.add(verdict)
        status = 200 if one.receipt.duplicate or one.receipt.id is None else 201
        yield from _rows(one, told, status) if by_row else [{"line": one.entry.lines[0], "status": status, **told}]


def _rows(one: Answered, told: Data, status: int) -> Iterator[Data]:
    for line, verdict in zip(one.entry.lines, told["verdicts"], strict=True):
        head = {"line": line, "status": status, "panel": told["id"]}
        yield head | {name: value for name, value in verdict.items() if name != "pointer"}


def _refused(one: Answered, tally: Tally) -> Iterator[Data]:
    """A refusal of the lines behind an entry; a refused panel of a CSV names the row that each fault is about."""
    faults = one.refused.faults if one.refused else ()
    kind = one.refused.kind if one.refused else "invalid-panel"
    for place, line in enumerate(one.entry.lines):
        own = [fault for fault in faults if _is_about(fault.pointer, place, of=len(one.entry.lines))]
        tally.add({"outcome": Outcome.REJECTED.value})
        yield {
            "line": line,
            "status": PROBLEMS[kind].status,
            "outcome": Outcome.REJECTED.value,
            "type": PROBLEMS[kind].type,
            "errors": [error_data(fault) for fault in own],
        }


def _is_about(pointer: str, place: int, *, of: int) -> bool:
    return of == 1 or not pointer.startswith("/results/") or pointer.split("/")[2] == str(place)
