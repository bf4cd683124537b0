"""One row of the audit as it stands in the table, whatever somebody has made of it.

    cells, as text ─► read one by one ─► the entry; what of it cannot be read is None, and is named

Law: no row, however odd, keeps another from being read. What is written in another way than we write it cannot be read:
otherwise it could be changed without a trace.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Row, Text, cast, func, literal_column

from service.domain.audit import Data, Entry, Mark, as_data
from service.storage.tables_audit import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An entry as it is kept. ``data``: what was sealed; ``odd``: what of it cannot be read, and is None there."""

    place: int
    at: datetime | None
    data: Data
    hash: str | None
    odd: Sequence[str]

    @property
    def shown(self) -> Data:
        """An entry as it is shown and exported: what was sealed, its hash, and what cannot be read, if anything."""
        return self.data | {"hash": self.hash} | ({"unreadable": list(self.odd)} if self.odd else {})


def cells(dialect: str, *names: str) -> Sequence[ColumnElement[Any]]:
    """The place and some columns, or all, so that the driver turns none of them into anything but text or bytes."""
    wanted = names or tuple(name for name in _READ if name != "place")
    if dialect == "sqlite":
        return [audit.c.place, *map(_as_bytes, wanted)]
    plain: dict[str, ColumnElement[Any]] = {
        "at": func.to_char(func.timezone("UTC", audit.c.at), "YYYY-MM-DD HH24:MI:SS.US"),
        "detail": cast(audit.c.detail, Text),
    }
    return [audit.c.place, *(plain.get(name, audit.c[name]).label(name) for name in wanted)]


def _as_bytes(name: str) -> ColumnElement[Any]:
    """A column of SQLite, in which anything may stand: text as its bytes, none as none, and all else as a number."""
    of = f'audit."{name}"'
    chosen = f"CASE typeof({of}) WHEN 'text' THEN CAST({of} AS BLOB) WHEN 'null' THEN NULL ELSE 0 END"
    return literal_column(chosen).label(name)


def kept(row: Row[Any]) -> Kept:
    """The entry in a row."""
    found = read(row)
    odd = [name for name in _READ if name not in found] if len(found) < len(_READ) else []
    entry = Entry(
        at=found.get("at", _NO_TIME),
        kind=found.get("kind"),
        actor=found.get("actor"),
        action=found.get("action", ""),
        subject=found.get("subject"),
        request_id=found.get("request_id"),
        outcome=found.get("outcome", ""),
        detail=found.get("detail", {}),
    )
    data = as_data(entry, Mark(place=row.place - 1, hash=found.get("before", "")))
    if not odd:
        return Kept(place=row.place, at=entry.at, data=data, hash=found["hash"], odd=odd)
    told = sorted({"actor" if name == "kind" else name for name in odd})
    shown = data | {name: None for name in data if name in told}
    return Kept(place=row.place, at=found.get("at"), data=shown, hash=found.get("hash"), odd=told)


def read(row: Row[Any]) -> dict[str, Any]:
    """The cells of a row by name, without those that cannot be read."""
    try:
        return {name: _READ[name](cell) for name, cell in zip(row._fields, row, strict=True)}
    except _UNREADABLE:
        return dict(_one_by_one(row))


def _one_by_one(row: Row[Any]) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(row._fields, row, strict=True):
        with suppress(*_UNREADABLE):
            yield name, _READ[name](cell)


# Of the wrong kind; or bytes that are no text, and text that is no time or no JSON.
_UNREADABLE = (TypeError, ValueError)
_NO_TIME = datetime(1, 1, 1, tzinfo=UTC)


def _text(cell: bytes | str | None) -> str | None:
    if isinstance(cell, bytes):
        return cell.decode()
    if cell is None or isinstance(cell, str):
        return cell
    raise TypeError("no text")


def _word(cell: bytes | str | None) -> str:
    found = _text(cell)
    if found is None:
        raise TypeError("nothing")
    return found


def _moment(cell: bytes | str | None) -> datetime:
    text = _word(cell)
    found = datetime.fromisoformat(text)
    if found.tzinfo is not None or found.isoformat(sep=" ", timespec="microseconds") != text:
        raise ValueError("a time, but not as it is kept")
    return found.replace(tzinfo=UTC)


def _detail(cell: bytes | str | None) -> Mapping[str, Any]:
    found = orjson.loads(_word(cell))
    if not isinstance(found, dict):
        raise TypeError("no object")
    orjson.dumps(found)  # it is to be shown
    return found


_READ: Mapping[str, Callable[[Any], Any]] = {
    "place": int,
    "at": _moment,
    "kind": _text,
    "actor": _text,
    "action": _word,
    "subject": _text,
    "request_id": _text,
    "outcome": _word,
    "detail": _detail,
    "before": _word,
    "hash": _word,
}
