"""Many panels in one message: what each line of NDJSON and each row of CSV is read as."""

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.errors import BadInput
from service.formats import csv_rows, lines, ndjson
from service.formats.lines import Entry
from tests.flows.build import NOW, calcium, encoded, panel

HEADER = "patient_id,sex,birth_date,accession,collected_at,analyte,value,unit"
AT = "2026-11-01T08:00:00Z"


def read_csv(*rows: str, header: str = HEADER) -> list[Entry]:
    text = "\n".join((header, *rows)) + "\n"
    return list(csv_rows.read(io.BytesIO(text.encode("utf-8", "surrogateescape")), now=NOW))


def read_ndjson(body: bytes) -> list[Entry]:
    return list(ndjson.read(io.BytesIO(body), now=NOW))


def row(analyte: str = "calcium", value: str = "11.9", unit: str = "mg/dL", **more: str) -> str:
    patient, at = more.get("patient", "p1"), more.get("at", AT)
    return f"{patient},female,1968-03-14,A-1,{at},{analyte},{value},{unit}"


def faults(entry: Entry) -> list[tuple[str, str]]:
    assert entry.error is not None
    return [(fault.pointer, fault.code) for fault in entry.error.faults]


def results(entry: Entry) -> list[tuple[Any, ...]]:
    assert entry.panel is not None
    return [(one.analyte, one.code and one.code.code, one.comparator, one.text) for one in entry.panel.results]


# ----------------------------------------------------------------------------------------------------------- NDJSON
def test_each_line_is_a_panel_with_its_number_and_its_bytes() -> None:
    first, second = encoded(panel(calcium("11.9"))), encoded(panel(calcium("9.1"), on=1))

    entries = read_ndjson(first + b"\n\n" + second)

    assert [entry.lines for entry in entries] == [(1,), (3,)]
    assert [entry.body for entry in entries] == [first, second]


def test_one_bad_line_does_not_sink_the_others() -> None:
    good = encoded(panel(calcium("11.9")))

    entries = read_ndjson(good + b"\n{bad\n" + good)

    assert [entry.error is None for entry in entries] == [True, False, True]
    assert faults(entries[1]) == [("", "json-invalid")]


def test_a_line_without_an_end_is_refused_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 1000)
    good = encoded(panel(calcium("11.9")))

    entries = read_ndjson(b"[" * 5000 + b"\n" + good)

    assert faults(entries[0]) == [("", "line-too-long")]
    assert entries[1].lines == (2,)
    assert entries[1].panel is not None


# -------------------------------------------------------------------------------------------------------------- CSV
def test_consecutive_rows_of_one_patient_and_collection_form_a_panel() -> None:
    entries = read_csv(
        row(), row("6768-6", "98", "U/L"), row(patient="p2"), row("platelets", "212", "10*9/L", patient="p2")
    )

    assert [entry.lines for entry in entries] == [(2, 3), (4, 5)]
    assert results(entries[0]) == [("calcium", None, "", "11.9"), (None, "6768-6", "", "98")]


def test_a_row_that_repeats_a_result_begins_another_panel() -> None:
    entries = read_csv(row(value="11.9"), row(value="12.1"))

    assert [entry.lines for entry in entries] == [(2,), (3,)]


def test_a_comparator_may_stand_before_the_value() -> None:
    (entry,) = read_csv(row("platelets", "<5", "10*9/L"))

    assert results(entry) == [("platelets", None, "<", "5")]


def test_a_bad_row_is_refused_with_its_columns_and_the_rest_of_its_panel_is_read() -> None:
    entries = read_csv(row(), row("alp", "UNABLE TO REPORT", "U/L"), row("platelets", "212", "10*9/L"))

    refused = next(entry for entry in entries if entry.error)
    assert (refused.lines, faults(refused)) == ((3,), [("value", "number-invalid")])
    assert [entry.lines for entry in entries if entry.panel] == [(2, 4)]


@pytest.mark.parametrize(
    ("bad", "wanted"),
    [
        ("p1,female,1968-13-14,A-1,2026-11-01T08:00:00,calcium,11.9,mg/dL",
         [("birth_date", "date-invalid"), ("collected_at", "time-without-offset")]),
        ("p1,x,,A-1,2026-11-01T08:00:00Z,,11.9,mg/dL", [("sex", "not-a-choice"), ("analyte", "required")]),
        (",,,A-1,2026-11-01T08:00:00Z,calcium,,mg/dL", [("patient_id", "required"), ("value", "required")]),
        ("p1,,,A-1,2026-11-01T08:00:00Z,calcium,11.9", [("", "csv-invalid")]),
        ('p1,"a"b,,A-1,2026-11-01T08:00:00Z,calcium,11.9,mg/dL', [("", "csv-invalid")]),
        ("p\udcff,,,A-1,2026-11-01T08:00:00Z,calcium,11.9,mg/dL", [("patient_id", "text-unusable")]),
    ],
)  # fmt: skip
def test_every_fault_of_a_row_names_its_column(bad: str, wanted: list[tuple[str, str]]) -> None:
    entries = read_csv(bad, row())

    assert faults(entries[0]) == wanted
    assert entries[1].lines == (3,)


def test_an_empty_unit_is_a_fault_of_meaning_and_not_of_shape() -> None:
    (entry,) = read_csv(row(unit=""))

    assert entry.panel is not None
    assert entry.panel.results[0].unit == ""


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (HEADER.replace("value", "valeu"), [("valeu", "unknown-field"), ("value", "required")]),
        (HEADER + ",unit", [("unit", "key-repeated")]),
        ("", [(name, "required") for name in csv_rows.REQUIRED]),
        ('"a"b', [("", "csv-invalid")]),
    ],
)
def test_a_header_that_cannot_be_used_refuses_the_message(header: str, wanted: list[tuple[str, str]]) -> None:
    with pytest.raises(BadInput) as refused:
        read_csv(row(), header=header)

    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == wanted


def test_the_bytes_of_a_panel_are_its_rows_under_the_header() -> None:
    (entry,) = read_csv(row(), row("6768-6", "98", "U/L"))

    assert entry.body.decode().splitlines() == [HEADER, row(), row("6768-6", "98", "U/L")]


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read_csv(row(), header="\ufeff" + HEADER)[0].panel is not None


@settings(max_examples=200)
@given(st.lists(st.text(max_size=40), max_size=6))
def test_whatever_the_rows_hold_each_is_read_or_refused_once(cells: list[str]) -> None:
    text = "".join(cell.replace('"', "").replace("\r", "").replace("\n", "") + "\n" for cell in cells)

    entries = list(csv_rows.read(io.BytesIO(f"{HEADER}\n{text}".encode("utf-8", "replace")), now=NOW))

    answered = sorted(line for entry in entries for line in entry.lines)
    assert len(answered) == len(set(answered))
    assert all((entry.panel is None) != (entry.error is None) for entry in entries)


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_as_ndjson_are_read_or_refused(body: bytes) -> None:
    for entry in read_ndjson(body):
        assert (entry.panel is None) != (entry.error is None)
