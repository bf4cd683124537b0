"""A receiver of webhooks that is not always well: it fails, breaks off and is slow, by chance.

Law: it takes nothing without checking the signature with the published library, and writes down what it took, in order.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


class Taken:
    """What was taken, by its id, in the order in which it came; and how often it was not."""

    def __init__(self, trouble: float) -> None:
        self.ids: list[str] = []
        self.forged = 0
        self.refused = 0
        self.pieces = 0
        self.secret = ""
        self._met: set[str] = set()
        self._trouble, self._chance = trouble, random.Random(7)
        self._lock = threading.Lock()

    def take(self, headers: Any, body: bytes) -> int:
        """Answers the status of one message."""
        try:
            Webhook(self.secret).verify(body, {name.lower(): value for name, value in headers.items()})
        except WebhookVerificationError:
            self.forged += 1
            return 401
        with self._lock:
            # Of what comes for the first time some is refused, and of some the answer is lost: it comes again.
            fate = 1.0 if headers["webhook-id"] in self._met else self._chance.random()
            self._met.add(headers["webhook-id"])
            if fate < self._trouble / 2:
                self.refused += 1
                return 503
            self.ids.append(headers["webhook-id"])
            return 0 if fate < self._trouble else 204

    def cut_off(self) -> int:
        """A piece of a message; answers nothing."""
        self.pieces += 1
        return 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    taken: Taken

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        # A dispatcher that is killed while it sends leaves a piece of a message, to which nobody waits for an answer.
        status = self.taken.take(self.headers, body) if len(body) == length else self.taken.cut_off()
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A dispatcher that is killed breaks its connections."""


@contextmanager
def receiving(port: int, *, trouble: float = 0.0) -> Iterator[Taken]:
    """A receiver on a port of this machine; of its answers, the part ``trouble`` is refused or lost."""
    taken = Taken(trouble)
    handler = type("Handler", (_Handler,), {"taken": taken})
    server = _Server(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
