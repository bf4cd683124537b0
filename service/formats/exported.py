"""Rows that go out: NDJSON with one object on each line, or CSV with a header.

Law: the same columns in the same order in both. A time is in UTC with a Z; in CSV what is not there is an empty cell,
and a list or an object stands as JSON.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any

import orjson

from service.formats import csv_text


def ndjson(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """One line for each row."""
    for row in rows:
        yield orjson.dumps(dict(zip(names, row, strict=True)), option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def csv_rows(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """The header, and one line for each row (more where a cell has line breaks)."""
    write = csv_text.writer()
    yield f"{write(names)}\n".encode()
    for row in rows:
        yield f"{write([_cell(value) for value in row])}\n".encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str) else orjson.dumps(value).decode()
