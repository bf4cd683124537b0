"""Rows that go out: NDJSON with one object on each line, or CSV with a header.

Law: the same columns in the same order in both. A time is in UTC with a Z; in CSV what is not there is an empty cell,
and a list or an object stands as JSON.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any

import orjson


def ndjson(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """One line for each row."""
    for row in rows:
        yield orjson.dumps(dict(zip(names, row, strict=True)), option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def csv_rows(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """The header, and one line for each row (more where a cell has line breaks)."""
    yield _line(names)
    for row in rows:
        yield _line([_cell(value) for value in row])


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str) else orjson.dumps(value).decode()
