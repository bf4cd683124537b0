"""What keeps a dispatcher running beside the service: ``python -m service.beside``, started by gunicorn.

    gunicorn ─► this ─► lab-alerts dispatch; once more when it has died, and ended when gunicorn ends

Law: it ends with the process that started it, however that one ends.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event

import structlog

from service import logs
from service.config import Settings

_LOOK = 0.5  # seconds between two looks at who is still there
_SHORTEST, _LONGEST = 1.0, 60.0  # seconds before a dispatcher that has died is started again
_PATIENCE = 40.0  # seconds that a dispatcher has to finish what it sends


def command() -> list[str]:
    """The command that runs a dispatcher which ends with its parent."""
    return [sys.executable, "-c", "from service.cli import main; main()", "dispatch", "--beside"]


def start(settings: Settings) -> subprocess.Popen[bytes]:
    """Start keeping a dispatcher, beside this process."""
    logged = (settings.log_format, settings.log_level)
    return subprocess.Popen([sys.executable, "-m", __name__, *logged])  # noqa: S603  a fixed command


def end(process: subprocess.Popen[bytes], patience: float) -> None:
    """Ask a process to end, and wait for it no longer than so many seconds."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)


def keep(run: Sequence[str], *, ended: Event, orphaned: Callable[[], bool]) -> None:
    """Keep a command running until ``ended`` is set or this process is ``orphaned``."""
    wait = _SHORTEST
    while not (ended.is_set() or orphaned()):
        # The command is our own, with nothing in it from outside.
        child = subprocess.Popen(run)  # noqa: S603  a fixed command
        while child.poll() is None and not (ended.is_set() or orphaned()):
            ended.wait(_LOOK)
        if child.poll() is None:
            end(child, _PATIENCE)
            child.kill()
        else:
            structlog.get_logger().error("the dispatcher has died and is started again", status=child.returncode)
            ended.wait(wait)
            wait = min(2 * wait, _LONGEST)


def main() -> None:
    """Keep a dispatcher running until told to stop, or until the process that started this one is no more."""
    logs.configure(Settings(log_format=sys.argv[1], log_level=sys.argv[2]))
    ended, parent = Event(), os.getppid()
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(name, lambda *_: ended.set())
    keep(command(), ended=ended, orphaned=lambda: os.getppid() != parent)


if __name__ == "__main__":
    main()
