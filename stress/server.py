"""The service as an operator runs it: ``lab-alerts serve`` with gunicorn and its workers, as processes of their own.

Law: it is known by its port, its processes and its output only. Whatever is started here is ended here.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from stress.common import PATIENCE, ROOT, Place

_ESTABLISHED = "01"
_RUN = "from service.cli import main; main()"


class Service:
    """A service on a database. ``settings`` are those of the README without their prefix."""

    def __init__(self, place: Place, address: str, **settings: Any) -> None:
        self.port, self.address = place.port(), address
        self.output = place.new_folder() / "output.txt"
        # Its children are its workers then; the trial of the dispatcher starts dispatchers itself.
        given = {
            "dispatch": "false",
            "workers": 2,
            "database_url": address,
            "bind": f"127.0.0.1:{self.port}",
            **settings,
        }
        self._environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        self._environment |= {f"LAB_ALERTS_{name.upper()}": str(value) for name, value in given.items()}
        self.key = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _RUN, "serve", "--quickstart"],
                env=self._environment, cwd=ROOT, stdout=output, stderr=output,
            )  # fmt: skip
        self.wait_until_ready()
        self.key = re.findall(r"^API key +(lak_\S+)$", self.printed, re.MULTILINE)[-1]

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ValueError("it was not started")
        return self._process

    @property
    def printed(self) -> str:
        """Everything that it printed."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    @property
    def pid(self) -> int:
        """The process that keeps the workers."""
        return self._running.pid

    def workers(self) -> list[int]:
        """The worker processes."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def serving(self) -> list[int]:
        """The worker processes that hold a connection of a client at this moment."""
        mine = set(_established(self.port))
        return [pid for pid in self.workers() if mine & set(_sockets(pid))]

    def ready(self) -> bool:
        """Does it say that it is ready?"""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health/ready", headers={"Connection": "close"})
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def wait_until_ready(self) -> None:
        """Wait until it says that it is ready; raises ``TimeoutError`` with what it printed."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            if self.ready():
                return
            time.sleep(0.05)
        raise TimeoutError(f"the service is not ready: {self.printed[-2000:]}")

    def ask_to_stop(self) -> None:
        """Ask it to finish what is under way and to end, as ``docker stop`` does."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self) -> int:
        """Wait until it has ended; answers its exit status."""
        return self._running.wait(PATIENCE)

    def stop(self) -> None:
        """End it, by force if it does not go."""
        if self._process is None or self._process.poll() is not None:
            return
        workers = self.workers()
        self.ask_to_stop()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            for pid in workers:
                _kill(pid)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ``lab-alerts`` on the same database."""
        return subprocess.run(
            [sys.executable, "-c", _RUN, *words],
            env=self._environment, cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def beside(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command of ``lab-alerts`` on the same database, as a process of its own."""
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-c", _RUN, *words], env=self._environment, cwd=ROOT, stdout=output, stderr=output
            )

    def memory(self) -> int:
        """Bytes that the workers hold, added up."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.workers())
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(place: Place, address: str, **settings: Any) -> Iterator[Service]:
    """A service that is ready, and gone afterwards."""
    service = Service(place, address, **settings)
    try:
        service.start()
        yield service
    finally:
        service.stop()


def kill(pid: int) -> None:
    """Kill a process as ``kill -9`` does."""
    _kill(pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _established(port: int) -> Iterator[str]:
    """The sockets of the accepted connections to a port, by the names that the kernel gives them."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _ESTABLISHED and int(fields[1].split(":")[1], 16) == port:
            yield f"socket:[{fields[9]}]"


def _sockets(pid: int) -> Iterator[str]:
    folder = Path(f"/proc/{pid}/fd")
    try:
        names = list(folder.iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return
    for name in names:
        try:
            yield str(name.readlink())
        except OSError:  # closed meanwhile
            continue
