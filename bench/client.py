"""A cheap HTTP client: keep-alive sockets in one process, each with one request under way at a time.

Law: it takes little of the processor that the server needs, and says how much: what it takes for one request bounds
what it could ask for.
"""

import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from bench.common import Answers

_MORE = 1 << 20


def request(method: str, path: str, *, key: str = "", body: bytes = b"", media_type: str = "application/json") -> bytes:
    """The bytes of a request."""
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if key:
        head.append(f"Authorization: Bearer {key}")
    if body:
        head += [f"Content-Type: {media_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


def posts(bodies: Sequence[bytes], *, key: str) -> list[bytes]:
    """Each body as a request that sends one panel."""
    return [request("POST", "/v1/panels", key=key, body=body) for body in bodies]


def connected(port: int) -> socket.socket:
    """A socket to the server on this machine."""
    opened = socket.create_connection(("127.0.0.1", port), timeout=60)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def asking(port: int, clients: int, requests: Sequence[bytes]) -> Callable[[], Answers]:
    """A side of a bench (``bench.children``): send all requests once, from so many clients."""
    sockets = [connected(port) for _ in range(clients)]
    return lambda: _Round(sockets, requests).run()


class _Round:
    def __init__(self, sockets: Sequence[socket.socket], requests: Sequence[bytes]) -> None:
        self.sockets = {one.fileno(): one for one in sockets}
        self.left = iter(requests)
        self.sent_at: dict[int, float] = {}
        self.parts: dict[int, bytes] = {}
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()

    def run(self) -> Answers:
        cpu, started = time.process_time(), time.monotonic()
        self._ask_everything()
        return {
            "start": started,
            "end": time.monotonic(),
            "cpu": time.process_time() - cpu,
            "latencies": self.latencies,
            "statuses": self.statuses,
        }

    def _ask_everything(self) -> None:
        poll = select.epoll()
        for number in self.sockets:
            poll.register(number, select.EPOLLIN)
            self._next(number)
        while self.sent_at:
            for number, _event in poll.poll():
                self._receive(number)
        poll.close()

    def _next(self, number: int) -> None:
        following = next(self.left, None)
        if following is not None:
            self.sent_at[number] = time.monotonic()
            self.sockets[number].sendall(following)

    def _receive(self, number: int) -> None:
        received = _received(self.sockets[number])
        answer = self.parts.pop(number, b"") + received
        if not whole(answer):
            self.parts[number] = answer
            return
        self.latencies.append(time.monotonic() - self.sent_at.pop(number))
        self.statuses[answer[9:12].decode()] += 1
        self._next(number)


def _received(opened: socket.socket) -> bytes:
    received = opened.recv(_MORE)
    if not received:
        raise RuntimeError("the server closed a connection")
    return received


def whole(answer: bytes) -> bool:
    """Is this all of an answer that says its length?"""
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    at = answer.find(b"Content-Length: ", 0, head) + 16
    if at < 16:
        raise RuntimeError(f"an answer without a length: {answer[:12].decode(errors='replace')}")
    return len(answer) - head - 4 >= int(answer[at : answer.find(b"\r\n", at)])


def ask(opened: socket.socket, sent: bytes) -> bytes:
    """Send one request; answers the body. Raises ``RuntimeError`` when its status is not one of success."""
    opened.sendall(sent)
    answer = _received(opened)
    while not whole(answer):
        answer += _received(opened)
    if answer[9:10] != b"2":
        raise RuntimeError(answer[9:600].decode(errors="replace"))
    return answer.partition(b"\r\n\r\n")[2]


def streaming(port: int, key: str, body: bytes) -> Callable[[], Answers]:
    """A side of a bench: send NDJSON in one request, and read the answer while it is sent."""
    opened = connected(port)
    sent = request("POST", "/v1/panels", key=key, body=body, media_type="application/x-ndjson")

    def work() -> Answers:
        cpu, started = time.process_time(), time.monotonic()
        sender = threading.Thread(target=opened.sendall, args=(sent,))
        sender.start()
        parts = list(_until_the_end(opened))
        sender.join()
        end = time.monotonic()
        cpu = time.process_time() - cpu
        kept = _unchunked(b"".join(parts)).count(b'"status":201')
        return {"start": started, "end": end, "cpu": cpu, "latencies": [], "statuses": {"201": kept}}

    return work


def _until_the_end(opened: socket.socket) -> Iterator[bytes]:
    last = b""
    while not last.endswith(b"\r\n0\r\n\r\n"):  # the empty chunk that ends a chunked answer; a header can end in 0, too
        received = _received(opened)
        last = last[-8:] + received
        yield received


def _unchunked(answer: bytes) -> bytes:
    parts: list[bytes] = []
    at = answer.find(b"\r\n\r\n") + 4
    while True:
        end = answer.find(b"\r\n", at)
        size = int(answer[at:end], 16)
        if not size:
            return b"".join(parts)
        parts.append(answer[end + 2 : end + 2 + size])
        at = end + 4 + size
