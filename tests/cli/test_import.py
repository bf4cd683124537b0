"""What an operator is promised of ``lab-alerts import``.

Law: every import is run as an operator runs it, on both databases; what broke off was really killed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.domain.errors import Unavailable
from service.flows import bulk, importing
from service.storage import import_files
from service.storage.database import Database
from tests.flows.build import WOMAN, calcium, encoded, flag_states, hemoglobin, kept, panel, row_counts

HEADER = "patient_id,sex,birth_date,accession,collected_at,analyte,value,unit"
_PATIENCE = 60  # seconds


@pytest.fixture(autouse=True)
def settings(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", address)


def row(number: int, value: str = "11.9", *, analyte: str = "calcium", unit: str = "mg/dL", patient: str = "p") -> str:
    return f"{patient}{number},female,1968-03-14,A-{number},2026-11-01T08:00:00Z,{analyte},{value},{unit}"


def written(path: Path, *lines: str, header: str = HEADER) -> Path:
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


def run(*arguments: Any, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["import", *map(str, arguments)], input=stdin)


def imported(file: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit status and summary of an import."""
    done = run(file, "--source", "lab-1", "--json", *arguments)
    return done.exit_code, json.loads(done.stdout)


def test_every_row_is_accounted_for(tmp_path: Path, database: Database) -> None:
    file = written(tmp_path / "labs.csv", row(1), row(2, "9.4"), row(3, "5", unit="fl"), row(4, "none"), row(5, "12"))

    status, summary = imported(file)

    assert status == 1
    assert summary["counts"] == {"received": 5, "flagged": 2, "clear": 1, "not_judged": 1, "rejected": 1}
    assert summary["not_judged"] == {"unit_unknown": 1}
    assert summary["rejected"] == {"number-invalid: value": 1}
    assert (summary["duplicates"], summary["complete"]) == (0, True)
    assert row_counts(database)["results"] == 4


def test_the_summary_is_a_table_unless_json_is_asked_for(tmp_path: Path) -> None:
    done = run(written(tmp_path / "labs.csv", row(1), row(2, "none")), "--source", "lab-1")

    lines = [" ".join(line.strip("│┃ ").split("│")).split() for line in done.stdout.splitlines()]
    assert ["received", "2"] in lines
    assert ["flagged", "1"] in lines
    assert ["number-invalid:", "value", "1"] in lines


def test_a_second_full_run_changes_nothing_and_counts_the_duplicates(tmp_path: Path, database: Database) -> None:
    file = written(tmp_path / "labs.csv", *(row(number) for number in range(5)))
    imported(file)
    before = kept(database)

    status, summary = imported(file)

    assert status == 0
    assert summary["duplicates"] == summary["counts"]["received"] == 5
    assert kept(database) == before


def test_refused_rows_stand_in_a_file_that_is_mended_and_imported_again(tmp_path: Path, database: Database) -> None:
    file = written(tmp_path / "labs.csv", row(1), row(2, "9.4 x"), row(3).replace("p3", ""), row(4)[:-6])
    imported(file)

    aside = tmp_path / "labs.rejects.csv"
    lines = aside.read_text(encoding="utf-8").splitlines()
    aside.write_text("\n".join(lines[:3]).replace("9.4 x", "9.4").replace("\n,female", "\np3,female") + "\n")
    status, summary = imported(aside)

    assert lines[0] == f"{HEADER},why"
    assert lines[1].endswith(
        ',"line 3: value is not a decimal number (accepted: 11.9 or ""11.9"", with a decimal point)"'
    )
    assert lines[2].endswith(",line 4: patient_id is required")
    assert lines[3].endswith(',"line 5: the row has 7 fields, the header 8"')
    assert (status, summary["counts"]["received"], summary["counts"]["rejected"]) == (0, 2, 0)
    assert row_counts(database)["results"] == 3


def test_what_is_no_csv_is_put_aside_to_the_letter(tmp_path: Path) -> None:
    imported(written(tmp_path / "labs.csv", row(1), 'p2,"a"b,c', row(3)))

    aside = (tmp_path / "labs.rejects.csv").read_text(encoding="utf-8").splitlines()

    assert len(aside) == 2
    assert aside[1].startswith('"p2,""a""b,c","line 3: not CSV')


def test_refused_lines_of_ndjson_carry_why_and_are_imported_again_when_mended(
    tmp_path: Path, database: Database
) -> None:
    good, odd = panel(calcium("11.9")), panel(calcium("9,1"), on=1)
    file = tmp_path / "labs.ndjson"
    file.write_bytes(b"\n".join((encoded(good), encoded(odd), b"[1]", b"{}")) + b"\n")
    status, summary = imported(file)

    aside = tmp_path / "labs.rejects.ndjson"
    first, second, third = map(json.loads, aside.read_bytes().splitlines())
    aside.write_bytes(aside.read_bytes().splitlines()[0].replace(b"9,1", b"9.1"))
    mended = imported(aside)

    assert (status, summary["counts"]["rejected"]) == (1, 3)
    assert first == {"why": first["why"], **odd}
    assert first["why"].startswith("line 2: /results/0/value is not a decimal number")
    assert (second["line"], second["why"][:7]) == ("[1]", "line 3:")
    assert set(third) == {"why"}
    assert (mended[0], mended[1]["counts"]["clear"]) == (0, 1)


def test_a_line_refused_twice_carries_the_newest_why_only(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", row(1, "none"))
    lines = tmp_path / "b.ndjson"
    lines.write_bytes(encoded(panel(calcium("none"))) + b"\n")

    for first in (file, lines):
        imported(first)
        again = first.with_name(f"{first.stem}.rejects{first.suffix}")
        imported(again)
        twice = again.with_name(f"{again.stem}.rejects{again.suffix}")
        assert twice.read_bytes().replace(b"line 1", b"line 2") == again.read_bytes().replace(b"line 1", b"line 2")


def test_with_strict_a_panel_is_refused_with_all_its_rows(tmp_path: Path, database: Database) -> None:
    file = written(tmp_path / "labs.csv", row(1), row(1, "9", analyte="hemoglobin", unit="fl"), row(2))

    status, summary = imported(file, "--strict")

    assert (status, summary["counts"]["rejected"]) == (1, 2)
    assert summary["rejected"] == {importing.WITH_ITS_PANEL: 1, "unit-unknown": 1}
    assert row_counts(database)["results"] == 1
    assert len((tmp_path / "labs.rejects.csv").read_text(encoding="utf-8").splitlines()) == 3


def test_a_dry_run_keeps_nothing_and_leaves_no_file(tmp_path: Path, database: Database) -> None:
    file = written(tmp_path / "labs.csv", row(1), row(2, "none"))
    before = kept(database)

    _, summary = imported(file, "--dry-run")

    assert summary["counts"]["flagged"] == 1
    assert kept(database) == before
    assert list(tmp_path.glob("labs*")) == [file]


def test_standard_input_is_read_and_leaves_no_file(database: Database) -> None:
    text = f"{HEADER}\n{row(1)}\n".encode()

    done = run("-", "--format", "csv", "--source", "lab-1", "--json", stdin=text)

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["counts"]["flagged"] == 1


def test_what_is_left_open_is_asked_for(tmp_path: Path) -> None:
    file = written(tmp_path / "labs.txt", row(1))

    no_source, no_format = run(file, "--format", "csv"), run(file, "--source", "lab-1")
    itself = run(file, "--format", "csv", "--source", "lab-1", "--rejects", file)

    assert (no_source.exit_code, no_format.exit_code, itself.exit_code) == (2, 2, 2)
    assert "--source" in no_source.output
    assert "--format csv or --format ndjson" in no_format.output


def test_a_file_that_cannot_be_written_is_named_in_words(tmp_path: Path) -> None:
    file = written(tmp_path / "labs.csv", row(1, "none"))

    refused = run(file, "--source", "lab-1", "--rejects", tmp_path / "nowhere" / "rejects.csv")

    assert refused.exit_code == 1
    assert "nowhere/rejects.csv" in refused.output
    assert "No such file or directory" in refused.output


def test_a_header_that_cannot_be_used_is_said_with_its_column(tmp_path: Path) -> None:
    refused = run(written(tmp_path / "labs.csv", "1", header="patientid"), "--source", "lab-1")

    assert refused.exit_code == 1
    assert "patientid: is not a column here (did you mean 'patient_id'?)" in refused.output


# ----------------------------------------------------------------------------------------- breaking off, going on
def mixed(count: int) -> list[str]:
    """Panels of two rows with a refused row in the middle, and now and then an empty line."""
    found = []
    for number in range(count):
        found += [row(number), row(number, "none"), row(number, "9.1", analyte="hemoglobin", unit="g/dL")]
        found += [""] if number % 5 == 0 else []
    return found


def test_a_database_that_fails_halts_the_import_which_then_goes_on_where_it_stood(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "labs.csv", *mixed(20))
    takes, failing = bulk.take_in_together, iter([False] * 7 + [True])

    def take_in(*arguments: Any, **options: Any) -> Any:
        if next(failing, False):
            raise Unavailable("the database is busy")
        return takes(*arguments, **options)

    monkeypatch.setattr(bulk, "take_in_together", take_in)
    monkeypatch.setattr(bulk, "BATCH_PANELS", 1)
    halted = run(file, "--source", "lab-1", "--json")
    went_on = run(file, "--source", "lab-1", "--json")

    assert halted.exit_code == 1
    assert "the database is busy; run the same command to go on there" in halted.stderr
    assert json.loads(halted.stdout)["complete"] is False
    summary = json.loads(went_on.stdout)
    assert "Going on after line" in went_on.stderr
    assert summary["counts"] == {"received": 60, "flagged": 40, "clear": 0, "not_judged": 0, "rejected": 20}
    assert summary["duplicates"] == 0
    assert len((tmp_path / "labs.rejects.csv").read_text(encoding="utf-8").splitlines()) == 21
    assert not list(tmp_path.glob("*.json*"))


def test_a_note_of_another_import_is_not_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "labs.csv", *mixed(3))
    monkeypatch.setattr(bulk, "take_in_together", _fails_from(1))
    monkeypatch.setattr(bulk, "BATCH_PANELS", 1)
    run(file, "--source", "lab-1")

    other_source = run(file, "--source", "lab-2")
    (tmp_path / "labs.rejects.csv").unlink()
    without_rejects = run(file, "--source", "lab-1")

    assert "delete the note to begin again" in other_source.output
    assert "is not as the import left it" in without_rejects.output
    assert (other_source.exit_code, without_rejects.exit_code) == (1, 1)


def _fails_from(number: int) -> Any:
    takes, calls = bulk.take_in_together, iter(range(10**6))

    def take_in(*arguments: Any, **options: Any) -> Any:
        if next(calls) >= number:
            raise Unavailable("the database is busy")
        return takes(*arguments, **options)

    return take_in


@pytest.mark.parametrize("ending", ["csv", "ndjson"])
def test_an_import_that_is_killed_goes_on_and_ends_as_if_it_had_not_been(
    ending: str, tmp_path: Path, database: Database
) -> None:
    file = tmp_path / f"labs.{ending}"
    if ending == "csv":
        written(file, *mixed(700))
    else:
        two = (calcium("11.9"), hemoglobin("9.1"))
        lines = (encoded(panel(*two, patient={**WOMAN, "id": f"p{number}"})) + b"\n{bad\n" for number in range(700))
        file.write_bytes(b"".join(lines))

    reached = _killed(file)
    status, summary = imported(file)

    once = 3 * 700 if ending == "csv" else 1400 + 700
    assert 0 < reached < 2100
    assert status == 1
    assert summary["counts"] == {"received": once, "flagged": 1400, "clear": 0, "not_judged": 0, "rejected": 700}
    assert summary["duplicates"] < 2 * importing.NOTE_EVERY + 2
    counts = row_counts(database)
    assert (counts["patients"], counts["panels"], counts["results"]) == (700, 700, 1400)
    # Hemoglobin 9.1 and calcium 11.9 together are a pattern, too.
    assert [state for _, _, state in flag_states(database)] == ["open"] * 2100
    aside = (tmp_path / f"labs.rejects.{ending}").read_bytes().splitlines()
    assert len(aside) == len(set(aside)) == 700 + (ending == "csv")
    assert import_files.read_note(tmp_path / f"{file.name}.import.json") is None


def _killed(file: Path) -> int:
    """Kill a real import with SIGKILL once it has made a note; answers the line of the note."""
    command = [str(Path(sys.executable).parent / "lab-alerts"), "import", str(file), "--source", "lab-1"]
    note = file.with_name(f"{file.name}.import.json")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=dict(os.environ), **quiet) as process:  # noqa: S603  our own program
        deadline = time.monotonic() + _PATIENCE
        while not note.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.1)  # so that something is taken that the note does not know
        process.send_signal(signal.SIGKILL)
    found = import_files.read_note(note)
    assert found is not None, "the import was over before it could be killed"
    return int(found["line"])
