"""What an operator is promised of ``lab-alerts``.

Law: every command is run as an operator runs it, against a real file, and read by its words and its exit status.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service import cli
from service.cli import main
from service.storage import keys, schema
from service.storage.database import Database


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    found = f"sqlite:///{tmp_path / 'lab-alerts.db'}"
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", found)
    return found


@pytest.fixture
def database(address: str) -> Iterator[Database]:
    found = Database.open(address)
    schema.upgrade(found)
    yield found
    found.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_new_key_is_printed_once_and_only_its_digest_is_kept(database: Database) -> None:
    added = run("keys", "add", "ward", "--scope", "panels:write", "--source", "lis-1")

    secret = added.output.strip()
    with database.reading() as connection:
        kept = keys.find(connection, secret)
    assert added.exit_code == 0
    assert kept is not None
    assert (kept.name, kept.source, kept.scopes) == ("ward", "lis-1", ("panels:write",))
    assert secret not in run("keys", "list").output


def test_a_second_key_of_the_same_name_is_refused_unless_it_replaces_the_first(database: Database) -> None:
    first = run("keys", "add", "ward", "--scope", "flags:read").output.strip()

    refused = run("keys", "add", "ward", "--scope", "flags:read")
    replaced = run("keys", "add", "ward", "--scope", "flags:read", "--replace")

    assert refused.exit_code == 1
    assert "there is an active key of this name (revoke it, or use --replace)" in refused.output
    assert replaced.exit_code == 0
    with database.reading() as connection:
        old = keys.find(connection, first)
    assert old is not None
    assert old.revoked_at is not None


def test_a_revoked_key_is_listed_as_revoked(database: Database) -> None:
    run("keys", "add", "ward", "--scope", "flags:read", "--days", "30")

    revoked = run("keys", "revoke", "ward")

    assert revoked.output == "Revoked: ward\n"
    assert "revoked" in run("keys", "list").output


def test_revoking_a_key_that_is_not_there_says_so(database: Database) -> None:
    refused = run("keys", "revoke", "nobody")

    assert refused.exit_code == 1
    assert "no such active key" in refused.output


def test_an_unknown_scope_is_refused_with_the_known_ones(database: Database) -> None:
    refused = run("keys", "add", "ward", "--scope", "everything")

    assert refused.exit_code == 2
    assert "panels:write" in refused.output


def test_keys_need_a_database_with_tables_and_say_how_to_get_them(address: str) -> None:
    sqlite3.connect(address.removeprefix("sqlite:///")).execute("CREATE TABLE other (id)").connection.close()

    refused = run("keys", "list")

    assert refused.exit_code == 1
    assert "run lab-alerts migrate first" in refused.output


@pytest.mark.parametrize("words", [("keys", "list"), ("audit", "verify"), ("users", "list"), ("purge", "--dry-run")])
def test_a_database_that_is_not_there_is_not_made(address: str, tmp_path: Path, words: tuple[str, ...]) -> None:
    refused = run(*words)

    assert refused.exit_code == 1
    assert "there is no file at LAB_ALERTS_DATABASE_URL: correct it, or run lab-alerts migrate" in refused.output
    assert list(tmp_path.iterdir()) == []


def test_migrate_goes_up_and_down_and_says_where_the_database_is(address: str) -> None:
    up, down, no_goal = run("migrate"), run("migrate", "--down", "--to", "base"), run("migrate", "--down")

    assert f"The database is at {schema.newest()}" in up.output
    assert "The database is at base" in down.output
    assert "--down needs --to" in no_goal.output


def test_check_says_what_was_proved(address: str) -> None:
    checked = run("check", "--show")

    assert checked.exit_code == 0
    assert "Rule set blood-findings-1 (current): 5 rules" in checked.output
    assert "LAB_ALERTS_DATABASE_URL=(hidden)" in checked.output


def test_an_odd_setting_stops_every_command_with_its_name(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_ALERTS_THREADZ", "4")

    refused = run("check")

    assert refused.exit_code == 1
    assert "LAB_ALERTS_THREADZ: is not a setting; did you mean LAB_ALERTS_THREADS?" in refused.output


def test_an_unknown_rule_set_stops_the_start_with_the_known_ones(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_ALERTS_RULESET", "blood-findings-99")

    refused = run("serve")

    assert refused.exit_code == 1
    assert "there is no rule set 'blood-findings-99'; known: blood-findings-1" in refused.output


def test_quickstart_migrates_and_prints_a_request_with_a_key_that_works(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[bool] = []
    monkeypatch.setattr(cli, "_exec_gunicorn", lambda _more: served.append(True))

    printed = run("serve", "--quickstart").output

    secret = printed.partition("API key")[2].split()[0]
    database = Database.open(address)
    with database.reading() as connection:
        key = keys.find(connection, secret)
    database.close()
    assert served == [True]
    assert key is not None
    assert key.scopes == ("panels:write", "flags:read", "rules:read", "episodes:write", "subscriptions:write")
    assert f"curl -sS http://127.0.0.1:8000/v1/panels \\\n  -H 'Authorization: Bearer {secret}'" in printed


def test_a_second_quickstart_revokes_the_first_key(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_exec_gunicorn", lambda _more: None)
    first = run("serve", "--quickstart").output.partition("API key")[2].split()[0]

    run("serve", "--quickstart")

    database = Database.open(address)
    with database.reading() as connection:
        key = keys.find(connection, first)
    database.close()
    assert key is not None
    assert key.revoked_at is not None


def test_healthcheck_fails_where_nothing_listens(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_ALERTS_BIND", "127.0.0.1:1")

    assert run("healthcheck").exit_code == 1
