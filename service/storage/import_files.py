"""Files beside a file that is imported: the note of how far it came, and what was refused.

Law: a note is replaced as a whole or not at all, and it never says more than what is on the disk already.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson


def read_note(path: Path) -> Mapping[str, Any] | None:
    """The note, or None where there is none that can be read."""
    try:
        found = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    return found if isinstance(found, dict) else None


def write_note(path: Path, note: Mapping[str, Any]) -> None:
    """Put a note in the place of the one before."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(orjson.dumps(note))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


class Aside:
    """What was refused, in a file that is made with the first of it.

    ``keep`` bytes of an earlier run stay; a file from before is kept as ``….bak`` when nothing of it stays.
    """

    def __init__(self, path: Path | None, *, keep: int = 0) -> None:
        self._path, self._file = path, None if path is None or not keep else _cut(path, keep)
        self.size = keep
        if path is not None and not keep and path.exists():
            path.replace(path.with_name(f"{path.name}.bak"))

    def add(self, *, head: bytes, lines: bytes) -> None:
        """Put lines aside, below the head that the file begins with."""
        if self._path is None:
            return
        file = self._file = self._file or self._path.open("wb")
        self.size += file.write(lines if self.size else head + lines)

    def settle(self) -> None:
        """Everything so far is on the disk when this is done."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _cut(path: Path, size: int) -> BinaryIO:
    file = path.open("r+b")
    file.truncate(size)
    file.seek(size)
    return file
