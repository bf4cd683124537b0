"""What an operator is promised of ``lab-alerts purge``.

Law: run as an operator runs it, on both databases, and read by its words and its exit status.
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import time_machine
from click.testing import CliRunner, Result

from service.cli import main
from service.config import PREFIX
from service.flows.means import Means
from service.storage.database import Database
from tests.flows.build import NOW, Sender, calcium, panel, row_counts


@pytest.fixture(autouse=True)
def today(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", address)
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture(autouse=True)
def messages(means: Means) -> None:
    """One message each that is 500, 100 and 0 days old."""
    for days in (500, 100, 0):
        Sender(means).send(panel(calcium("11.9"), on=-days), at=ago(days))


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def run(*arguments: str, **settings: str) -> Result:
    given = {f"{PREFIX}{name.upper()}": value for name, value in settings.items()}
    return CliRunner(env=given).invoke(main, ["purge", *arguments])


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--older-than", "9"], ["--dry-run", "--yes"]])
def test_without_a_clear_word_it_says_what_to_say_and_deletes_nothing(arguments: list[str], database: Database) -> None:
    done = run(*arguments, keep_inbox_days="1")

    assert done.exit_code == 2
    assert "say --dry-run to see what would go, or --yes to delete it" in done.stderr
    assert row_counts(database)["inbox"] == 3


def test_a_dry_run_says_how_many_of_how_many_bytes_and_from_when_to_when(database: Database) -> None:
    done = run("--dry-run", "--json", keep_inbox_days="99")

    messages = json.loads(done.stdout)["messages"]
    assert done.exit_code == 0
    assert messages.pop("bytes") > 200
    assert messages == {
        "older_than": "2026-08-13T12:00:00Z",
        "rows": 2,
        "oldest": "2025-07-08T12:00:00Z",
        "newest": "2026-08-12T12:00:00Z",
    }
    assert row_counts(database)["inbox"] == 3


def test_yes_deletes_what_is_older_than_the_setting_and_says_what_went(database: Database) -> None:
    done = run("--yes", "--json", keep_inbox_days="400")

    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (told["dry_run"], told["messages"]["rows"], told["answers"]["rows"]) == (False, 1, 0)
    assert row_counts(database)["inbox"] == 2


def test_another_limit_can_be_given_for_one_run(database: Database) -> None:
    told = json.loads(run("--yes", "--older-than", "1", "--json", keep_inbox_days="400").stdout)

    assert told["messages"]["rows"] == 2
    assert row_counts(database)["inbox"] == 1


@pytest.mark.parametrize("days", ["0", "-1", "36501", "ten"])
def test_a_limit_is_one_day_at_least(days: str, database: Database) -> None:
    assert run("--yes", "--older-than", days).exit_code == 2
    assert row_counts(database)["inbox"] == 3


def test_messages_are_kept_for_ever_unless_somebody_says_how_long(database: Database) -> None:
    done = run("--yes")

    assert done.exit_code == 0
    assert "Messages are kept for ever: set LAB_ALERTS_KEEP_INBOX_DAYS, or say --older-than DAYS." in done.stdout
    assert row_counts(database)["inbox"] == 3


@pytest.mark.parametrize(("option", "word"), [("--dry-run", "would go"), ("--yes", "went")])
def test_for_people_it_is_a_table(option: str, word: str) -> None:
    every = {"keep_inbox_days": "99", "keep_deliveries_days": "99", "keep_audit_days": "99"}

    head, messages, answers, deliveries, audit, *rest = run(option, **every).stdout.splitlines()

    assert head.split() == [*word.split(), "older", "than", "rows", "bytes", "oldest", "newest"]
    assert messages.split()[:6] == ["messages", "as", "they", "came", "2026-08-13", "2"]
    assert messages.split()[7:] == ["2025-07-08", "2026-08-12"]
    assert answers.split() == ["remembered", "answers", "2026-11-20", "0", "0"]
    assert deliveries.split() == ["what", "was", "sent", "to", "whom", "2026-08-13", "0", "0"]
    assert audit.split() == ["entries", "of", "the", "audit", "2026-08-13", "0", "0"]
    assert rest == []


def test_the_log_goes_to_standard_error_with_counts(means: Means) -> None:
    done = run("--yes", "--json", keep_inbox_days="99")

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["event"], line["kind"], line["rows"]) for line in lines] == [
        ("purged", "messages", 2),
        ("purged", "answers", 0),
        ("purged", "deliveries", 0),
        ("purged", "audit", 0),
    ]
    assert len(done.stdout.splitlines()) == 1


def test_every_flag_can_still_be_judged_again(database: Database) -> None:
    run("--yes", "--older-than", "1")

    replayed = CliRunner().invoke(main, ["replay", "--all"])

    assert replayed.exit_code == 0
    assert "Flags: 3. Equal: 3. Different: 0." in replayed.stdout
    assert "as known now" not in replayed.stdout
