"""What an operator is promised of ``lab-alerts export``.

Law: what goes out is compared with the rows that are kept, and what comes in again with what went out.
"""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.catalogue.load import Catalogue
from service.cli import main
from service.flows.means import Means
from service.formats import csv_rows
from service.storage import exporting, schema
from service.storage.database import Database
from tests.flows.build import Sender, calcium, hemoglobin, kept, panel, platelets, standing


@pytest.fixture
def sender(address: str, means: Means, monkeypatch: pytest.MonkeyPatch) -> Sender:
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", address)
    return Sender(means)


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def exported(kind: str, *arguments: str) -> list[dict[str, Any]]:
    done = run("export", kind, "--format", "ndjson", *arguments)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def story(sender: Sender) -> None:
    """Results of every kind: corrected, withdrawn, compared, coded, of a pregnancy, with a range in another unit."""
    own = {"reference_range": {"low": "2.15", "high": "2.5", "unit": "mmol/L"}}
    sender.send(panel(calcium("11.9", **own), hemoglobin("9.1"), accession="A-1"))
    sender.send(panel(calcium("10.9"), accession="A-1", status="corrected"))
    sender.send(panel(platelets("20", comparator="<", id="R-1"), on=1))
    sender.send(panel(platelets("20", comparator="<", id="R-1"), on=1, status="entered-in-error"))
    sender.send(panel({"code": "718-7", "value": "10.7", "unit": "g/dL"}, on=2))
    expecting = {"id": "7", "sex": "female", "birth_date": "1996-01-01", "pregnant": True, "trimester": 2}
    sender.send(panel(hemoglobin("10.7", note='said "twice", by\ntelephone'), on=3, patient=expecting))
    grown = {"id": "8", "authority": "b", "sex": "male", "age_years": 70}
    sender.send(panel(hemoglobin("12.5"), on=4, patient=grown, issued_at="2026-11-06T08:00:00Z"))
    local = {"code": {"system": "urn:local", "code": "718-7"}, "value": "5", "unit": "g/dL"}
    sender.send(panel(local, on=5))


def test_every_version_and_every_state_goes_out(sender: Sender, database: Database) -> None:
    story(sender)

    flags, results, episodes = (exported(kind) for kind in ("flags", "results", "episodes"))

    rows = kept(database)
    assert [len(flags), len(results), len(episodes)] == [len(rows[name]) for name in ("flags", "results", "episodes")]
    assert {flag["state"] for flag in flags} >= {"open", "superseded", "withdrawn"}
    assert sorted((one["analyte"], one["version"], one["current"]) for one in results if one["accession"]) == [
        ("calcium", 1, False),
        ("calcium", 2, True),
        ("hemoglobin", 1, True),
    ]
    assert {one["state"] for one in episodes} >= {"open", "withdrawn"}


def test_every_result_goes_out_with_its_newest_verdict(sender: Sender) -> None:
    sender.send(panel(calcium("11.9"), accession="A-1"))
    sender.send(panel(calcium("10.9"), accession="A-1", status="corrected"))

    first, second = exported("results")

    assert (first["version"], first["outcome"], first["severity"]) == (1, "flagged", "moderate")
    assert (second["outcome"], second["finding"], second["severity"]) == ("flagged", "hypercalcemia", "mild")
    assert second["collected_at"] == "2026-11-01T08:00:00Z"


@pytest.mark.parametrize("kind", ["flags", "results", "episodes"])
def test_csv_has_the_same_columns_and_rows_as_ndjson(kind: str, sender: Sender) -> None:
    story(sender)

    text = run("export", kind, "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert tuple(rows[0]) == exporting.COLUMNS[kind]
    assert rows == [{name: _cell(value) for name, value in one.items()} for one in exported(kind)]


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def test_one_patient_goes_out_alone_and_an_unclear_one_is_asked_for(sender: Sender) -> None:
    for authority in ("a", "b"):
        sender.send(panel(calcium("11.9"), patient={"id": "7", "authority": authority}))
    sender.send(panel(calcium("11.9")))

    unclear = run("export", "flags", "--format", "csv", "--patient", "7")
    unknown = run("export", "flags", "--format", "csv", "--patient", "nobody")
    alone = run("export", "flags", "--format", "csv", "--authority", "a")

    assert [flag["authority"] for flag in exported("flags", "--patient", "7", "--authority", "b")] == ["b"]
    assert "several patients have this name: a, b" in unclear.output
    assert "no such patient" in unknown.output
    assert (unclear.exit_code, unknown.exit_code, alone.exit_code) == (1, 1, 2)


def test_a_file_appears_only_when_all_of_it_is_there(
    sender: Sender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.send(panel(calcium("11.9")))
    whole, broken = tmp_path / "flags.csv", tmp_path / "broken.csv"

    run("export", "flags", "--format", "csv", "--output", whole)
    monkeypatch.setitem(exporting.COLUMNS, "flags", ("too", "few"))
    failed = run("export", "flags", "--format", "ndjson", "--output", broken)

    assert len(whole.read_text(encoding="utf-8").splitlines()) == 2
    assert failed.exit_code == 1
    assert not broken.exists()


def test_exported_results_imported_elsewhere_end_in_the_same_flags(
    sender: Sender, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue
) -> None:
    story(sender)
    file, elsewhere = tmp_path / "results.csv", f"sqlite:///{tmp_path / 'elsewhere.db'}"
    run("export", "results", "--format", "csv", "--output", file)

    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", elsewhere)
    other = Database.open(elsewhere)
    schema.upgrade(other)
    done = run("import", file, "--source", "lab-1")

    assert done.exit_code == 0, done.output
    assert standing(other) == standing(database)
    other.close()


def test_the_columns_of_results_are_those_of_the_csv_that_comes_in_and_others_beside_them() -> None:
    assert set(exporting.COLUMNS["results"]) == {*csv_rows.PLACES, *exporting.BESIDE_RESULTS}
    assert not set(csv_rows.PLACES) & set(exporting.BESIDE_RESULTS)
