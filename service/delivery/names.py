"""Names are looked up, and connections made, within the time that an attempt has.

    a name ─► is it being looked up already? ─► a thread of its own looks ─► nobody waits longer than they may

Law: nobody can end the resolver of a machine, so nobody who has a deadline calls it themselves. A name that hangs holds
one thread, however many ask for it, and there is an end to how many threads may hang.
"""

import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future

from service.delivery.addresses import Resolve, is_address, resolve
from service.delivery.deadline import note

_MOST = 128  # names that are being looked up at the same time
MOST_TRIED = 8  # addresses of one host in one attempt

_Found = Future[Sequence[str]]


class TooSlow(OSError):
    """The time was over before anything was found."""


class Names:
    """Looks names up. Threads may share it."""

    def __init__(self, look_up: Resolve = resolve) -> None:
        self._look_up = look_up
        self._under_way: dict[tuple[str, int], _Found] = {}
        self._lock = threading.Lock()

    def find(self, host: str, port: int, *, ends: float) -> Sequence[str]:
        """Every address of a host, before a time of the monotonic clock. Raises ``OSError``, of it ``TooSlow``."""
        if is_address(host):
            return self._look_up(host, port)
        found = self._asked(host, port)
        try:
            return found.result(timeout=max(0.0, ends - time.monotonic()))
        except TimeoutError:
            raise TooSlow("a name is not found in time") from None

    def _asked(self, host: str, port: int) -> _Found:
        with self._lock:
            found = self._under_way.get((host, port))
            if found is None:
                if len(self._under_way) >= _MOST:
                    raise TooSlow("too many names are being looked up")
                found = self._under_way[host, port] = Future()
                # Of no pool: the end of the process waits for the threads of one, and this one may hang.
                threading.Thread(target=self._look, args=(host, port, found), daemon=True, name="names").start()
        return found

    def _look(self, host: str, port: int, found: _Found) -> None:
        try:
            answer: Sequence[str] | Exception = self._look_up(host, port)
        except Exception as error:  # noqa: BLE001  whoever waits is told of it, whatever it is
            answer = error
        with self._lock:
            del self._under_way[host, port]
        if isinstance(answer, Exception):
            found.set_exception(answer)
        else:
            found.set_result(answer)


def share(ends: float, *, of: int) -> float:
    """The seconds that one of so many addresses may take, which leaves as much for each of the others."""
    return max(0.001, ends - time.monotonic()) / of


def connected(addresses: Sequence[str], port: int, *, ends: float) -> socket.socket:
    """A connection to the first of some addresses that takes one, noted with its attempt. Raises ``OSError``."""
    tried = addresses[:MOST_TRIED]
    for at, address in enumerate(tried, start=1):
        try:
            made = socket.create_connection((address, port), timeout=share(ends, of=len(tried) - at + 1))
        except OSError:
            if at == len(tried):
                raise
            continue
        note(made)
        return made
    raise OSError("no address")
