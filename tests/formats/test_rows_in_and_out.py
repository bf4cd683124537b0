"""What a row of CSV can say beyond the common columns, and how a refused line looks in its own format."""

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import BadInput
from service.domain.panels import Code, Panel
from service.formats import csv_rows, csv_text, exported, refused
from tests.flows.build import NOW

HEADER = "patient_id,collected_at,analyte,value,unit"
ROW = "p1,2026-11-01T08:00:00Z"


def read(header: str, row: str, *, passed_over: tuple[str, ...] = ()) -> Panel | BadInput | None:
    stream = io.BytesIO(f"{header}\n{row}\n".encode())
    (entry,) = csv_rows.read(stream, now=NOW, passed_over=passed_over)
    return entry.panel or entry.error


def panel(header: str, row: str) -> Panel:
    found = read(f"{HEADER},{header}", f"{ROW},{row}")
    assert isinstance(found, Panel)
    return found


def test_a_row_says_of_its_panel_what_the_native_format_can_say() -> None:
    found = panel("issued_at,pregnant,trimester,age_years", "calcium,9.1,mg/dL,2026-11-02T08:00:00Z,true,2,34")

    assert found.issued_at == datetime(2026, 11, 2, 8, tzinfo=UTC)
    assert (found.pregnant, found.trimester, found.age_years) == (True, 2, 34)


@pytest.mark.parametrize(
    ("header", "row", "code"),
    [
        ("code,code_system", ",9,mg/dL,77,urn:local", Code(code="77", system="urn:local")),
        ("code,code_system", ",9,mg/dL,718-7,", Code(code="718-7")),
        ("code", "718-7,9,mg/dL,", Code(code="718-7")),
    ],
)
def test_a_code_is_of_the_system_that_the_row_names_or_loinc(header: str, row: str, code: Code) -> None:
    (result,) = panel(header, row).results

    assert (result.analyte, result.code) == (None, code)


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [("pregnant", "yes", "type"), ("trimester", "4", "out-of-range"), ("issued_at", "soon", "time-invalid")],
)
def test_a_fault_in_such_a_cell_names_the_column(column: str, cell: str, code: str) -> None:
    found = read(f"{HEADER},{column}", f"{ROW},calcium,9.1,mg/dL,{cell}")

    assert isinstance(found, BadInput)
    assert [(fault.pointer, fault.code) for fault in found.faults] == [(column, code)]


def test_a_column_is_passed_over_only_where_the_reader_is_told_to() -> None:
    header, row = f"{HEADER},why", f"{ROW},calcium,9.1,mg/dL,line 2: odd"

    assert isinstance(read(header, row, passed_over=("why",)), Panel)
    with pytest.raises(BadInput):
        read(header, row)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'{"a":1}', b'{"why":"odd","a":1}\n'),
        (b' { "a": 1.50', b'{"why":"odd","a": 1.50\n'),
        (b"{}", b'{"why":"odd"}\n'),
        (b'{"why":"even \\"odder\\"","a":1}', b'{"why":"odd","a":1}\n'),
        (b"[1]", b'{"why":"odd","line":"[1]"}\n'),
        (b"", b'{"why":"odd","line":""}\n'),
    ],
)
def test_a_refused_line_of_ndjson_stays_to_the_letter_behind_its_reason(body: bytes, line: bytes) -> None:
    assert refused.ndjson_line(body, "odd") == line


def test_a_refused_row_of_csv_stays_to_the_letter_before_its_reason() -> None:
    body = "a,why,b\n1,old,\xe9\nonly".encode("latin-1")

    assert refused.csv_head(body) == b"a,b,why\n"
    assert refused.csv_lines(body, ["x, y", "z"]) == b'1,\xe9,"x, y"\nonly,z\n'


def test_rows_go_out_with_times_in_utc_and_lists_as_json() -> None:
    names, row = ("at", "list", "none", "switch"), (NOW, ["é"], None, True)

    assert b"".join(exported.csv_rows(names, [row])).decode() == (
        'at,list,none,switch\n2026-11-20T12:00:00Z,"[""é""]",,true\n'
    )
    assert b"".join(exported.ndjson(names, [row])).decode() == (
        '{"at":"2026-11-20T12:00:00Z","list":["é"],"none":null,"switch":true}\n'
    )


CELLS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6), min_size=2, max_size=4)


@given(cells=CELLS)
def test_a_written_line_reads_back_as_the_same_cells(cells: list[str]) -> None:
    line = csv_text.writer()(cells)

    assert list(csv.reader(io.StringIO(f"{line}\n", newline=""), strict=True)) == [cells]


@pytest.mark.parametrize("ends", ["\n", "\r", "\r\n"])
def test_a_row_with_a_line_break_in_a_cell_is_kept_so_that_it_reads_back(ends: str) -> None:
    sent = f'{HEADER},note\n{ROW},calcium,9,mg/dL,"two{ends}lines"\n'

    (entry,) = csv_rows.read(io.BytesIO(sent.encode()), now=NOW)
    (again,) = csv_rows.read(io.BytesIO(entry.body), now=NOW)

    assert entry.panel is not None
    assert entry.panel.results[0].note == f"two{ends}lines"
    assert again.panel == entry.panel
