"""A page of the flag history deep down against the first one (goal 7), on both databases.

Law: the deep pages are read as a reader reads them, by the link to the next one; only the first link is made, from a
real one and the place of a flag.
"""

import base64
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson

from bench import clones
from bench.client import ask, connected, posts, request
from bench.common import Better, Goal, Row, Size, compared, row_of
from bench.databases import NAMES, connect, kind_of
from bench.machine import WORKERS, Ground, cpu, ground
from bench.measured import asked
from bench.synthetic import bodies

DEPTH = 0.99
PAGE = 100
ROUNDS = 5
FEW = 100  # panels of which the flags are cloned
PAGES = Goal(number="7", goal=1.2, floor=2.0, better=Better.LESS)
_EARLIER = {
    "postgresql": "t.collected_at - n * interval '1 minute'",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', t.collected_at, printf('-%d minutes', n))",
}


def measure(size: Size) -> list[Row]:
    """The history of everybody and that of one patient, on both databases."""
    with ground() as place:
        return [row for kind in NAMES for row in _on(place, kind, size)]


def _on(place: Ground, kind: str, size: Size) -> Iterator[Row]:
    address = place.database(kind)
    served, postmaster = place.service(address), place.postmaster if kind == "postgresql" else 0
    place.wait()
    asked(served, posts(bodies(FEW), key=served.key), clients=WORKERS)
    patient, identifier = _fill(address, size.of(2_000, 100_000, 2_000_000))
    for name, path, where in (
        ("everybody", f"/v1/flags?limit={PAGE}", ""),
        ("one patient", f"/v1/patients/{identifier}/flags?limit={PAGE}", f"WHERE patient_id = '{patient}'"),
    ):
        deep = _deep(address, where)
        before = cpu(served.process.pid), cpu(postmaster)
        with closing(connected(served.port)) as opened:
            turns = Reader(opened, served.key).turns(path, deep, rounds=size.of(5, 40, 200))
        taken = cpu(served.process.pid) - before[0], cpu(postmaster) - before[1]
        yield _row(f"history of {name}, {NAMES[kind]}: page at flag {deep.above:,} / first page", turns, taken)


def _fill(address: str, flags: int) -> tuple[str, str]:
    """So many flags, half of them of one patient; answers that patient's name of ours and identifier."""
    names = {name: clones.renamed(kind_of(address), name) for name in ("id", "subject")}
    changed = {**names, "collected_at": _EARLIER[kind_of(address)]}
    with closing(connect(address)) as connection:
        clones.unchecked(connection)
        ((count,),) = connection.execute("SELECT count(*) FROM flags").fetchall()
        own = "(SELECT min(patient_id) FROM flags)"
        ((few, patient),) = connection.execute(f"SELECT count(*), min(patient_id) FROM flags WHERE patient_id = {own}")
        clones.clone(connection, "flags", flags // 2 // few, changed=changed, where=f"t.patient_id = '{patient}'")
        others = count - few
        clones.clone(connection, "flags", flags // 2 // others, changed=changed, where=f"t.patient_id <> '{patient}'")
        clones.settle(connection)
        ((identifier,),) = connection.execute(f"SELECT identifier FROM patients WHERE id = '{patient}'").fetchall()
    return patient, identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Deep:
    """A place deep down: how many flags are above it, how many whole pages below, and the last flag above it."""

    above: int
    pages: int
    at: str
    name: str


def _deep(address: str, where: str) -> Deep:
    with closing(connect(address)) as connection:
        ((count,),) = connection.execute(f"SELECT count(*) FROM flags {where}").fetchall()
        above = min(int(count * DEPTH), count - PAGE)
        ordered = f"SELECT collected_at, id FROM flags {where} ORDER BY collected_at DESC, id DESC"
        ((at, name),) = connection.execute(f"{ordered} LIMIT 1 OFFSET {above - 1}").fetchall()
    moment = at if isinstance(at, datetime) else datetime.fromisoformat(at).replace(tzinfo=UTC)
    return Deep(above=above, pages=(count - above) // PAGE, at=moment.astimezone(UTC).isoformat(), name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Milliseconds for a deep page and for the first one, and how many flags each had."""

    deep: float
    first: float
    shown: tuple[int, int]


class Reader:
    """Reads pages one after the other, as somebody who follows the link to the next one."""

    def __init__(self, opened: socket.socket, key: str) -> None:
        self._opened, self._key = opened, key

    def turns(self, path: str, place: Deep, *, rounds: int) -> list[Turn]:
        """The first page and a deep one in turn; the deep one is another one each time, until there are no more."""
        _, page = self._read(path)
        begin, found = _moved(page["next"], place), []
        for number in range(rounds):
            first, top = self._read(path)
            deep, page = self._read(page["next"] if number % place.pages else begin)
            found.append(Turn(deep=deep, first=first, shown=(len(page["items"]), len(top["items"]))))
        return found

    def _read(self, path: str) -> tuple[float, dict[str, Any]]:
        sent = request("GET", path, key=self._key)
        started = time.perf_counter()
        body = ask(self._opened, sent)
        return 1000 * (time.perf_counter() - started), orjson.loads(body)


def _moved(link: str, place: Deep) -> str:
    """The address of the next page, moved to another place of the same list."""
    parts = urlsplit(link)
    query = parse_qs(parts.query)
    (cursor,) = query["cursor"]
    _, _, bound = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    query["cursor"] = [base64.urlsafe_b64encode(orjson.dumps([place.at, place.name, bound])).decode().rstrip("=")]
    return f"{parts.path}?{urlencode(query, doseq=True)}"


def _row(what: str, turns: Sequence[Turn], taken: tuple[float, float]) -> Row:
    size = max(1, len(turns) // ROUNDS)
    rounds = [turns[place : place + size] for place in range(0, len(turns), size)]
    deep = [statistics.median(turn.deep for turn in each) for each in rounds]
    first = [statistics.median(turn.first for turn in each) for each in rounds]
    work = sum(turn.shown[0] for turn in turns), sum(turn.shown[1] for turn in turns)
    server, database = (1000 * seconds / len(turns) / 2 for seconds in taken)
    limit = f"ms of processor for a page: server {server:.2f}, database {database:.2f}"
    return row_of(what, compared(deep, first), PAGES, unit="ms", limit=limit, work=work)
