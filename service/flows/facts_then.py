"""What was known of a person after each panel, learned again from what each of them told.

Law: it is learned by the very function by which intake learned it. Of panels kept before it was noted what they tell,
the messages are read again; from the first one on that is gone or cannot be read, nothing is said: it is not guessed.
"""

import io
from collections.abc import Iterable, Iterator

from service.domain.errors import BadInput
from service.domain.facts import Known, learn, learned
from service.domain.panels import Panel
from service.domain.timeline import Facts
from service.formats import csv_rows, native, ndjson
from service.storage.past import KeptMessage


def facts_after(messages: Iterable[KeptMessage]) -> Iterator[tuple[KeptMessage, Facts | None]]:
    """Each message with the facts as known after it; None from the first unreadable one on."""
    known: Known | None = Known()
    for message in messages:
        known = None if known is None else _learned(known, message)
        yield message, known.facts if known else None


def _learned(known: Known, message: KeptMessage) -> Known | None:
    if message.told is not None:
        return learned(known, message.told, message.as_of)
    panel = _read(message)
    return None if panel is None else learn(known, panel)


def _read(message: KeptMessage) -> Panel | None:
    """The panel of a message; None where its bytes are gone, or this program cannot read them."""
    if message.body is None:
        return None
    try:
        return _panel(message.body, message)
    except BadInput:
        return None


def _panel(body: bytes, message: KeptMessage) -> Panel | None:
    if message.content_type in _OF_LINES:
        read = _OF_LINES[message.content_type]
        entries = list(read(io.BytesIO(body), now=message.received_at))
        return entries[0].panel if len(entries) == 1 else None
    return native.read(body, now=message.received_at)


_OF_LINES = {ndjson.MEDIA_TYPE: ndjson.read, csv_rows.MEDIA_TYPE: csv_rows.read}
