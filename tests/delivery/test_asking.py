"""What is asked of a known server ends in time, and with a bounded answer, whatever the server does."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from service.delivery import asking
from service.delivery.asking import bound

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def server(answers: Callable[[socket.socket], None]) -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        opened, _ = listening.accept()
        with opened:
            opened.recv(65_536)
            try:
                answers(opened)
            except OSError:
                return  # the client has gone

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    listening.close()


def trickle(head: bytes, tail: bytes = b"", *, whole: threading.Event | None = None) -> Callable[[socket.socket], None]:
    """An answer that is whole in the end, for whoever has the patience."""

    def answers(opened: socket.socket) -> None:
        opened.sendall(head)
        for _ in range(100):
            opened.sendall(b" ")
            time.sleep(0.05)
        opened.sendall(tail)
        if whole is not None:
            whole.set()

    return answers


def late(opened: socket.socket) -> None:
    time.sleep(5)
    opened.sendall(HEAD + b"Content-Length: 0\r\n\r\n")


NEVER_WHOLE = {
    "a body byte by byte": trickle(HEAD + b"Content-Length: 100\r\n\r\n"),
    "a head byte by byte": trickle(HEAD + b"X-Long: ", b"\r\nContent-Length: 0\r\n\r\n"),
    "nothing": late,
    "too long": lambda opened: opened.sendall(HEAD + b"\r\n" + b" " * 2_000_000),
    "broken off": lambda opened: opened.sendall(HEAD + b"Content-Length: 9000\r\n\r\nx"),
}


@pytest.mark.parametrize("answers", NEVER_WHOLE.values(), ids=NEVER_WHOLE)
def test_what_has_no_end_is_ended(answers, monkeypatch):
    monkeypatch.setattr(asking, "SECONDS", 0.5)

    with server(answers) as address, bound(requests.Session()) as session, pytest.raises(requests.RequestException):
        session.get(address)


@pytest.mark.parametrize("proxied", [False, True], ids=["straight", "through a proxy"])
def test_who_trickles_is_left_before_the_end(proxied, monkeypatch):
    monkeypatch.setattr(asking, "SECONDS", 0.5)
    whole = threading.Event()
    slowly = trickle(HEAD + b"X-Long: ", b"\r\nContent-Length: 0\r\n\r\n", whole=whole)

    with server(slowly) as address, bound(requests.Session()) as session:
        through = {"http": address} if proxied else {}
        with pytest.raises(requests.RequestException):
            session.get("http://provider.example/" if proxied else address, proxies=through)

    assert not whole.is_set()


def test_what_ends_is_read_as_ever():
    with (
        server(lambda opened: opened.sendall(HEAD + b'Content-Length: 8\r\n\r\n{"a": 1}')) as address,
        bound(requests.Session()) as session,
    ):
        answer = session.get(address)

    assert (answer.status_code, answer.json()) == (200, {"a": 1})
