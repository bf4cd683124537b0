"""CSV (RFC 4180): one result on each row; consecutive rows of one patient and collection form a panel.

Law: a row is shaped into the native format and read by it, so that both formats accept and refuse the same; a fault
names the row and the column.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from typing import Any, BinaryIO

from service.domain.errors import BadInput, Fault
from service.domain.panels import Panel
from service.formats import native
from service.formats.lines import Entry, numbered
from service.formats.strict_json import usable

MEDIA_TYPE = "text/csv"

# Column -> place in a native panel of one result.
PLACES = {
    "patient_id": ("patient", "id"),
    "authority": ("patient", "authority"),
    "sex": ("patient", "sex"),
    "birth_date": ("patient", "birth_date"),
    "accession": ("accession",),
    "collected_at": ("collected_at",),
    "analyte": ("results", 0, "analyte"),
    "comparator": ("results", 0, "comparator"),
    "value": ("results", 0, "value"),
    "unit": ("results", 0, "unit"),
    "low": ("results", 0, "reference_range", "low"),
    "high": ("results", 0, "reference_range", "high"),
    "status": ("results", 0, "status"),
    "result_id": ("results", 0, "id"),
}
REQUIRED = ("patient_id", "collected_at", "analyte", "value", "unit")

_LOINC = re.compile(r"\d{1,7}-\d", re.ASCII)
_COMPARED = re.compile(r"(<=|>=|<|>)\s*(.+)")


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


def read(stream: BinaryIO, *, now: datetime) -> Iterator[Entry]:
    """The panels of a stream. Faults of rows are in the entries.

    Raises ``BadInput`` when the header cannot be used.
    """
    rows = csv.reader(_texts(stream), strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
    except csv.Error:
        raise _refused([_fault("", "csv-invalid", "the header is not CSV")]) from None
    _check_header(header)
    return _grouped(rows, header, now)


def _texts(stream: BinaryIO) -> Iterator[str]:
    """The lines as text. What is not UTF-8 becomes half surrogate pairs, which the fields refuse."""
    for number, line in numbered(stream):
        text = (
            "(a line of more than 1 MiB)\n" if isinstance(line, BadInput) else line.decode("utf-8", "surrogateescape")
        )
        yield text.removeprefix("\ufeff") if number == 1 else text


def _check_header(header: Sequence[str]) -> None:
    faults = [_unknown(name) for name in header if name not in PLACES]
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


def _grouped(rows: Any, header: Sequence[str], now: datetime) -> Iterator[Entry]:
    """Panels and refused rows, in the order in which they end."""
    group, first = _Group(), _joined(header)
    for line, row, panel in _each(rows, header, now=now):
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


def _each(rows: Any, header: Sequence[str], *, now: datetime) -> Iterator[tuple[int, list[str], Panel | BadInput]]:
    """Every row that is not empty, with its line and its panel of one result."""
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield rows.line_num, [], _refused([_fault("", "csv-invalid", f"not CSV: {error}")])
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
        if cell.strip() and column != "unit":
            _put(sent, PLACES[column], cell.strip())
    result = sent["results"][0]
    if _LOINC.fullmatch(result.get("analyte", "")):
        result["code"] = result.pop("analyte")
    return sent


def _put(sent: Any, place: tuple[str | int, ...], cell: str) -> None:
    for step in place[:-1]:
        sent = sent[step] if isinstance(step, int) else sent.setdefault(step, {})
    sent[place[-1]] = cell


def _column(pointer: str) -> str:
    """The column that a place in the native panel came from."""
    columns = {"/" + "/".join(str(step) for step in place): column for column, place in PLACES.items()}
    return {"/results/0/code": "analyte", "/results/0/reference_range/unit": "low"}.get(pointer) or columns.get(
        pointer, ""
    )


def _head(row: Sequence[str], header: Sequence[str]) -> tuple[str, ...]:
    """What the rows of one panel have in common: everything that is not about the single result."""
    return tuple(cell for cell, name in zip(row, header, strict=True) if PLACES[name][0] != "results")


def _name(panel: Panel) -> str:
    result = panel.results[0]
    return f"{result.sender_id}|{result.analyte}|{result.code}"


def _joined(row: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(row)
    return line.getvalue()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
