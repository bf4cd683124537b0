"""How many events one dispatcher tells a receiver on this machine, beside what its HTTP client alone can do.

Law: the receiver is the same and in a process of its own, the messages are as long, and as many threads send them. The
dispatcher's time begins with events in the outbox and ends when every delivery is written down as sent.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import orjson
import urllib3

from bench.children import Child, children
from bench.common import Answers, Row, Size, row_of, side_by_side
from bench.databases import NAMES, databases
from service.catalogue.load import load
from service.cli_dispatch import work_from
from service.config import Settings
from service.dispatcher import Dispatcher
from service.domain.actors import Actor, ActorKind
from service.domain.events import Event
from service.flows import subscriptions
from service.flows.means import Means
from service.formats import subscription_asked
from service.storage import outbox
from service.storage.database import Database
from service.storage.writes import Writes

_THREADS = 16
_LENGTH = 420  # bytes of a message, as the thin ones have them


def measure(size: Size) -> list[Row]:
    """One dispatcher on each database against the client alone."""
    many, rounds = size.of(40, 1_000, 4_000), size.of(1, 3, 5)
    with databases() as places, _receiver() as port, children("bench.dispatch:alone", [port, many]) as (alone,):
        return [_compared(kind, places.migrated(kind), alone, port=port, many=many, rounds=rounds) for kind in NAMES]


def _compared(kind: str, address: str, alone: Child, *, port: int, many: int, rounds: int) -> Row:
    with children("bench.dispatch:dispatching", [address, port, many]) as (ours,):
        work: list[int] = []

        def figure(side: Child) -> float:
            side.go()
            answer = side.result()
            work.append(answer["sent"])
            return float(answer["sent"] / answer["seconds"])

        found = side_by_side(partial(figure, ours), partial(figure, alone), rounds=rounds)
    return row_of(
        f"one dispatcher, {NAMES[kind]}, to a receiver on this machine",
        found,
        unit="events/s",
        note=f"baseline: urllib3 alone, {_THREADS} threads",
        limit="claiming, looking up, signing and writing down; the receiver and the client share the processors",
        work=(min(work), max(work)),
    )


# -------------------------------------------------------------------------------------------------------------- sides
def dispatching(address: str, port: int, many: int) -> Callable[[], Answers]:
    """A side: put events out, and let one dispatcher tell them."""
    database = Database.open(address, pool_size=3)
    means = Means(database=database, catalogue=load(Settings().ruleset))
    settings = Settings(
        database_url=address, webhook_http=True, webhook_networks=("127.0.0.1/32",), dispatch_threads=_THREADS
    )
    wanted = orjson.dumps({"name": "bench", "endpoint": f"http://127.0.0.1:{port}/"})
    asked = subscription_asked.read_new(wanted, lambda _channel, _endpoint: ())
    who = Actor(kind=ActorKind.OPERATOR, id="bench", name="bench")
    subscriptions.create(asked, means, by=who, now=datetime.now(UTC))
    rounds = iter(range(10**6))

    def work() -> Answers:
        _put_out(database, next(rounds), many)
        dispatcher = Dispatcher(work_from(settings, means))
        started = time.monotonic()
        sent = dispatcher.once()
        return {"sent": sent, "seconds": time.monotonic() - started}

    return work


def _put_out(database: Database, number: int, many: int) -> None:
    now, writes = datetime.now(UTC), Writes()
    data = {"finding": "anemia", "severity": "severe", "flag": "flg_", "late": False, "source": "bench"}
    events = [
        Event(id=f"evt_{number}_{n}", type="lab.flag.raised", at=now, episode=f"eps_{number}_{n}", data=data)
        for n in range(many)
    ]
    with database.transaction() as connection:
        outbox.keep(writes, events)
        writes.flush(connection)


def alone(port: int, many: int) -> Callable[[], Answers]:
    """A side: the HTTP client, with as many threads and messages as long, and nothing else."""
    pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=_THREADS, block=True)
    body = b"x" * _LENGTH

    def send(_number: int) -> int:
        return pool.request("POST", "/", body=body, retries=False, timeout=20).status

    def work() -> Answers:
        started = time.monotonic()
        with ThreadPoolExecutor(_THREADS) as threads:
            sent = sum(status == 204 for status in threads.map(send, range(many)))
        return {"sent": sent, "seconds": time.monotonic() - started}

    return work


# ----------------------------------------------------------------------------------------------------------- receiver
class _receiver:  # noqa: N801  used as a context, like a function
    """A receiver in a process of its own; answers its port."""

    def __enter__(self) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self._child = Child("bench.dispatch:receiving", port)
        self._child.ready()
        return port

    def __exit__(self, *_: object) -> None:
        self._child.end()


def receiving(port: int) -> Callable[[], Answers]:
    """Answer 204 to everything, on a thread; working does nothing more."""
    listening = threading.Event()

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", port)
        listening.set()
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    listening.wait()
    return dict


class _Answering(asyncio.Protocol):
    """The least that a receiver can do: find where a message ends, and answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._held = transport, b""

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._end()) is not None:
            self._held = self._held[end:]
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")  # type: ignore[attr-defined]  # of a stream

    def _end(self) -> int | None:
        head, found, _ = self._held.partition(b"\r\n\r\n")
        if not found:
            return None
        length = next(
            int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        end = len(head) + 4 + length
        return end if len(self._held) >= end else None
