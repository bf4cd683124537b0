"""CSV (RFC 4180): one result on each row; consecutive rows of one patient and collection form a panel.

Law: a row is shaped into the native format and read by it, so that both formats accept and refuse the same; a fault
names the row and the column.
"""

import csv
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from operator import itemgetter
from typing import Any, BinaryIO, Self, cast

from service.domain.errors import BadInput, Fault
from service.domain.panels import Code, Panel
from service.formats import csv_text, native, quick
from service.formats.lines import Entry, numbered
from service.formats.panel_shape import MAX_RESULTS
from service.formats.strict_json import Number, usable

MEDIA_TYPE = "text/csv"

# Column -> place in a native panel of one result.
PLACES = {
    "patient_id": ("patient", "id"),
    "authority": ("patient", "authority"),
    "sex": ("patient", "sex"),
    "birth_date": ("patient", "birth_date"),
    "accession": ("accession",),
    "collected_at": ("collected_at",),
    "issued_at": ("issued_at",),
    "pregnant": ("patient", "pregnant"),
    "trimester": ("patient", "trimester"),
    "age_years": ("patient", "age_years"),
    "analyte": ("results", 0, "analyte"),
    "code": ("results", 0, "code", "code"),
    "code_system": ("results", 0, "code", "system"),
    "comparator": ("results", 0, "comparator"),
    "value": ("results", 0, "value"),
    "unit": ("results", 0, "unit"),
    "low": ("results", 0, "reference_range", "low"),
    "high": ("results", 0, "reference_range", "high"),
    "range_unit": ("results", 0, "reference_range", "unit"),
    "status": ("results", 0, "status"),
    "result_id": ("results", 0, "id"),
    "note": ("results", 0, "note"),
}
REQUIRED = ("patient_id", "collected_at", "analyte", "value", "unit")

_LOINC = re.compile(r"\d{1,7}-\d", re.ASCII)
_COMPARED = re.compile(r"(<=|>=|<|>)\s*(.+)")


# The number of its last line, its cells, and the panel of one result that it is.
_Row = tuple[int, list[str], Panel | BadInput]
# What tells the result of a row from the others of its panel.
_Name = tuple[str | None, str | None, Code | None]


class _Columns:
    """What the columns of a file mean, found out once: where a cell goes, and which cells make up the head.

    ``ways`` are (place in the row, steps to the holder, name there, how the cell reads as JSON).
    """

    def __init__(self, header: Sequence[str]) -> None:
        self.names = header
        self.ways = [(place, *_way(name)) for place, name in enumerate(header) if name in PLACES]
        self.head = itemgetter(*(place for place, holder, _, _ in self.ways if holder not in _OF_RESULT))


def _way(column: str) -> tuple[str, str, Callable[[str], Any] | None]:
    """Holder, name in it, and how the cell reads as JSON where it is no text."""
    place = PLACES[column]
    holder = next((step for step in reversed(place[:-1]) if isinstance(step, str)), "")
    return holder, str(place[-1]), _AS_JSON.get(column)


_OF_RESULT = ("results", "code", "reference_range")


class _Group:
    """Rows that form a panel, as they come in."""

    def __init__(self) -> None:
        self.head: Sequence[str] = ()
        self.names: set[_Name] = set()
        self.lines: list[int] = []
        self.rows: list[str] = []
        self.panels: list[Panel] = []

    def takes(self, head: Sequence[str], name: _Name) -> bool:
        return head == self.head and name not in self.names and len(self.panels) < MAX_RESULTS

    def add(self, head: Sequence[str], name: _Name, *, line: int, row: str, panel: Panel) -> None:
        self.head = head
        self.names.add(name)
        self.lines.append(line)
        self.rows.append(row)
        self.panels.append(panel)

    def entry(self, header: str) -> Entry:
        body = _bytes("\n".join((header, *self.rows)))
        return Entry(
            lines=tuple(self.lines),
            body=body,
            panel=self.panels[0] if len(self.panels) == 1 else quick.joined(self.panels),
        )


def read(stream: BinaryIO, *, now: datetime, passed_over: Collection[str] = ()) -> Iterator[Entry]:
    """The panels of a stream. Faults of rows are in the entries.

    Columns that are ``passed_over`` may stand there, unread.
    Raises ``BadInput`` when the header cannot be used.
    """
    texts = _Texts(stream)
    rows = csv.reader(texts, strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
    except csv.Error:
        raise _refused([_fault("", "csv-invalid", "the header is not CSV")]) from None
    _check_header(header, passed_over)
    columns = _Columns(header)
    return _grouped(_each(rows, texts, columns, now=now), columns)


class _Texts:
    """The lines as text. What is not UTF-8 becomes half surrogate pairs, which the fields refuse.

    ``of_row`` are the lines that were read for the row of now.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.of_row: list[str] = []
        self._lines = numbered(stream)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        number, line = next(self._lines)
        long = isinstance(line, BadInput)
        text = "(a line of more than 1 MiB)\n" if long else cast("bytes", line).decode("utf-8", "surrogateescape")
        self.of_row.append(text.removeprefix("\ufeff") if number == 1 else text)
        return self.of_row[-1]


def _check_header(header: Sequence[str], passed_over: Collection[str]) -> None:
    faults = [_unknown(name) for name in header if name not in PLACES and name not in passed_over]
    faults += [_fault(name, "required", "this column is required") for name in REQUIRED if name not in header]
    twice = sorted({name for name in header if header.count(name) > 1})
    faults += [_fault(name, "key-repeated", "this column stands more than once") for name in twice]
    if faults:
        raise _refused(faults)


def _unknown(name: str) -> Fault:
    close = get_close_matches(name, PLACES, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(PLACES)}"
    return _fault(name, "unknown-field", "is not a column here", hint=hint)


def _fault(column: str, code: str, detail: str, *, hint: str | None = None) -> Fault:
    return Fault(pointer=_readable(column), code=code, detail=detail, hint=hint)


def _readable(name: str) -> str:
    """The name of a column as it can be answered: what is not UTF-8 in it is marked."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _grouped(rows: Iterable[_Row], columns: _Columns) -> Iterator[Entry]:
    """Panels and refused rows, in the order in which they end."""
    group, line_of = _Group(), csv_text.writer()
    first = line_of(columns.names)
    for line, row, panel in rows:
        if isinstance(panel, BadInput):
            yield Entry(lines=(line,), body=_bytes(f"{first}\n{line_of(row)}"), error=panel)
            continue
        head, name = columns.head(row), _name(panel)
        if group.panels and not group.takes(head, name):
            yield group.entry(first)
            group = _Group()
        group.add(head, name, line=line, row=line_of(row), panel=panel)
    if group.panels:
        yield group.entry(first)


def _each(rows: Any, texts: _Texts, columns: _Columns, *, now: datetime) -> Iterator[_Row]:
    """Every row that is not empty. What is not CSV is a row of one cell."""
    while True:
        texts.of_row.clear()
        try:
            row = next(rows, None)
        except csv.Error as error:
            text = "".join(texts.of_row).rstrip("\r\n")
            yield rows.line_num, [text], _refused([_fault("", "csv-invalid", f"not CSV: {error}")])
            continue
        if row is None:
            return
        if row:
            yield rows.line_num, row, _panel(row, columns, now=now)


def _panel(row: Sequence[str], columns: _Columns, *, now: datetime) -> Panel | BadInput:
    """The panel of one result that a row is, or every fault in it by column."""
    if len(row) != len(columns.names):
        detail = f"the row has {len(row)} fields, the header {len(columns.names)}"
        return _refused([_fault("", "csv-invalid", detail)])
    if not usable("".join(row)):
        unusable = [name for name, cell in zip(columns.names, row, strict=True) if not usable(cell)]
        return _refused([_fault(name, "text-unusable", "is not UTF-8, or holds a NUL") for name in unusable])
    try:
        return native.read_value(_sent(row, columns), now=now)
    except BadInput as error:
        return _refused([replace(fault, pointer=_column(fault.pointer)) for fault in error.faults])


def _refused(faults: list[Fault]) -> BadInput:
    return BadInput(faults, kind="invalid-csv")


def _sent(row: Sequence[str], columns: _Columns) -> dict[str, Any]:
    """The native panel that a row stands for. An empty cell says nothing; a comparator may stand before the value."""
    holders: dict[str, dict[str, Any]] = {"": {}, "patient": {}, "results": {}, "code": {}, "reference_range": {}}
    for place, holder, name, as_json in columns.ways:
        if cell := row[place].strip():
            holders[holder][name] = as_json(cell) if as_json else cell
    sent, result = holders[""], holders["results"]
    sent["patient"], sent["results"] = holders["patient"], [result]
    result.setdefault("unit", "")
    if holders["reference_range"]:
        result["reference_range"] = holders["reference_range"]
    _compare(result)
    _code(result, holders["code"])
    return sent


def _compare(result: dict[str, Any]) -> None:
    compared = _COMPARED.fullmatch(result.get("value", ""))
    if compared and "comparator" not in result:
        result["comparator"], result["value"] = compared.groups()


def _code(result: dict[str, Any], code: dict[str, str]) -> None:
    """A code without a system is a LOINC code, and one may stand for the analyte."""
    if code:
        result["code"] = code if "system" in code else code["code"]
    elif _LOINC.fullmatch(result.get("analyte", "")):
        result["code"] = result.pop("analyte")


def _switch(cell: str) -> bool | str:
    return {"true": True, "false": False}.get(cell, cell)


# What is not a text in the native format.
_AS_JSON: dict[str, Callable[[str], Any]] = {"pregnant": _switch, "trimester": Number, "age_years": Number}


def _column(pointer: str) -> str:
    """The column that a place in the native panel came from."""
    columns = {"/" + "/".join(str(step) for step in place): column for column, place in PLACES.items()}
    return "analyte" if pointer == "/results/0/code" else columns.get(pointer, "")


def _name(panel: Panel) -> _Name:
    result = panel.results[0]
    return result.sender_id, result.analyte, result.code


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
