"""What every trial is made of: how much is done, a place for its files and databases, and what came of it.

Law: a trial answers with every fault that it found, in words that name no patient and no value. It leaves nothing
behind: no process, no file, no mount.

A trial is a function ``(Place, Size) -> Found``, named in ``stress.trials.TRIALS``.
"""

import enum
import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeVar

from stress.postgres import Postgres

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60.0  # seconds that a trial waits for anything before it says that it does not come
_SHOWN = 8


class Size(enum.StrEnum):
    """How much is done: ``SHORT`` in seconds, as a test; ``FULL`` in minutes."""

    SHORT = "short"
    FULL = "full"

    def of(self, short: T, full: T) -> T:
        """The one of two that belongs to this size."""
        return short if self is Size.SHORT else full


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of a trial: what was done, with its numbers, and every fault; or why it could not be done here."""

    did: str = ""
    faults: tuple[str, ...] = ()
    counts: Counter[str] = field(default_factory=Counter)
    skipped: str = ""


def few(what: str, found: Iterable[object]) -> Iterator[str]:
    """One fault for all of a kind: how many, and the first of them."""
    listed = sorted({str(one) for one in found})
    if listed:
        more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
        yield f"{what}: {', '.join(listed[:_SHOWN])}{more}"


class Place:
    """Where a trial runs: a folder of its own, ports, and databases of both kinds."""

    def __init__(self, folder: Path, stack: ExitStack, *, first_port: int | None = None) -> None:
        self.folder, self._stack = folder, stack
        self._numbers = count(1)
        self._ports = count(first_port) if first_port else None
        self._postgres: Postgres | None = None

    def port(self) -> int:
        """A port on which nothing listens."""
        while True:
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", next(self._ports) if self._ports else 0))
                except OSError:
                    continue
                return int(probe.getsockname()[1])

    @property
    def postgres(self) -> Postgres:
        """A PostgreSQL server of its own, as durable as it comes."""
        if self._postgres is None:
            self._postgres = Postgres(self.new_folder() / "server")
            self._stack.callback(self._postgres.stop)
        return self._postgres

    def address(self, kind: str) -> str:
        """A new, empty database of a kind (``sqlite`` or ``postgresql``)."""
        return self.postgres.create() if kind == "postgresql" else f"sqlite:///{self.new_folder() / 'lab-alerts.db'}"

    def new_folder(self) -> Path:
        """A new folder in this place."""
        made = self.folder / str(next(self._numbers))
        made.mkdir()
        return made


@contextmanager
def place(first_port: int | None = None) -> Iterator[Place]:
    """A place that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="lab-alerts-stress-"))
    try:
        # PostgreSQL refuses to run as root; the user in whose name it runs must come through to its files.
        folder.chmod(0o755)
        with ExitStack() as stack:
            yield Place(folder, stack, first_port=first_port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
