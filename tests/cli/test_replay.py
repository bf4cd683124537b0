"""What an operator is promised of ``lab-alerts replay``.

Law: run as an operator runs it, and read by its words and its exit status.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from service.catalogue.load import load
from service.cli import main
from service.flows.means import Means
from service.storage import schema
from service.storage.database import Database
from service.storage.tables import flags
from tests.flows.build import Sender, calcium, hemoglobin, panel


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    address = f"sqlite:///{tmp_path / 'lab-alerts.db'}"
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", address)
    found = Database.open(address)
    schema.upgrade(found)
    yield found
    found.close()


@pytest.fixture
def raised(database: Database) -> list[str]:
    """The flags of one panel."""
    sender = Sender(Means(database=database, catalogue=load("blood-findings-1")))
    return [str(one.flag.id) for one in sender.send(panel(calcium("11.9"), hemoglobin("9.1"))).flags]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["replay", *arguments])


def alter(database: Database, flag: str) -> None:
    with database.transaction() as connection:
        connection.execute(update(flags).where(flags.c.id == flag).values(severity="mild", why="11.8 mg/dL"))


def test_where_nothing_differs_it_counts_and_ends_well(raised: list[str]) -> None:
    done = run("--all")

    assert (done.exit_code, done.output) == (0, f"Flags: {len(raised)}. Equal: {len(raised)}. Different: 0.\n")


def test_what_differs_is_named_by_flag_and_place_without_its_value(database: Database, raised: list[str]) -> None:
    alter(database, raised[0])

    done = run("--all")

    assert done.exit_code == 1
    assert f"{raised[0]}: /severity, /why\n" in done.output
    assert f"Flags: {len(raised)}. Equal: {len(raised) - 1}. Different: 1." in done.output
    assert "11.8" not in done.output


def test_some_flags_can_be_named(database: Database, raised: list[str]) -> None:
    alter(database, raised[0])

    assert run(raised[0]).exit_code == 1
    assert run(raised[1]).output == "Flags: 1. Equal: 1. Different: 0.\n"


def test_a_flag_that_is_not_known_is_said_without_a_traceback(database: Database) -> None:
    done = run("flg_unknown")

    assert done.exit_code == 1
    assert "there is no such flag" in done.output or "flag" in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("arguments", [[], ["--all", "flg_1"]])
def test_it_asks_to_name_flags_or_all_of_them(database: Database, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_without_flags_there_is_nothing_to_tell(database: Database) -> None:
    assert run("--all").output == "Flags: 0. Equal: 0. Different: 0.\n"
