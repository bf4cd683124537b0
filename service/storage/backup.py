"""A copy of an SQLite database as of one moment, made while others read and write it.

Law: whoever finds the file finds all of it, checked, and only its owner may read it. No file is written over.
"""

import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from service.domain.errors import Unavailable
from service.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What is in a copy: its step of the schema, its size in bytes, and how many panels and flags."""

    step: str
    bytes: int
    panels: int
    flags: int


def copy_out(database: Database, target: Path) -> Copy:
    """Copy the database into a new file. Raises ``Unavailable`` and ``OSError``, and leaves no file then."""
    _refuse(target)
    with _part(target) as part:
        with _translated(), closing(database.engine.raw_connection()) as pooled:
            # Nothing is begun on this connection: SQLite copies outside of a transaction only.
            copy = _copied(cast(sqlite3.Connection, pooled.driver_connection), part)
        _settle(part)
        _refuse(target)
        part.rename(target)
        _settle(target.parent)
    return copy


def _refuse(target: Path) -> None:
    if target.exists():
        raise FileExistsError(errno.EEXIST, "is there already; name a new file")


@contextmanager
def _part(target: Path) -> Iterator[Path]:
    """An empty file beside the target, which is gone in the end unless it has become the target."""
    handle, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(f"the copy could not be made ({error.sqlite_errorname})") from None


def _copied(connection: sqlite3.Connection, part: Path) -> Copy:
    connection.execute("VACUUM INTO ?", (str(part),))
    connection.execute("ATTACH ? AS copied", (str(part),))
    try:
        if connection.execute("PRAGMA copied.integrity_check").fetchall() != [("ok",)]:
            raise Unavailable("the copy is not sound, and so the database may be damaged")
        return Copy(
            step=connection.execute("SELECT version_num FROM copied.alembic_version").fetchone()[0],
            bytes=part.stat().st_size,
            panels=connection.execute("SELECT count(*) FROM copied.panels").fetchone()[0],
            flags=connection.execute("SELECT count(*) FROM copied.flags").fetchone()[0],
        )
    finally:
        connection.execute("DETACH copied")


def _settle(path: Path) -> None:
    """What was written to a file, or into a folder, is on the disk when this is done."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
