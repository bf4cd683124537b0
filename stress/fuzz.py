"""Whatever is sent to the one door that takes something in, over connections that are kept alive.

Promise: every request is answered, none with a failure of ours, and the service does not grow by it.
"""

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

from stress.audit import failed
from stress.client import CSV, JSON, NDJSON, Broken, Client
from stress.common import Found, Place, Size
from stress.ledger import Ledger
from stress.load import running, until
from stress.server import Service, serving
from stress.story import Story

_CLIENTS = 4
_LARGEST = 16_384  # bytes; the limit of the service, here
_ALLOWED = frozenset({200, 201, 400, 413, 415, 422})
_HEADER = "patient_id,authority,sex,birth_date,accession,collected_at,analyte,value,unit,status,comparator,low,high"

# What a sender may put where something else belongs; each of these has broken some service.
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**40, -(10**40), float("nan"), float("inf"), "", " ", "\x00", "\ud800", "NaN",
    "1e400", "-0", "٣", "<5", "9" * 500, "0.1", "1,5", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "2026-02-30", "female", "corrected", "_schema", [], [None], {}, {"": None}, {"system": "x"}, "x" * 300, "😀",
    "\r\n",
)  # fmt: skip
_NAMES = ("_schema", "valeu", "", "a/b~c", "\x00", "0", "x" * 300, "id", "results", "patient")
_TYPES = (JSON, NDJSON, CSV)
_STRANGE_TYPES = (
    "", "text/plain", "application/json; charset=utf-16", "application/JSON;x=y", "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded", "application/fhir+json", "é", "text/csv; header=absent", "*/*", "/",
)  # fmt: skip
_STRANGE_HEADERS = (
    {"Content-Encoding": "gzip"}, {"Prefer": "handling=strict"}, {"Prefer": "handling=strict, ,;=,"},
    {"Accept": "application/xml"}, {"Request-Id": "\x7f" * 10}, {"If-None-Match": "*"}, {"Expect": "100-continue"},
)  # fmt: skip
_QUERIES = ("", "?dry_run=true", "?dry_run=maybe", "?x=1", "?dry_run=true&dry_run=true", "?%00", "?dry_run=%ff")


class Mutant:
    """One sender of odd things; the same number sends the same things."""

    def __init__(self, number: int) -> None:
        self._chance = random.Random(number)
        # A patient for a few panels: what is valid by chance meets what came before it, and no history is endless.
        self._story = Story(number)

    def next(self) -> tuple[bytes, str, dict[str, str], str]:
        """A body, its media type, more headers, and a query."""
        kind = self._chance.choice(_KINDS)
        body, media_type = kind(self)
        if self._chance.random() < 0.1:
            body = self._scratched(body)
        if self._chance.random() < 0.05:
            media_type = self._chance.choice((*_STRANGE_TYPES, *_TYPES))
        headers = self._chance.choice(_STRANGE_HEADERS) if self._chance.random() < 0.1 else {}
        return body, media_type, dict(headers), self._chance.choice(_QUERIES) if self._chance.random() < 0.1 else ""

    def json(self) -> tuple[bytes, str]:
        """A valid panel in which a few places are others."""
        return self._one().encode(), JSON

    def lines(self) -> tuple[bytes, str]:
        """Several of them, each on a line."""
        return "\n".join(self._one() for _ in range(self._chance.randint(0, 4))).encode(), NDJSON

    def rows(self) -> tuple[bytes, str]:
        """Rows with odd cells under a header that may be odd."""
        columns = _HEADER.split(",")
        if self._chance.random() < 0.2:
            columns[self._chance.randrange(len(columns))] = str(self._chance.choice(_ODD))
        rows = [self._row(len(columns)) for _ in range(self._chance.randint(0, 4))]
        return "\n".join([",".join(columns), *rows]).encode("utf-8", "surrogatepass"), CSV

    def junk(self) -> tuple[bytes, str]:
        """Any bytes."""
        return self._chance.randbytes(self._chance.randint(0, 300)), self._chance.choice(_TYPES)

    def deep(self) -> tuple[bytes, str]:
        """Something nested, or longer than is taken."""
        shape = self._chance.choice((b"[", b'{"a":', b'{"results":[', b"1", b'"', b"\n", b","))
        times = self._chance.choice((10, 1_000, _LARGEST // len(shape), 2 * _LARGEST // len(shape)))
        return shape * times, self._chance.choice(_TYPES)

    def repeated(self) -> tuple[bytes, str]:
        """A valid panel with a key twice."""
        text = json.dumps(self._story.next().panel)
        return text.replace('"results"', '"results": [], "results"', 1).encode(), JSON

    def _one(self) -> str:
        panel = json.loads(self._story.next().body)
        for _ in range(self._chance.randint(0, 4)):
            self._change(panel)
        return json.dumps(panel)

    def _change(self, panel: Any) -> None:
        path = self._chance.choice([path for path in _places(panel) if path] or [()])
        holder = panel
        for step in path[:-1]:
            holder = holder[step]
        match self._chance.randrange(4) if path else 4:
            case 0:
                holder[path[-1]] = deepcopy(self._chance.choice(_ODD))
            case 1:
                del holder[path[-1]]
            case 2 if isinstance(holder, dict):
                holder[self._chance.choice(_NAMES)] = deepcopy(self._chance.choice(_ODD))
            case 2 | 3:
                holder[path[-1]] = [holder[path[-1]]] * 2

    def _row(self, length: int) -> str:
        panel = self._story.next().panel
        one = panel["results"][0]
        cells = [*panel["patient"].values(), panel["accession"], panel["collected_at"]]
        cells += [one["analyte"], one["value"], one["unit"], "", "", "", ""]
        for _ in range(self._chance.randint(0, 3)):
            cells[self._chance.randrange(len(cells))] = self._chance.choice((*map(str, _ODD), '"', '""', 'a"b', "=1+1"))
        return ",".join(cells[: length + self._chance.randint(-1, 1)])

    def _scratched(self, body: bytes) -> bytes:
        """The body with a few bytes changed, or cut off."""
        scratched = bytearray(body)
        for _ in range(self._chance.randint(1, 4)):
            at = self._chance.randint(0, len(scratched))
            scratched[at : at + self._chance.randint(0, 2)] = self._chance.randbytes(self._chance.randint(0, 2))
        return bytes(scratched[: self._chance.randint(0, len(scratched))] if self._chance.random() < 0.3 else scratched)


_KINDS: Sequence[Callable[[Mutant], tuple[bytes, str]]] = (
    *[Mutant.json] * 8, *[Mutant.lines] * 4, *[Mutant.rows] * 4, *[Mutant.junk] * 2, Mutant.deep, Mutant.repeated,
)  # fmt: skip


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for step, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(below, (*path, step))


def trial(place: Place, size: Size) -> Found:
    """Send so many bodies from four connections, and look at the memory of the workers."""
    wanted = size.of(600, 100_000)
    settings = {"max_body_bytes": _LARGEST, "log_level": "warning", "workers": size.of(1, 2)}
    with serving(place, place.address("sqlite"), **settings) as service:
        ledger = Ledger()
        share = wanted // _CLIENTS
        _send_all(service, ledger, share // 10, first=_CLIENTS)  # so that the caches are full before it is measured
        before = service.memory()
        _send_all(service, ledger, share - share // 10, first=0)
        grown = service.memory() - before
        faults = [*ledger.faults, *failed(service), *["it is not ready afterwards"] * (not service.ready())]
    did = f"{wanted:,} odd bodies; the workers grew by {grown / (1 << 20):+.1f} MiB from {before / (1 << 20):.0f} MiB"
    return Found(did=did, faults=tuple(faults), counts=_by_status(ledger))


def _by_status(ledger: Ledger) -> Counter[str]:
    return Counter({f"status {name}": times for name, times in ledger.counts.items()})


def _send_all(service: Service, ledger: Ledger, count: int, *, first: int) -> None:
    senders = [_Sender(service, ledger, Mutant(number), count=count) for number in range(first, first + _CLIENTS)]
    with running([one.run for one in senders]):
        until(lambda: all(one.left == 0 for one in senders), patience=3_600)


class _Sender:
    """Sends ``count`` odd things over one connection."""

    def __init__(self, service: Service, ledger: Ledger, mutant: Mutant, *, count: int) -> None:
        self._client, self._ledger, self._mutant = Client(service.port, service.key), ledger, mutant
        self.left = count

    def run(self, stop: threading.Event) -> None:
        """Send until nothing is left, or it is told to stop."""
        try:
            with self._client:
                while self.left and not stop.is_set():
                    self._send_one()
                    self.left -= 1
        finally:
            self.left = 0  # what went wrong is told when all have ended

    def _send_one(self) -> None:
        body, media_type, headers, query = self._mutant.next()
        headers = {"Content-Type": media_type, **headers}
        what = f"{len(body)} bytes of {media_type!r} with {self.left} left"
        try:
            answer = self._client.request("POST", f"/v1/panels{query}", body, headers=headers)
        except Broken as error:
            self._broken(what, error, long=len(body) > _LARGEST)
            return
        self._ledger.count(str(answer.status))
        if answer.status not in _ALLOWED:
            self._ledger.fault(f"{answer.status} to {what}")
        if answer.media_type == NDJSON:
            for status in {json.loads(line).get("status", 200) for line in answer.body.splitlines()} - _ALLOWED:
                self._ledger.fault(f"a line with {status} in the answer to {what}")

    def _broken(self, what: str, error: Broken, *, long: bool) -> None:
        """A body that is refused for its length may be cut off while it is sent; nothing else may."""
        self._ledger.count("cut off")
        if not long:
            self._ledger.fault(f"no answer to {what}: {error}")
