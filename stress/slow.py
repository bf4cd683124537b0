"""Clients that stall, trickle, do not read, or do not go: as many of each kind as would hold every thread.

Promise: none of them holds a thread for ever. After the time of ``LAB_ALERTS_CLIENT_TIMEOUT_SECONDS``, and a little
more for those that trickle, others are served again; those that send nothing hold up nobody.
"""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from stress.client import Broken, Client
from stress.common import Found, Place, Size
from stress.load import running, until
from stress.server import Service, serving
from stress.story import Story

_THREADS = 4
_CLIENTS = 2 * _THREADS
# One worker: with two, a client could be lucky and find the free one.
_SETTINGS = {
    "workers": 1,
    "threads": _THREADS,
}
_TRICKLE = 0.2  # seconds between two bytes
_A_WHILE = 3.0  # seconds
_FOR_EVER = 45.0  # seconds: far beyond what is promised, and below what an idle connection is kept alive


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What such a client sends at once, and what it sends byte by byte afterwards. ``held``: does it hold a thread?"""

    at_once: Callable[[Service], bytes]
    trickled: Callable[[Service], bytes] = lambda _: b""
    held: bool = True


def trial(place: Place, size: Size) -> Found:
    """Connect such clients, one kind after the other, and ask for something beside them."""
    chosen = size.of(("half a body", "a body byte by byte"), tuple(_KINDS))
    longest, faults = {}, []
    with serving(place, place.address("sqlite"), client_timeout_seconds=size.of(1, 2), **_SETTINGS) as service:
        for name in chosen:
            longest[name], found = _tried(service, name, _KINDS[name])
            faults += found
    told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in longest.items())
    did = f"with {_CLIENTS} of each kind on {_THREADS} threads, others waited at most: {told}"
    return Found(did=did, faults=tuple(faults))


def _tried(service: Service, name: str, kind: _Kind) -> tuple[float, list[str]]:
    """The longest time that somebody else waited for an answer, and what was wrong."""
    longest, served = 0.0, True
    with _connected(service, kind) as slow, running([lambda stop: _trickle(slow, kind.trickled(service), stop)]):
        end = time.monotonic() + (_FOR_EVER if kind.held else _A_WHILE)
        while served and time.monotonic() < end and not all(_left(one) for one in slow):
            begun = time.monotonic()
            served = until(lambda: _served(service), patience=_FOR_EVER)
            longest = max(longest, time.monotonic() - begun)
        held = sum(not _left(one) for one in slow)
    faults = [] if served else [f"{name}: nobody else was served in {_FOR_EVER:.0f} s"]
    if kind.held and held:
        faults.append(f"{name}: {held} were not left in {_FOR_EVER:.0f} s")
    return longest, faults


@contextmanager
def _connected(service: Service, kind: _Kind) -> Iterator[Sequence[socket.socket]]:
    with ExitStack() as stack:
        slow = []
        for _ in range(_CLIENTS):
            slow.append(stack.enter_context(socket.create_connection(("127.0.0.1", service.port))))
            slow[-1].setblocking(False)
            _send(slow[-1], kind.at_once(service))
        time.sleep(_TRICKLE)  # so that the threads have them before anybody else asks
        yield slow


def _send(one: socket.socket, data: bytes) -> None:
    try:
        one.send(data)
    except OSError:  # full, or closed by the service
        return


def _trickle(slow: Sequence[socket.socket], rest: bytes, stop: threading.Event) -> None:
    for place in range(len(rest)):
        if stop.wait(_TRICKLE):
            return
        for one in slow:
            _send(one, rest[place : place + 1])


def _served(service: Service) -> bool:
    """Is somebody else served?"""
    with Client(service.port, service.key, timeout=1) as client:
        try:
            return client.get("/v1/flags?limit=1").status == 200
        except Broken:
            return False


def _left(one: socket.socket) -> bool:
    """Has the service closed this connection? Nothing is read for it: that would be a client who goes on."""
    asked = select.poll()
    asked.register(one, select.POLLRDHUP)
    return bool(asked.poll(0))


def _head(service: Service, *more: str) -> bytes:
    lines = ("POST /v1/panels HTTP/1.1", "Host: x", f"Authorization: Bearer {service.key}", *more, "", "")
    return "\r\n".join(lines).encode()


_JSON = "Content-Type: application/json"
_LONG = "Content-Length: 5000"
_LINES = ("Content-Type: application/x-ndjson", "Transfer-Encoding: chunked")


def _chunk(data: bytes) -> bytes:
    return b"%X\r\n%s\r\n" % (len(data), data)


def _line() -> bytes:
    return Story(7).next().body + b"\n"


_KINDS: Mapping[str, _Kind] = {
    "silent": _Kind(at_once=lambda _: b"", held=False),
    "half a request line": _Kind(at_once=lambda _: b"POST /v1/pan"),
    "headers byte by byte": _Kind(
        at_once=lambda _: b"POST /v1/panels HTTP/1.1\r\nX: ",
        trickled=lambda _: b"x" * 5_000,
    ),
    "half a body": _Kind(at_once=lambda service: _head(service, _JSON, _LONG) + b'{"patient": '),
    "a body byte by byte": _Kind(
        at_once=lambda service: _head(service, _JSON, _LONG),
        trickled=lambda _: b" " * 5_000,
    ),
    "half a stream": _Kind(at_once=lambda service: _head(service, *_LINES) + _chunk(_line())),
    "a stream byte by byte": _Kind(
        at_once=lambda service: _head(service, *_LINES),
        trickled=lambda _: _chunk(b" ") * 1_000,
    ),
    "asks and does not read": _Kind(at_once=lambda _: b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 500),
    "is answered and stays": _Kind(
        at_once=lambda _: b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ),
}
