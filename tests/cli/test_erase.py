"""What an operator is promised of ``lab-alerts erase``.

Law: run as an operator runs it, on both databases, and read by its words and its exit status.
"""

import json

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert

from service.cli import main
from service.flows.fan_out import fan_out
from service.flows.means import Means
from service.storage.database import Database
from service.storage.tables_delivery import deliveries, subscriptions
from tests.flows.build import NOW, WOMAN, Sender, calcium, panel, row_counts
from tests.flows.test_erase import subscription


@pytest.fixture(autouse=True)
def her(address: str, means: Means, monkeypatch: pytest.MonkeyPatch) -> None:
    """One patient with one flag."""
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", address)
    Sender(means).send(panel(calcium("11.9")))


@pytest.fixture
def told(means: Means, database: Database) -> None:
    """A ward was told of it."""
    with database.transaction() as connection:
        connection.execute(insert(subscriptions).values(**subscription()))
    fan_out(means, now=NOW)
    with database.transaction() as connection:
        connection.execute(deliveries.update().values(state="sent", attempts=1, done_at=NOW))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["erase", "--patient", WOMAN["id"], *arguments])


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--dry-run", "--yes"]])
def test_without_a_clear_word_it_says_what_to_say_and_deletes_nothing(arguments: list[str], database: Database) -> None:
    done = run(*arguments)

    assert done.exit_code == 2
    assert "say --dry-run to see what would go, or --yes to delete it" in done.stderr
    assert row_counts(database)["patients"] == 1


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(("option", "word", "left"), [("--dry-run", "would go", 1), ("--yes", "went", 0)])
def test_it_says_what_goes_and_who_was_told(option: str, word: str, left: int, database: Database) -> None:
    done = run(option)

    assert done.exit_code == 0
    assert done.stdout.startswith("pat_")
    assert f": {word}\n" in done.stdout
    assert "         1  messages that brought it, whole\n" in done.stdout
    assert "         1  flags\n" in done.stdout
    assert "GDPR, Article 19" in done.stdout
    assert "         1  ward (webhook)\n" in done.stdout
    assert row_counts(database)["patients"] == left


def test_where_nobody_was_told_it_says_so() -> None:
    assert "Nobody was told of this patient's flags" in run("--dry-run").stdout


@pytest.mark.usefixtures("told")
def test_for_machines_it_is_json() -> None:
    found = json.loads(run("--yes", "--json").stdout)

    assert (found["dry_run"], found["rows"]["flags"], found["rows"]["patients"]) == (False, 1, 1)
    assert found["told"] == [{"name": "ward", "channel": "webhook", "sent": 1, "unsure": 0}]
    assert (found["shown"], found["namesakes"]) == ({}, [])


def test_others_with_the_same_identifier_are_named(means: Means) -> None:
    Sender(means).send(panel(calcium("11.9"), patient={**WOMAN, "authority": "hospital-b"}))

    unclear, done = run("--dry-run"), run("--dry-run", "--authority", "hospital-b")

    assert unclear.exit_code == 1
    assert "hospital-a, hospital-b" in unclear.stderr
    assert "The same identifier was given out by hospital-a" in done.stdout


@pytest.mark.parametrize("option", ["--dry-run", "--yes"])
def test_one_who_is_not_there_is_said_not_to_be_without_repeating_who(option: str) -> None:
    done = CliRunner().invoke(main, ["erase", "--patient", "somebody-else", option])

    assert done.exit_code == 1
    assert "no such patient" in done.stderr
    assert "somebody-else" not in done.stderr + done.stdout
