"""CSV (RFC 4180): one result on each row; consecutive rows of one patient and collection form a panel.

Law: a row is shaped into the native format and read by it, so that both formats accept and refuse the same; a fault
names the row and the column.
"""

import csv
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from typing import Any, BinaryIO, Self, cast

from service.domain.errors import BadInput, Fault
from service.domain.panels import Panel
from service.formats import native
from service.formats.lines import Entry, numbered
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


class _Group:
    """Rows that form a panel, as they come in."""

    def __init__(self) -> None:
        self.head: Sequence[str] = ()
        self.names: set[str] = set()
        self.lines: list[int] = []
        self.rows: list[str] = []
        self.panels: list[Panel] = []

    def takes(self, head: Sequence[str], name: str) -> bool:
        return head == self.head and name not in self.names and len(self.panels) < native.MAX_RESULTS

    def add(self, head: Sequence[str], name: str, *, line: int, row: str, panel: Panel) -> None:
        self.head = head
        self.names.add(name)
        self.lines.append(line)
        self.rows.append(row)
        self.panels.append(panel)

    def entry(self, header: str) -> Entry:
        results = tuple(
            replace(panel.results[0], pointer=f"/results/{place}") for place, panel in enumerate(self.panels)
        )
        body = _bytes("\n".join((header, *self.rows)))
        return Entry(lines=tuple(self.lines), body=body, panel=replace(self.panels[0], results=results))


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
    return _grouped(_each(rows, texts, header, now=now), header)


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
    return Fault(pointer=column, code=code, detail=detail, hint=hint)


def _grouped(rows: Iterable[_Row], header: Sequence[str]) -> Iterator[Entry]:
    """Panels and refused rows, in the order in which they end."""
    group, first = _Group(), _joined(header)
    for line, row, panel in rows:
        if isinstance(panel, BadInput):
            yield Entry(lines=(line,), body=_bytes(f"{first}\n{_joined(row)}"), error=panel)
            continue
        head, name = _head(row, header), _name(panel)
        if group.panels and not group.takes(head, name):
            yield group.entry(first)
            group = _Group()
        group.add(head, name, line=line, row=_joined(row), panel=panel)
    if group.panels:
        yield group.entry(first)


def _each(rows: Any, texts: _Texts, header: Sequence[str], *, now: datetime) -> Iterator[_Row]:
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
            yield rows.line_num, row, _panel(row, header, now=now)


def _panel(row: Sequence[str], header: Sequence[str], *, now: datetime) -> Panel | BadInput:
    """The panel of one result that a row is, or every fault in it by column."""
    if len(row) != len(header):
        detail = f"the row has {len(row)} fields, the header {len(header)}"
        return _refused([_fault("", "csv-invalid", detail)])
    unusable = [name for name, cell in zip(header, row, strict=True) if not usable(cell)]
    if unusable:
        return _refused([_fault(name, "text-unusable", "is not UTF-8, or holds a NUL") for name in unusable])
    try:
        return native.read_value(_sent(dict(zip(header, row, strict=True))), now=now)
    except BadInput as error:
        return _refused([replace(fault, pointer=_column(fault.pointer)) for fault in error.faults])


def _refused(faults: list[Fault]) -> BadInput:
    return BadInput(faults, kind="invalid-csv")


def _sent(cells: dict[str, str]) -> dict[str, Any]:
    """The native panel that a row stands for. An empty cell says nothing; a comparator may stand before the value."""
    compared = _COMPARED.fullmatch(cells["value"].strip())
    if compared and not cells.get("comparator"):
        cells = cells | {"comparator": compared[1], "value": compared[2]}
    sent: dict[str, Any] = {"patient": {}, "results": [{"unit": cells["unit"].strip()}]}
    for column, cell in cells.items():
        if cell.strip() and column != "unit" and column in PLACES:
            _put(sent, PLACES[column], _AS_JSON.get(column, str)(cell.strip()))
    _code(sent["results"][0])
    return sent


def _code(result: dict[str, Any]) -> None:
    """A code without a system is a LOINC code, and one may stand for the analyte."""
    code = result.get("code")
    if code is None and _LOINC.fullmatch(result.get("analyte", "")):
        result["code"] = result.pop("analyte")
    elif code is not None and "system" not in code:
        result["code"] = code["code"]


def _switch(cell: str) -> bool | str:
    return {"true": True, "false": False}.get(cell, cell)


# What is not a text in the native format.
_AS_JSON: dict[str, Callable[[str], Any]] = {"pregnant": _switch, "trimester": Number, "age_years": Number}


def _put(sent: Any, place: tuple[str | int, ...], cell: str) -> None:
    for step in place[:-1]:
        sent = sent[step] if isinstance(step, int) else sent.setdefault(step, {})
    sent[place[-1]] = cell


def _column(pointer: str) -> str:
    """The column that a place in the native panel came from."""
    columns = {"/" + "/".join(str(step) for step in place): column for column, place in PLACES.items()}
    return "analyte" if pointer == "/results/0/code" else columns.get(pointer, "")


def _head(row: Sequence[str], header: Sequence[str]) -> tuple[str, ...]:
    """What the rows of one panel have in common: everything that is not about the single result."""
    return tuple(
        cell for cell, name in zip(row, header, strict=True) if name in PLACES and PLACES[name][0] != "results"
    )


def _name(panel: Panel) -> str:
    result = panel.results[0]
    return f"{result.sender_id}|{result.analyte}|{result.code}"


def _joined(row: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(row)
    return line.getvalue()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
