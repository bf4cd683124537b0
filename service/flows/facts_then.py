"""What was known of a person after each panel, learned again from the messages as they came.

Law: it is learned by the very function by which intake learned it. From the first message on that is gone or cannot be
read, nothing is said: what that one told is not guessed.
"""

import io
from collections.abc import Iterable, Iterator

from service.domain.errors import BadInput
from service.domain.facts import Known, learn
from service.domain.panels import Panel
from service.domain.timeline import Facts
from service.formats import csv_rows, native, ndjson
from service.storage.past import KeptMessage


def facts_after(messages: Iterable[KeptMessage]) -> Iterator[tuple[KeptMessage, Facts | None]]:
    """Each message with the facts as known after it; None from the first unreadable one on."""
    known: Known | None = Known()
    for message in messages:
        panel = None if known is None else _read(message)
        known = None if known is None or panel is None else learn(known, panel)
        yield message, known.facts if known else None


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
