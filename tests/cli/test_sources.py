"""What an operator is promised of ``lab-alerts sources``.

Law: run as an operator runs it, and read by its words and its exit status.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import time_machine
from click.testing import CliRunner, Result

from service.catalogue.load import load
from service.cli import main
from service.flows.means import Means
from service.storage import schema
from service.storage.database import Database
from tests.flows.build import NOW, Sender, calcium, panel
from tests.flows.test_source_maps import coded

A_MAP = {
    "zone": "Europe/Vienna",
    "codes": [{"system": "urn:hl7v2:L", "code": "HGB", "analyte": "hemoglobin"}],
    "units": [],
}


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    address = f"sqlite:///{tmp_path / 'lab-alerts.db'}"
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", address)
    monkeypatch.setenv("COLUMNS", "200")
    found = Database.open(address)
    schema.upgrade(found)
    yield found
    found.close()


@pytest.fixture
def sender(database: Database) -> Sender:
    return Sender(Means(database=database, catalogue=load("blood-findings-1")))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["sources", *arguments])


def a_file(folder: Path, sent: object) -> str:
    path = folder / "map.json"
    path.write_text(json.dumps(sent), encoding="utf-8")
    return str(path)


@pytest.mark.usefixtures("database")
def test_a_map_is_set_from_a_file_and_printed_as_it_can_be_set_again(tmp_path: Path) -> None:
    first = run("set", "lab-1", a_file(tmp_path, A_MAP))
    printed = run("show", "lab-1")
    again = run("set", "lab-1", a_file(tmp_path, json.loads(printed.output)))

    assert first.output == "Map of lab-1: version 1, set.\n"
    assert json.loads(printed.output) == A_MAP
    assert again.output == "Map of lab-1: version 1, says the same already.\n"


@pytest.mark.usefixtures("database")
def test_earlier_versions_can_be_printed(tmp_path: Path) -> None:
    run("set", "lab-1", a_file(tmp_path, A_MAP))
    run("set", "lab-1", a_file(tmp_path, {}))

    assert json.loads(run("show", "lab-1").output)["codes"] == []
    assert json.loads(run("show", "lab-1", "--version", "1").output) == A_MAP


@pytest.mark.usefixtures("database")
def test_a_map_with_faults_is_refused_with_all_of_them(tmp_path: Path) -> None:
    wrong = {"codes": [{"system": "LN", "code": "17861-6", "analyte": "hemoglobin"}], "units": []}
    wrong["codes"].append({"system": "x", "code": "y", "analyte": "hemoglobn"})

    done = run("set", "lab-1", a_file(tmp_path, wrong))

    assert done.exit_code == 1
    assert "/codes/0/code: the catalogue knows it as calcium" in done.output
    assert "/codes/1/analyte: is not the key of an analyte (did you mean 'hemoglobin'?)" in done.output


def test_what_is_not_mapped_is_listed_with_the_panels_looked_through(sender: Sender) -> None:
    sender.send(panel(coded("9.1", "gr/dl"), calcium("9.9")))

    with time_machine.travel(NOW):
        done = run("unmapped", "lab-1")

    assert done.exit_code == 0
    assert "urn:hl7v2:L" in done.output
    assert "gr/dl" in done.output
    assert "calcium" not in done.output
    assert done.output.endswith("Looked through 1 panels.\n")


def test_the_sources_are_listed_with_their_maps(sender: Sender, tmp_path: Path) -> None:
    sender.send(panel(calcium("9.9")))
    run("set", "lab-2", a_file(tmp_path, A_MAP))

    lines = [line for line in run("list").output.splitlines() if "lab-" in line]

    assert ["2026-11-20 12:00Z" in lines[0], "none" in lines[0]] == [True, True]
    assert ["never" in lines[1], "version 1" in lines[1]] == [True, True]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("command", ["show", "unmapped"])
def test_a_source_that_nobody_knows_is_said_to_be_none(command: str) -> None:
    done = run(command, "lab-9")

    assert (done.exit_code, done.output) == (1, "Error: no such source\n")
