"""What runs beside the service is started again when it has died, and ends with whoever started it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service import beside

PATIENCE = 20.0


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)


def program(tmp_path: Path, *, then: str) -> list[str]:
    """A program that notes its process in a file, and then does something."""
    noted = tmp_path / "started"
    source = f"import os, time\nwith open({str(noted)!r}, 'a') as f: f.write(f'{{os.getpid()}}\\n')\n{then}"
    return [sys.executable, "-c", source]


def started(tmp_path: Path) -> list[int]:
    noted = tmp_path / "started"
    return [int(line) for line in noted.read_text().split()] if noted.exists() else []


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Keeps a program in a thread; ends it in the end."""
    monkeypatch.setattr(beside, "_SHORTEST", 0.05)
    ended, threads = threading.Event(), []

    def keep(run: list[str], *, orphaned: Callable[[], bool] = lambda: False) -> threading.Thread:
        thread = threading.Thread(target=beside.keep, args=(run,), kwargs={"ended": ended, "orphaned": orphaned})
        thread.start()
        threads.append(thread)
        return thread

    keep.end = ended.set
    yield keep
    ended.set()
    for thread in threads:
        thread.join(PATIENCE)


def test_what_has_died_is_started_again(tmp_path, kept):
    kept(program(tmp_path, then="time.sleep(600)"))
    until(lambda: len(started(tmp_path)) == 1)

    os.kill(started(tmp_path)[0], signal.SIGKILL)

    until(lambda: len(started(tmp_path)) == 2)
    assert lives(started(tmp_path)[1])


def test_what_cannot_run_is_not_started_in_a_hurry(tmp_path, kept, monkeypatch):
    monkeypatch.setattr(beside, "_SHORTEST", 5.0)
    kept(program(tmp_path, then="raise SystemExit(1)"))

    until(lambda: len(started(tmp_path)) == 1 and not lives(started(tmp_path)[0]))

    assert len(started(tmp_path)) == 1


def test_when_it_is_ended_what_it_keeps_is_ended_first(tmp_path, kept):
    thread = kept(program(tmp_path, then="time.sleep(600)"))
    until(lambda: len(started(tmp_path)) == 1)

    kept.end()
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert not lives(started(tmp_path)[0])


def test_when_its_parent_is_no_more_what_it_keeps_is_ended(tmp_path, kept):
    gone = threading.Event()
    thread = kept(program(tmp_path, then="time.sleep(600)"), orphaned=gone.is_set)
    until(lambda: len(started(tmp_path)) == 1)

    gone.set()
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert not lives(started(tmp_path)[0])


def test_it_ends_when_whoever_started_it_is_killed(tmp_path):
    """The keeper itself, as a process of its own below another one that is killed."""
    keeper = (
        f"import subprocess, sys, time\n"
        f"from service import beside\n"
        f"beside.command = lambda: {program(tmp_path, then='time.sleep(600)')!r}\n"
        f"sys.argv = ['beside', 'json', 'info']\n"
        f"beside.main()"
    )
    parent = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {keeper!r}])\ntime.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", parent]) as process:  # noqa: S603  a fixed command
        until(lambda: len(started(tmp_path)) == 1)

        process.kill()
        process.wait()

    until(lambda: not lives(started(tmp_path)[0]))


@pytest.fixture
def served(address, tmp_path):
    """The service as it is started by default, on a free port; answers its process once its dispatcher runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "LAB_ALERTS_DATABASE_URL": address.replace("postgresql+psycopg://", "postgresql://"),
        "LAB_ALERTS_BIND": f"127.0.0.1:{port}",
        "LAB_ALERTS_WORKERS": "1",
    }
    command = [str(Path(sys.executable).parent / "lab-alerts"), "serve"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603  our own program
    until(lambda: b"the dispatcher is running" in (tmp_path / "log").read_bytes())
    yield process
    left = below(process.pid)
    process.kill()
    process.wait()
    until(lambda: not any(map(lives, left)))


def below(pid: int) -> set[int]:
    """The processes that a process has started, and those that these have."""
    try:
        children = {int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except OSError:
        return set()
    return children | {further for child in children for further in below(child)}


def dispatchers(pid: int) -> set[int]:
    """Of them, the dispatchers."""
    return {one for one in below(pid) if b"--beside" in _words(one)}


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_the_service_has_a_dispatcher_beside_it_and_has_it_again_when_it_is_killed(served, tmp_path):
    (first,) = dispatchers(served.pid)

    os.kill(first, signal.SIGKILL)

    until(lambda: (tmp_path / "log").read_bytes().count(b"the dispatcher is running") == 2)
    assert first not in dispatchers(served.pid)
    assert b'"event":"the dispatcher has died and is started again"' in (tmp_path / "log").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_the_dispatcher_ends_with_the_service(served, number):
    started_by_it = below(served.pid)

    served.send_signal(number)
    served.wait(PATIENCE)

    until(lambda: not any(map(lives, started_by_it)))
