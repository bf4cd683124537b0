"""gunicorn's worker with threads, in which a client that does not go on holds no thread for ever.

    connected ─► no byte yet: waits beside the threads ─► a thread reads, answers ─► kept alive, or closed

A thread waits for its client for ``patience`` seconds in a request, all waits added up, whether it reads or writes;
each 500 bytes that pass give one second back. So a stalled client is left after that time, a trickle somewhat later,
and whoever goes on, never.

Law: it bounds waiting for clients and changes nothing else of gunicorn.
"""

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

# Apache's mod_reqtimeout has the same number by default: whoever sends less in a second is not in earnest.
_BYTES_FOR_A_SECOND = 500
_PIECE = 8192  # bytes written before the clock is looked at
_NO_TIME = 0.001  # seconds: what can be done at once is still done


class TooSlow(TimeoutError):
    """The client has used up the time that it is waited for."""

    def __init__(self) -> None:
        # gunicorn knows this number as the client's doing, and does not log it as a fault of ours.
        super().__init__(errno.ECONNRESET, "the client was too slow")


class Patient(socket.socket):
    """A connection to a client who has an allowance of seconds to be waited for."""

    def allow(self, seconds: float) -> None:
        """Begin a request: so many seconds."""
        self._most = self._left = seconds
        self.given_up = False

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """What the client has sent, as soon as there is something. Raises ``TooSlow``."""
        if self.gettimeout() is not None:  # gunicorn bounds this one itself
            return super().recv(bufsize, flags)
        with self._waiting():
            received = super().recv(bufsize, flags)
        self._earned(len(received))
        return received

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of it. Raises ``TooSlow`` when the client does not take it."""
        if self.gettimeout() is not None:
            return super().sendall(data, flags)
        rest = memoryview(data)
        while rest:
            with self._waiting():
                super().sendall(rest[:_PIECE], flags)
            self._earned(len(rest[:_PIECE]))
            rest = rest[_PIECE:]
        return None

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        began = time.monotonic()
        self.settimeout(max(self._left, _NO_TIME))
        try:
            yield
        except TimeoutError:
            self.given_up = True
            raise TooSlow from None
        finally:
            self._left -= time.monotonic() - began
            self.settimeout(None)

    def _earned(self, count: int) -> None:
        self._left = min(self._most, self._left + count / _BYTES_FOR_A_SECOND)


class Connection(TConn):  # type: ignore[misc]  # gunicorn carries no types
    """A connection that is closed once, by whoever comes first."""

    def close(self, graceful: bool = False) -> None:
        """Close it; gracefully, unless the client has shown that it is not there."""
        if self.sock.fileno() >= 0:
            super().close(graceful=graceful and not self.sock.given_up)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn carries no types
    """The worker. ``patience``: seconds that a thread waits for its client in one request."""

    patience: float = 20.0

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection; it costs no thread before its first byte is there."""
        try:
            accepted, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        patient = Patient(fileno=accepted.detach())
        self.enqueue_req(Connection(self.cfg, patient, address, listener.getsockname()))

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection with something to read to a thread, with a whole allowance."""
        conn.sock.allow(self.patience)
        if conn.initialized or conn.wait_for_data(0):
            super().enqueue_req(conn)
            return
        conn.set_timeout()
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def handle(self, conn: Any) -> Any:
        """Serve one request, in a thread.

        What is to be closed is closed here: that can take two seconds, in which the main loop would serve nobody.
        """
        kept = super().handle(conn)
        if not kept:
            conn.close(graceful=True)
        return kept

    def _cap_keepalive(self, deadline: float) -> None:
        """A worker that stops waits no longer for connections without a byte than for those that are kept alive."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)
