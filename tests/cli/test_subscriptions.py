"""What an operator is promised of ``lab-alerts subscriptions``.

Law: run as an operator runs it, and read by its words and its exit status.
"""

from datetime import timedelta

import pytest
from click.testing import CliRunner

from service.cli import main
from service.storage import deliveries
from tests.flows.build import NOW
from tests.flows.subscribing import end, event, held, made, on_their_way
from tests.flows.telling import fan_all_out, put_out


@pytest.fixture(autouse=True)
def _settings(address, monkeypatch):
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", address)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def ward(means):
    return made(means, "ward 7", endpoint="https://alerts.example/hook?token=T0KEN").subscription


def run(*arguments):
    return CliRunner().invoke(main, ["subscriptions", *arguments])


def two_failed(means, database):
    put_out(database, event(1), event(2))
    fan_all_out(means)
    end(database, "failed")


def test_they_are_listed_with_how_they_are_doing_and_without_secrets(means, ward, database):
    two_failed(means, database)
    with database.transaction() as connection:
        deliveries.disable(connection, ward.id, why="gone", now=NOW)

    done = run("list")

    (line,) = [line for line in done.output.splitlines() if "ward 7" in line]
    told = line.split("\t")
    assert told == ["ward 7", "webhook", "https://alerts.example/hook?…", "disabled: gone", "0", "2", "never"]
    assert [word for word in ("T0KEN", ward.secret) if word in done.output] == []


def test_one_is_paused_and_resumed_by_its_name(ward, database):
    paused, state = run("pause", "ward 7"), held(database, ward).state
    resumed = run("resume", "ward 7")

    assert (paused.output, state) == ("ward 7: paused.\n", "paused")
    assert (resumed.output, held(database, ward).state) == ("ward 7: active.\n", "active")


@pytest.mark.usefixtures("ward")
def test_what_has_failed_is_counted_then_sent_once_more(means, database):
    two_failed(means, database)

    counted = run("replay", "ward 7", "--since", f"{NOW:%Y-%m-%dT%H:%M:%SZ}", "--dry-run")
    later = run("replay", "ward 7", "--since", f"{NOW + timedelta(days=1):%Y-%m-%d}")
    done = run("replay", "ward 7", "--since", f"{NOW:%Y-%m-%d}")

    assert counted.output == "ward 7: 2 would be sent once more.\n"
    assert later.output == "ward 7: 0 sent once more.\n"
    assert done.output == "ward 7: 2 sent once more.\n"
    assert {row[0] for row in on_their_way(database)} == {"waiting"}


@pytest.mark.parametrize(
    "arguments", [("pause",), ("resume",), ("replay", "--since", "2026-11-20")], ids=lambda one: one[0]
)
def test_one_that_there_is_not_is_said_to_be_none(arguments):
    command, *more = arguments

    done = run(command, "nobody", *more)

    assert (done.exit_code, done.output) == (1, "Error: no such subscription\n")
