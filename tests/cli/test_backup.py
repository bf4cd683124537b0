"""A backup is made while the service runs and is written to, and a service that starts on it has everything.

Law: made and put back as the README says, with a real service, on both databases.
"""

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.flows import keys as key_flow
from service.flows.means import Means
from service.storage import backup as backups
from service.storage import schema
from service.storage.database import Database
from tests.flows.build import NOW, WOMAN, Sender, calcium, hemoglobin, kept, panel

_PATIENCE = 60  # seconds
_PROGRAM = str(Path(sys.executable).parent / "lab-alerts")


def run(address: str, *arguments: Any) -> Result:
    settings = {"LAB_ALERTS_DATABASE_URL": address}
    return CliRunner(env=settings).invoke(main, ["backup", *map(str, arguments)])


@pytest.fixture
def held(means: Means) -> None:
    """Twenty patients with two findings and the pattern each."""
    for number in range(20):
        sent = panel(calcium("11.9"), hemoglobin("9.1"), patient={**WOMAN, "id": str(number)})
        Sender(means).send(sent)


@pytest.mark.parametrize("kind", ["sqlite"])
@pytest.mark.usefixtures("held")
class TestTheCopyOfAFile:
    """``lab-alerts backup`` of an SQLite file."""

    def test_it_holds_every_row(self, address: str, database: Database, tmp_path: Path) -> None:
        before = kept(database)

        done = run(address, tmp_path / "copy.db", "--json")

        copied = Database.open(f"sqlite:///{tmp_path / 'copy.db'}")
        size = (tmp_path / "copy.db").stat().st_size
        told = {"file": str(tmp_path / "copy.db"), "step": schema.newest(), "bytes": size, "panels": 20, "flags": 60}
        assert (done.exit_code, json.loads(done.stdout)) == (0, told)
        assert kept(copied) == before
        copied.close()

    def test_it_says_what_is_in_it(self, address: str, tmp_path: Path) -> None:
        done = run(address, tmp_path / "copy.db")

        assert done.exit_code == 0
        assert f"{tmp_path / 'copy.db'}: " in done.stdout
        assert f" bytes, 20 panels, 60 flags, step {schema.newest()}. Checked." in done.stdout

    def test_only_its_owner_may_read_it_and_nothing_lies_beside_it(self, address: str, tmp_path: Path) -> None:
        folder = tmp_path / "backups"
        folder.mkdir()

        run(address, folder / "copy.db")

        assert [file.name for file in folder.iterdir()] == ["copy.db"]
        assert stat.S_IMODE((folder / "copy.db").stat().st_mode) == 0o600

    def test_a_file_that_is_there_is_not_written_over(self, address: str, tmp_path: Path) -> None:
        (tmp_path / "copy.db").write_text("the only one", encoding="utf-8")

        done = run(address, tmp_path / "copy.db")

        assert done.exit_code == 1
        assert "copy.db: is there already; name a new file" in done.stderr
        assert (tmp_path / "copy.db").read_text(encoding="utf-8") == "the only one"

    def test_a_folder_that_is_not_there_is_said(self, address: str, tmp_path: Path) -> None:
        done = run(address, tmp_path / "nowhere" / "copy.db")

        assert done.exit_code == 1
        assert "copy.db: No such file or directory" in done.stderr

    def test_a_copy_that_is_not_sound_is_not_left_behind(
        self, address: str, database: Database, tmp_path: Path
    ) -> None:
        folder = tmp_path / "backups"
        folder.mkdir()
        with database.transaction() as connection:
            # As a damaged file would have it: a value that the table does not allow.
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
            connection.exec_driver_sql("UPDATE patients SET sex = 'damaged'")

        done = run(address, folder / "copy.db")

        assert (done.exit_code, done.stderr) == (
            1,
            "Error: the copy is not sound, and so the database may be damaged\n",
        )
        assert list(folder.iterdir()) == []

    def test_a_disk_without_room_leaves_no_file(
        self, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorname = "SQLITE_FULL"
            raise error

        monkeypatch.setattr(backups, "_copied", full)
        folder = tmp_path / "backups"
        folder.mkdir()

        done = run(address, folder / "copy.db")

        assert (done.exit_code, done.stderr) == (1, "Error: the copy could not be made (SQLITE_FULL)\n")
        assert list(folder.iterdir()) == []

    def test_it_is_without_the_room_of_what_was_purged(self, address: str, means: Means, tmp_path: Path) -> None:
        big = panel(*(calcium("11.9", id=str(number), note="x" * 900) for number in range(150)), on=1)
        Sender(means).send(big)
        run(address, tmp_path / "before.db")

        CliRunner(env={"LAB_ALERTS_DATABASE_URL": address}).invoke(main, ["purge", "--yes", "--older-than", "1"])
        run(address, tmp_path / "after.db")

        assert (tmp_path / "after.db").stat().st_size < (tmp_path / "before.db").stat().st_size - 100_000


@pytest.mark.parametrize("kind", ["postgresql"])
def test_for_postgresql_it_names_the_program_that_does_it(address: str, tmp_path: Path) -> None:
    done = run(address, tmp_path / "copy.db")

    assert done.exit_code == 2
    assert "pg_dump --format=custom --file=FILE" in done.stderr
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Service:
    """A service of its own process, and somebody with a key who asks it."""

    port: int
    key: str

    def ask(self, method: str, path: str, sent: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)) as connection:
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            connection.request(method, path, None if sent is None else json.dumps(sent), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def flags(self) -> dict[str, Any]:
        """Every flag by its id, as the list of all patients shows it."""
        found, place = {}, "/v1/flags?limit=200"
        while place:
            _, page = self.ask("GET", place)
            found |= {flag["id"]: flag for flag in page["items"]}
            place = page["next"] or ""
        return found


@contextmanager
def serving(address: str, key: str) -> Iterator[Service]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = {"DATABASE_URL": address, "BIND": f"127.0.0.1:{port}", "WORKERS": "1"}
    environment = {"PATH": os.environ["PATH"]} | {f"LAB_ALERTS_{name}": value for name, value in settings.items()}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([_PROGRAM, "serve"], env=environment, **quiet) as process:  # noqa: S603  our own program
        try:
            _wait_until_ready(port, process)
            yield Service(port=port, key=key)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=_PATIENCE)


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if Service(port=port, key="").ask("GET", "/health/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    pytest.fail("the service did not start")


class Writer(threading.Thread):
    """Sends one panel after the other, each of another patient, and remembers the flags that were answered."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self.service, self.answered, self.over = service, list[str](), threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            patient = {**WOMAN, "id": f"{self.name}-{len(self.answered)}"}
            _, receipt = self.service.ask("POST", "/v1/panels", panel(calcium("11.9"), patient=patient))
            self.answered.append(receipt["flags"][0]["id"])

    def wait_for(self, number: int) -> list[str]:
        """The flags answered by now, once there are so many."""
        deadline = time.monotonic() + _PATIENCE
        while len(self.answered) < number and self.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.answered) >= number, "the service does not answer with flags"
        return self.answered[:]


@contextmanager
def writing(service: Service) -> Iterator[Writer]:
    writer = Writer(service)
    writer.start()
    try:
        yield writer
    finally:
        writer.over.set()
        writer.join()


Restore = Callable[[], str]


@pytest.fixture
def back_up(kind: str, address: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], Restore]:
    """Make a backup in the way of the README; answers how to put it back, which answers the new address."""
    if kind == "sqlite":
        return lambda: _copy(address, tmp_path)
    return lambda: _dump(address, tmp_path / "lab-alerts.dump", request.getfixturevalue("postgres"))


def _copy(address: str, folder: Path) -> Restore:
    _done([_PROGRAM, "backup", str(folder / "backup.db")], LAB_ALERTS_DATABASE_URL=address)
    return lambda: f"sqlite:///{folder / 'backup.db'}"


def _dump(address: str, file: Path, postgres: Any) -> Restore:
    programs = postgres.server.bin_path
    if not (programs / "pg_dump").exists():
        pytest.skip("pg_dump is not installed beside this PostgreSQL")
    _done([str(programs / "pg_dump"), "--format=custom", f"--file={file}", _plain(address)])

    def restore() -> str:
        new: str = postgres.create()
        program = [str(programs / "pg_restore"), "--no-owner", "--exit-on-error", "--single-transaction"]
        _done([*program, f"--dbname={_plain(new)}", str(file)])
        return new

    return restore


def _plain(address: str) -> str:
    return address.replace("postgresql+psycopg://", "postgresql://", 1)


def _done(command: list[str], **environment: str) -> str:
    told = {"env": {"PATH": os.environ["PATH"], **environment}, "capture_output": True, "text": True}
    done = subprocess.run(command, check=False, timeout=_PATIENCE, **told)  # noqa: S603  programs of ours and PostgreSQL's
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def test_a_backup_of_a_running_service_under_writes_has_the_same_flags_where_it_is_put_back(
    address: str, database: Database, back_up: Callable[[], Restore]
) -> None:
    key = key_flow.add(database, name="ward", scopes=("panels:write", "flags:read"), now=NOW)
    with serving(address, key) as service:
        with writing(service) as writer:
            before = writer.wait_for(10)
            restore = back_up()
            writer.wait_for(len(writer.answered) + 5)
        flags = service.flags()

    new = restore()

    with serving(new, key) as again:
        restored = again.flags()
        status, _ = again.ask("POST", "/v1/panels", panel(hemoglobin("9.1")))
    assert set(before) <= restored.keys() < flags.keys()
    assert restored == {name: flags[name] for name in restored}
    assert status == 201
    replayed = _done([_PROGRAM, "replay", "--all"], LAB_ALERTS_DATABASE_URL=new)
    assert f"Flags: {len(restored) + 1}. Equal: {len(restored) + 1}. Different: 0.\n" == replayed
