"""Receivers on this machine, well and unwell, each on a port of its own.

Law: a receiver notes everything that reaches it, so that what must never be called can be seen not to have been.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from service.delivery.letter import Letter

AT = datetime(2026, 3, 2, 9, 15, 2, tzinfo=UTC)
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OTHER = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
OK = b"HTTP/1.1 204 No Content\r\n\r\n"

Talk = Callable[[socket.socket, bytes, threading.Event], None]


@dataclass
class Receiver:
    """What listens on a port. ``requests``: what came whole; ``connections``: how often somebody connected.

    ``at_once``: it speaks first, as mail servers do.
    """

    port: int
    scheme: str = "http"
    at_once: bool = False
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def address(self, host: str = "127.0.0.1", path: str = "/hook") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"


def letter(to: str, *, secrets: tuple[str, ...] = (SECRET,), body: bytes = b'{"type":"x"}', **more) -> Letter:
    given = {"id": "evt_1", "content_type": "application/json", "at": AT, **more}
    return Letter(to=to, body=body, secrets=secrets, **given)


def says(answer: bytes) -> Talk:
    """Answers every request with these bytes."""
    return lambda connection, _request, _over: connection.sendall(answer)


@contextmanager
def receiving(talk: Talk, *, tls: ssl.SSLContext | None = None, at_once: bool = False) -> Iterator[Receiver]:
    """A receiver that answers each request by ``talk``, which may take its time until the event is set."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        receiver = Receiver(port=listening.getsockname()[1], scheme="https" if tls else "http", at_once=at_once)
        listening.settimeout(0.1)
        served: list[threading.Thread] = []

        def accept() -> None:
            while not over.is_set():
                with suppress(OSError):
                    connection, _ = listening.accept()
                    receiver.connections += 1
                    served.append(threading.Thread(target=_serve, args=(connection, receiver, talk, tls, over)))
                    served[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield receiver
        finally:
            over.set()
            accepting.join()
            for one in served:
                one.join()


def _serve(connection, receiver: Receiver, talk: Talk, tls, over: threading.Event) -> None:
    with suppress(OSError), connection:
        if tls is None:
            _talk_on(connection, receiver, talk, over)
            return
        connection.settimeout(5)
        with tls.wrap_socket(connection, server_side=True) as secured:
            _talk_on(secured, receiver, talk, over)


def _talk_on(connection, receiver: Receiver, talk: Talk, over: threading.Event) -> None:
    connection.settimeout(0.1)
    if receiver.at_once:
        talk(connection, b"", over)
    while not over.is_set():
        request = _request(connection, over)
        if not request:
            return
        receiver.requests.append(request)
        talk(connection, request, over)


def _request(connection, over: threading.Event) -> bytes:
    held = b""
    while not over.is_set():
        try:
            piece = connection.recv(65_536)
        except TimeoutError:
            continue
        if not piece:
            return b""
        held += piece
        head, found, body = held.partition(b"\r\n\r\n")
        if found and len(body) >= _length(head):
            return held
    return b""


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length"))


def trickles(first: bytes, then: bytes = b"x") -> Talk:
    """Begins to answer, and goes on with a byte every now and then, without end."""

    def talk(connection: socket.socket, _request: bytes, over: threading.Event) -> None:
        connection.sendall(first)
        while not over.wait(0.02):
            connection.sendall(then)

    return talk


def closes(first: bytes = b"") -> Talk:
    """Breaks off, perhaps in the middle of an answer."""

    def talk(connection: socket.socket, _request: bytes, _over: threading.Event) -> None:
        connection.sendall(first)
        connection.shutdown(socket.SHUT_RDWR)

    return talk
