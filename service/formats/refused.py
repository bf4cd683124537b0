"""Refused lines as a file in their own format, each with the reason, so that they can be mended and read again.

Law: what was sent stays to the letter. The reason stands in a column or member of its own, ``why``, and the readers
can be told to pass it over.
"""

import csv
import io
import re
from collections.abc import Sequence

import orjson

from service.formats import csv_text

WHY = "why"
_OBJECT = re.compile(rb"\s*\{\s*")


def csv_head(body: bytes) -> bytes:
    """The header of a CSV body with the column ``why`` at its end."""
    header = _cells(body)[0]
    return _rows([[*(name for name in header if name != WHY), WHY]])


def csv_lines(body: bytes, whys: Sequence[str]) -> bytes:
    """The rows of a CSV body, each with its reason. A row that has too few cells or too many stays so."""
    header, *rows = _cells(body)
    place = header.index(WHY) if WHY in header else None
    kept = (row if place is None or len(row) != len(header) else row[:place] + row[place + 1 :] for row in rows)
    return _rows([[*row, why] for row, why in zip(kept, whys, strict=True)])


def ndjson_line(body: bytes, why: str) -> bytes:
    """A line with the member ``why`` in front. What is no object stands in the member ``line``, as text."""
    said, found = orjson.dumps(why), _OBJECT.match(body)
    if found is None:
        return b'{"why":%b,"line":%b}\n' % (said, orjson.dumps(body.decode("utf-8", "replace")))
    rest = _EARLIER.sub(b"", body[found.end() :])
    return b'{"why":%b%b%b\n' % (said, b"" if rest.startswith(b"}") else b",", rest)


# The reason of an earlier time stands where ndjson_line has put it.
_EARLIER = re.compile(rb'\A"why":"(?:[^"\\]|\\.)*",?')


def _cells(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode("utf-8", "surrogateescape"), newline="")))


def _rows(rows: Sequence[Sequence[str]]) -> bytes:
    write = csv_text.writer()
    return "".join(f"{write(row)}\n" for row in rows).encode("utf-8", "surrogateescape")
