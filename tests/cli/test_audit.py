"""What an operator is promised of ``lab-alerts audit``, and what each command leaves behind in the audit.

Law: run as an operator runs it, on both databases, and read by its words and its exit status.
"""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import delete, select, update

from service.cli import main
from service.domain.audit import Entry
from service.domain.errors import Unavailable
from service.flows.audit import record
from service.flows.means import Means
from service.storage.database import Database
from service.storage.tables import patients
from service.storage.tables_audit import audit, audit_head
from tests.flows.build import NOW, WOMAN, Data, Sender, calcium, panel


@pytest.fixture(autouse=True)
def here(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", address)


@pytest.fixture
def chain(database: Database) -> None:
    """Five entries, an hour apart."""
    record(
        database, [Entry(at=NOW + timedelta(hours=number), action=f"a{number}", outcome="200") for number in range(5)]
    )


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def head_of(done: Result) -> str:
    """The head that was printed to be written down."""
    return next(line for line in done.stdout.splitlines() if line.startswith("Head: ")).removeprefix("Head: ")


# ------------------------------------------------------------------------------------------------------------- verify
@pytest.mark.usefixtures("chain")
def test_a_good_chain_is_told_with_its_head_and_what_to_do_with_it() -> None:
    done = run("audit", "verify")

    assert done.exit_code == 0
    assert "Good entries: 5, from 2026-11-20T12:00:00Z to 2026-11-20T16:00:00Z." in done.stdout
    assert head_of(done).endswith("@5")
    assert "Write it down elsewhere" in done.stdout


@pytest.mark.usefixtures("chain")
def test_verifying_does_not_move_the_head() -> None:
    assert head_of(run("audit", "verify")) == head_of(run("audit", "verify"))


def test_an_empty_chain_is_good() -> None:
    done = run("audit", "verify")

    assert (done.exit_code, done.stdout) == (0, "Good entries: 0.\n")


@pytest.mark.usefixtures("chain")
def test_a_changed_entry_is_named_and_ends_in_exit_status_1(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(update(audit).where(audit.c.place == 3).values(outcome="404"))

    done = run("audit", "verify")

    assert done.exit_code == 1
    assert "Place 3: the entry was changed." in done.stderr
    assert "Head:" not in done.stdout


@pytest.mark.usefixtures("chain")
def test_a_head_that_was_noted_shows_an_end_that_was_cut_off(database: Database) -> None:
    noted = head_of(run("audit", "verify"))
    with database.transaction() as connection:
        second = connection.execute(select(audit.c.hash).where(audit.c.place == 2)).scalar_one()
        connection.execute(delete(audit).where(audit.c.place > 2))
        connection.execute(update(audit_head).values(place=2, hash=second))

    alone, beside = run("audit", "verify"), run("audit", "verify", "--head", noted)

    assert (alone.exit_code, beside.exit_code) == (0, 1)
    assert "Place 5: the chain ends at place 2: its end was cut off." in beside.stderr


@pytest.mark.usefixtures("chain")
def test_a_head_that_was_noted_earlier_is_found() -> None:
    noted = head_of(run("audit", "verify"))
    run("keys", "add", "one", "--scope", "flags:read")

    assert run("audit", "verify", "--head", noted).exit_code == 0


@pytest.mark.parametrize("odd", ["", "5", "abc@5", f"{'0' * 64}@", f"{'0' * 64}@-1", f"{'G' * 64}@1"])
def test_a_head_is_written_as_it_was_printed(odd: str) -> None:
    done = run("audit", "verify", "--head", odd)

    assert done.exit_code == 2
    assert "HASH@PLACE" in done.stderr


# ------------------------------------------------------------------------------------------------------------- export
@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["a0", "a1", "a2", "a3", "a4"]),
        (["--since", "2026-11-20T14:00:00Z"], ["a2", "a3", "a4"]),
        (["--until", "2026-11-20T15:00:00+01:00"], ["a0", "a1"]),
        (["--since", "2026-11-20", "--until", "2026-11-21"], ["a0", "a1", "a2", "a3", "a4"]),
        (["--since", "2026-11-21"], []),
    ],
)
def test_the_entries_of_a_time_are_printed_line_by_line(options: list[str], expected: list[str]) -> None:
    done = run("audit", "export", *options)

    assert done.exit_code == 0
    assert [json.loads(line)["action"] for line in done.stdout.splitlines()] == expected


@pytest.mark.parametrize("odd", ["yesterday", "2026-11-20T12:00:00", "2026-13-01", ""])
def test_a_time_has_an_offset(odd: str) -> None:
    assert run("audit", "export", "--since", odd).exit_code == 2


# ------------------------------------------------------------------------------------------- what commands leave behind
def entries(database: Database) -> list[tuple[str, str, Data]]:
    with database.reading() as connection:
        rows = connection.execute(select(audit).where(audit.c.actor == "operator").order_by(audit.c.place))
        return [(row.action, row.outcome, row.detail) for row in rows]


def test_each_command_that_touches_what_is_held_leaves_an_entry(
    database: Database, means: Means, tmp_path: Path, kind: str
) -> None:
    flag = Sender(means).send(panel(calcium("11.9"))).flags[0].flag.id
    file = tmp_path / "panels.ndjson"
    file.write_text(json.dumps(panel(calcium("11.9"), patient={**WOMAN, "id": "2"})) + "\nnonsense\n", "utf-8")
    scope = ("--scope", "flags:read")

    for command in (
        ("keys", "add", "one", *scope, "--source", "lab-a"),
        ("keys", "add", "one", *scope),
        ("keys", "revoke", "one"),
        ("import", str(file), "--source", "lab-b"),
        ("export", "flags", "--format", "csv", "--output", str(tmp_path / "flags.csv")),
        ("export", "flags", "--format", "csv", "--patient", WOMAN["id"], "--output", str(tmp_path / "her.csv")),
        ("replay", "--all"),
        ("replay", str(flag)),
        ("purge", "--dry-run"),
        ("purge", "--yes", "--older-than", "1"),
        ("erase", "--patient", "2", "--dry-run"),
        ("audit", "export"),
    ):
        run(*command)

    found = entries(database)
    nothing = {"messages": 0, "answers": 0, "deliveries": 0, "audit": 0}
    gone = found[9][2]["messages"]
    assert found == [
        ("cli:keys add", "done", {"key": "one", "scopes": "flags:read", "source": "lab-a"}),
        ("cli:keys add", "failed", {"key": "one", "scopes": "flags:read", "source": "one"}),
        ("cli:keys revoke", "done", {"key": "one"}),
        ("cli:import", "done", {"source": "lab-b", "dry_run": False, "flagged": 1, "rejected": 1}),
        ("cli:export", "done", {"kind": "flags", "format": "csv"}),
        ("cli:export", "done", {"kind": "flags", "format": "csv"}),
        ("cli:replay", "done", {"flags": 2, "different": 0}),
        ("cli:replay", "done", {"flags": 1, "different": 0}),
        ("cli:purge", "done", {**nothing, "dry_run": True}),
        ("cli:purge", "done", {**nothing, "dry_run": False, "messages": gone}),
        ("cli:erase", "done", {"dry_run": True}),
        ("cli:audit export", "done", {"entries": 11}),
    ]


def test_a_command_about_one_patient_names_the_pseudonym(database: Database, means: Means, tmp_path: Path) -> None:
    flag = Sender(means).send(panel(calcium("11.9"))).flags[0].flag.id

    run("export", "results", "--format", "csv", "--patient", WOMAN["id"], "--output", str(tmp_path / "her.csv"))
    run("replay", str(flag))
    run("erase", "--patient", WOMAN["id"], "--dry-run")

    with database.reading() as connection:
        mine = connection.execute(select(patients.c.id)).scalar_one()
        assert list(connection.execute(select(audit.c.subject)).scalars()) == [mine] * 3


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_backup_is_written_down(database: Database, tmp_path: Path) -> None:
    run("backup", str(tmp_path / "copy.db"))
    run("backup", str(tmp_path / "copy.db"))

    assert entries(database) == [("cli:backup", "done", {}), ("cli:backup", "failed", {})]


def test_what_cannot_be_written_down_is_said_and_done_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Unavailable("the database has no room left")

    monkeypatch.setattr("service.cli_common.record", away)
    done = run("keys", "add", "one", "--scope", "flags:read")

    assert (done.exit_code, done.stdout[:4]) == (0, "lak_")
    assert "Not written to the audit: the database has no room left." in done.stderr
