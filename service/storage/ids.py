"""Names for what is kept: a prefix that says what it is, and a ULID that sorts by time.

Law: a name says nothing about a patient, and of two names made by one process the later one sorts behind.
"""

import os
import time
from threading import Lock

from ulid import ULID

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, of which each digit is five bits
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_ROOM = 1 << 20  # what the last four digits can count


class _Names:
    """ULIDs, of which the first of a millisecond is random; the others are counted on from it.

    A panel takes a dozen names, and making each from nothing would cost as much as judging it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._millisecond, self._head, self._count = 0, "", _ROOM

    def forget(self) -> None:
        """Begin anew: what another process counts on from is not ours."""
        self._lock = Lock()
        self._millisecond = 0

    def next(self) -> str:
        with self._lock:
            now = time.time_ns() // 1_000_000
            self._count += 1
            if self._count >= _ROOM or now != self._millisecond:
                first = str(ULID(now.to_bytes(6, "big") + os.urandom(10)))
                self._millisecond, self._head, self._count = now, first[:-4], 0
            return f"{self._head}{_PAIRS[self._count >> 10]}{_PAIRS[self._count & 1023]}"


_names = _Names()
os.register_at_fork(after_in_child=_names.forget)


def new_id(prefix: str) -> str:
    """A new name, for example ``flg_01JD…``."""
    return f"{prefix}_{_names.next()}"
