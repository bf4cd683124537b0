"""A deadline for a whole attempt: who trickles one byte a second is cut off with everybody else.

    an attempt ─► each connection that it uses is noted ─► its time is over: the connection is shut down under it

Law: a timeout of a socket begins anew with every byte; this one never does.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_THREAD = threading.local()


class Attempt:
    """One attempt under way. ``over``: its time came before its end."""

    def __init__(self, ends: float) -> None:
        self.ends, self.over = ends, False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    def uses(self, number: int) -> None:
        """Note a connection by its file number; a number of our own stays valid whatever becomes of that one."""
        with self._lock:
            self._sockets.append(socket.socket(fileno=os.dup(number)))
            if self.over:
                self._shut()

    def cut_off(self) -> None:
        """Its time is over."""
        with self._lock:
            self.over = True
            self._shut()

    def _shut(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """It is done: forget its connections, which may go on to serve others."""
        with self._lock:
            for one in self._sockets:
                one.close()
            self._sockets.clear()


class Watch:
    """Looks after attempts every so many seconds, from a thread of its own."""

    def __init__(self, every: float) -> None:
        self._every = min(every, 0.5)
        self._lock = threading.Lock()
        self._attempts: set[Attempt] = set()
        self._started = False

    @contextmanager
    def until(self, ends: float) -> Iterator[Attempt]:
        """An attempt of this thread, which is cut off when its time (of the monotonic clock) comes."""
        attempt = Attempt(ends)
        with self._lock:
            self._attempts.add(attempt)
            if not self._started:
                self._started = True
                threading.Thread(target=self._look, daemon=True, name="deadlines").start()
        _THREAD.attempt = attempt
        try:
            yield attempt
        finally:
            _THREAD.attempt = None
            with self._lock:
                self._attempts.discard(attempt)
            attempt.end()

    def _look(self) -> None:
        while True:
            time.sleep(self._every)
            now = time.monotonic()
            with self._lock:
                over = [one for one in self._attempts if one.ends <= now and not one.over]
            for one in over:
                one.cut_off()


def watched(kind: Any) -> Any:
    """A kind of urllib3's connections that notes its socket with the attempt of its thread."""

    class Watched(kind):  # type: ignore[misc]  # which one it is, the caller says
        def _new_conn(self) -> socket.socket:
            made: socket.socket = super()._new_conn()
            note(made)  # before TLS begins: a handshake can trickle, too
            return made

        def request(self, *given: Any, **more: Any) -> None:
            if self.sock is not None:
                note(self.sock)
            super().request(*given, **more)

    return Watched


def note(used: socket.socket) -> None:
    """Note a connection with the attempt of this thread, if there is one under way.

    What is left of its time is the connection's: making it may have had a part only.
    """
    attempt: Attempt | None = getattr(_THREAD, "attempt", None)
    if attempt is not None:
        used.settimeout(max(0.001, attempt.ends - time.monotonic()))
        attempt.uses(used.fileno())
