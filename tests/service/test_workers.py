"""A real service of three workers tells Prometheus the numbers of all, whichever answers and whatever befalls one.

Which worker answers is decided by stopping the others meanwhile: at a moment at which none of them holds the database.
"""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import pytest

from service.flows import keys as key_flow
from service.storage.database import Database
from tests.api.exposed import Samples, labels, read
from tests.flows.build import NOW, WOMAN, calcium, panel

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "lab-alerts"
WORKERS = 3
PATIENCE = 30  # seconds

RESULTS = ("lab_alerts_results_total", labels(source="lab-1", analyte="calcium", outcome="flagged", reason=""))


@dataclass
class Service:
    port: int
    process: subprocess.Popen[bytes]
    key: str = field(repr=False)
    address: str
    sent: int = 0

    def workers(self) -> set[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        return {int(one) for one in listed.split()}

    @contextmanager
    def only(self, worker: int) -> Iterator[None]:
        """Let this worker answer, and no other."""
        others = self.workers() - {worker}
        tell(others, signal.SIGSTOP)
        try:
            deadline = time.monotonic() + PATIENCE
            while self.locked():  # one of them was writing down what was asked of it before
                assert time.monotonic() < deadline, "a worker does not let go of the database"
                tell(others, signal.SIGCONT)
                time.sleep(0.05)
                tell(others, signal.SIGSTOP)
            yield
        finally:
            tell(others, signal.SIGCONT)

    def locked(self) -> bool:
        """Is somebody in the middle of a write?"""
        with closing(sqlite3.connect(self.address.removeprefix("sqlite:///"), timeout=0.1)) as probe:
            try:
                probe.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
        return False

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", "Connection": "close"}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def send(self) -> None:
        """Send the panel of somebody new."""
        self.sent += 1
        told, _ = self.ask(
            "POST", "/v1/panels", json.dumps(panel(calcium("11.9"), patient={**WOMAN, "id": str(self.sent)}))
        )
        assert told == 201

    def scrape(self) -> Samples:
        status, text = self.ask("GET", "/metrics")
        assert status == 200
        return read(text)

    def ready(self) -> bool:
        try:
            loaded = len(self.workers()) == WORKERS and all(folder_of(worker) for worker in self.workers())
            return loaded and self.ask("GET", "/health/ready")[0] == 200
        except OSError:
            return False

    def wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.ready():
            assert time.monotonic() < deadline, "the service did not come up"
            assert self.process.poll() is None, "the service ended"
            time.sleep(0.1)

    def replace_one(self) -> int:
        """Kill a worker without a warning, and answer the one that takes its place."""
        before = self.workers()
        os.kill(next(iter(before)), signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while not (self.workers() - before and self.ready()):
            assert time.monotonic() < deadline, "no worker took the place of the one that was killed"
            time.sleep(0.1)
        (new,) = self.workers() - before
        return new

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=PATIENCE)


def tell(processes: set[int], what: signal.Signals) -> None:
    for process in processes:
        os.kill(process, what)


def folder_of(worker: int) -> Path | None:
    """The folder into which a worker counts, once it does."""
    mapped = Path(f"/proc/{worker}/maps").read_text(encoding="utf-8").splitlines()
    return next((Path(line.split()[-1]).parent for line in mapped if "/counter_" in line), None)


def folders(service: Service) -> set[Path | None]:
    return {folder_of(worker) for worker in service.workers()}


@contextmanager
def running(address: str, log: Path, **environment: str) -> Iterator[Service]:
    database = Database.open(address)
    key = key_flow.add(database, name="lab", source="lab-1", scopes=("panels:write", "metrics:read"), now=NOW)
    database.close()
    port = free_port()
    environment |= {
        "PATH": os.environ["PATH"],
        "LAB_ALERTS_DATABASE_URL": address.replace("postgresql+psycopg://", "postgresql://"),
        "LAB_ALERTS_BIND": f"127.0.0.1:{port}",
        "LAB_ALERTS_WORKERS": str(WORKERS),
        "LAB_ALERTS_THREADS": "2",
        "LAB_ALERTS_DISPATCH": "false",  # its children are its workers then
    }
    with log.open("wb") as output:
        process = subprocess.Popen([str(PROGRAM), "serve"], env=environment, cwd=ROOT, stdout=output, stderr=output)  # noqa: S603  our own program
    service = Service(port=port, process=process, key=key, address=address)
    try:
        service.wait()
        yield service
    finally:
        service.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def service(address: str, tmp_path: Path) -> Iterator[Service]:
    with running(address, tmp_path / "output.txt") as started:
        yield started


def told_by_each(service: Service) -> list[float]:
    """What each worker says of the results counted."""
    found = []
    for worker in service.workers():
        with service.only(worker):
            found.append(service.scrape()[RESULTS])
    return found


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_the_counters_of_all_workers_add_up_also_after_one_was_killed(service: Service) -> None:
    for worker in service.workers():
        with service.only(worker):
            service.send()
    before = told_by_each(service)

    with service.only(service.replace_one()):
        service.send()

    assert before == [3, 3, 3]
    assert told_by_each(service) == [4, 4, 4]


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_the_files_do_not_grow_in_number_with_workers_that_die_and_go_with_the_service(service: Service) -> None:
    (folder,) = folders(service)
    service.replace_one()
    service.replace_one()

    left = {path.name for path in folder.glob("counter_*")}
    service.stop()

    assert left == {f"counter_{number}.db" for number in range(WORKERS)}
    assert not folder.exists()


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_folder_that_the_operator_names_is_used_and_only_old_counts_are_taken_out_of_it(
    address: str, tmp_path: Path
) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "counter_99.db").write_bytes(b"from an earlier run")
    (folder / "remarks.txt").write_text("not ours", encoding="utf-8")

    with running(address, tmp_path / "output.txt", PROMETHEUS_MULTIPROC_DIR=str(folder)) as service:
        service.send()
        told = service.scrape()[RESULTS]
        used = folders(service)

    assert (told, used) == (1, {folder})
    assert (folder / "remarks.txt").exists()
    assert not (folder / "counter_99.db").exists()


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_folder_that_cannot_be_used_stops_the_start_and_is_said(address: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = {
        "PATH": os.environ["PATH"],
        "LAB_ALERTS_DATABASE_URL": address,
        "LAB_ALERTS_BIND": f"127.0.0.1:{free_port()}",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "file" / "metrics"),
    }

    told = {"env": environment, "cwd": ROOT, "capture_output": True, "text": True, "timeout": PATIENCE}
    done = subprocess.run([str(PROGRAM), "serve"], check=False, **told)  # noqa: S603  our own program

    assert done.returncode != 0
    assert "PROMETHEUS_MULTIPROC_DIR: names a folder that cannot be used" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
