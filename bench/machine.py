"""What runs during a bench: the service under gunicorn, and baselines beside it; and what processes cost.

Law: whatever a bench starts ends with it, and its files are gone afterwards.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from bench.common import PATIENCE, PYTHON, ROOT
from bench.databases import Databases, databases, environment, kind_of

PORTS = range(18100, 18200)
WORKERS = 2
_TICKS = os.sysconf("SC_CLK_TCK")


class Ground:
    """A temporary folder, databases, and everything that runs on them."""

    def __init__(self, stack: ExitStack, folder: Path, made: Databases) -> None:
        self._stack, self.folder, self._databases = stack, folder, made
        self._started: list[Served] = []

    @property
    def postmaster(self) -> int:
        """The process of the PostgreSQL server."""
        return self._databases.postmaster

    def database(self, kind: str) -> str:
        """The address of a new database that is up to date and holds nothing but a key."""
        return self._until_the_end(self._databases.migrated(kind))

    def empty_database(self) -> str:
        """The address of a new PostgreSQL database without tables."""
        return self._until_the_end(self._databases.empty())

    def _until_the_end(self, address: str) -> str:
        self._stack.callback(self._databases.remove, address)
        return address

    def service(self, address: str, *, workers: int = WORKERS) -> "Served":
        """The service itself, on a database that is up to date. It is there after ``wait()``."""
        lab_alerts = [str(PYTHON.parent / "lab-alerts"), "serve"]
        key = self._databases.key(kind_of(address))
        return self._serve(lab_alerts, address, workers=workers, key=key, ready="/health/ready")

    def baseline(self, app: str, address: str) -> "Served":
        """Another application under the same gunicorn with the same settings."""
        gunicorn = [str(PYTHON), "-m", "gunicorn", "--config", "python:service.gunicorn_conf", app]
        return self._serve(gunicorn, address, workers=WORKERS, key="", ready="/")

    def _serve(self, arguments: list[str], address: str, *, workers: int, key: str, ready: str) -> "Served":
        port = next(number for number in PORTS if self._reserved(number))
        log = self.folder / f"log-{port}.txt"
        own = {
            "LAB_ALERTS_DISPATCH": "false",
            "LAB_ALERTS_BIND": f"127.0.0.1:{port}",
            "LAB_ALERTS_WORKERS": str(workers),
        }
        around = environment(address) | own
        with log.open("w") as output:
            process = subprocess.Popen(arguments, env=around, cwd=ROOT, stdout=output, stderr=output)
        served = Served(process=process, port=port, key=key, log=log, ready=ready)
        self._stack.callback(served.stop)
        self._started.append(served)
        return served

    def _reserved(self, port: int) -> bool:
        """Take a port if nobody has it, and keep other benches that run now from taking it, too."""
        sign = socket.socket(socket.AF_UNIX)
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sign.bind(f"\0bench-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError:
                sign.close()
                return False
        self._stack.callback(sign.close)
        return True

    def wait(self) -> None:
        """Wait until everything that was started answers."""
        for served in self._started:
            served.wait()


@contextmanager
def ground() -> Iterator[Ground]:
    """Somewhere to run a bench; everything is gone after the block."""
    with databases() as made, ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield Ground(stack, folder, made)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A gunicorn that answers on a port of this machine."""

    process: subprocess.Popen[bytes]
    port: int
    key: str = field(repr=False)
    log: Path
    ready: str

    def wait(self) -> None:
        """Wait until it answers 200. Raises ``RuntimeError`` with its log when it does not."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._answers():
                return
            time.sleep(0.05)
        raise RuntimeError(f"it did not start:\n{self.log.read_text(encoding='utf-8')[-4000:]}")

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", self.ready)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """End it, gently first."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        return [pid for pid in _tree(self.process.pid) if pid != self.process.pid]


def cpu(pid: int) -> float:
    """Seconds of processor that a process, its children and their children have taken so far; 0 without one."""
    return pid and sum(sum(map(int, _stat(one)[11:15])) for one in _tree(pid)) / _TICKS


def resident(pid: int) -> int:
    """Bytes of memory that a process holds now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak(pid: int) -> int:
    """The most bytes of memory that a process has held so far; 0 when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    highest = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return 1024 * int(highest[1]) if highest else 0


def _stat(pid: int) -> list[str]:
    # What follows the name, which may hold blanks: state, parent, ..., and processor times as the 12th to 15th.
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:  # it has ended meanwhile
        return ["", "0", *["0"] * 20]


def _tree(pid: int) -> list[int]:
    running = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    parents = {one: int(_stat(one)[1]) for one in running}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found
