"""Entries of the audit on their way: from requests that do not wait for them to the end of the chain.

    a request ─► put in the queue ─► every fifth of a second a thread takes what waits ─► kept in one transaction

Law: whoever is asked for something is not kept waiting by what is written down of it. When it cannot be written, it
waits in a queue that has an end; what finds no room is counted. One entry that cannot be written at all keeps back no
other.
"""

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from service.domain.audit import Entry, bare
from service.domain.errors import Unavailable
from service.flows.audit import record
from service.storage.database import Database

MOST = 10_000  # entries that wait
AT_ONCE = 500  # entries in one transaction
PAUSE = 0.2  # seconds
_QUIET = 60.0  # seconds between two lines in the log
_FAREWELL = 5.0  # seconds that the end of the process waits for a transaction under way


class Trail:
    """What this process has to write down. ``lost`` hears how many entries found no room.

    ``alone``: written by a thread of its own; otherwise only when somebody calls ``flush``.
    """

    def __init__(
        self, database: Callable[[], Database], *, lost: Callable[[int], None], most: int = MOST, alone: bool = True
    ) -> None:
        self._database, self._lost, self._most, self._alone = database, lost, most, alone
        self._queue: deque[Entry] = deque()
        self._taken: list[Entry] = []
        self._starting, self._writing = threading.Lock(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._dropped, self._said_at = 0, -_QUIET

    def put(self, entry: Entry) -> None:
        """Have an entry written soon."""
        if len(self._queue) + len(self._taken) >= self._most:
            self._dropped += 1
            self._lost(1)
            return
        self._queue.append(entry)
        if self._thread is None and self._alone:
            self._start()

    @property
    def waiting(self) -> int:
        """How many entries are not written yet."""
        return len(self._queue) + len(self._taken)

    def flush(self) -> bool:
        """Write what waits; False when the database does not take it now."""
        with self._writing:
            while self._queue or self._taken:
                while self._queue and len(self._taken) < AT_ONCE:
                    self._taken.append(self._queue.popleft())
                try:
                    self._write(list(self._taken))
                except Exception as error:  # noqa: BLE001  whatever it is, it is tried again, and nothing lost meanwhile
                    self._say(type(error).__name__)
                    return False
        return True

    def _write(self, entries: Sequence[Entry]) -> None:
        """Write the oldest of what was taken, in order. One that is refused by itself must not keep back the others."""
        try:
            record(self._database(), entries)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  it may be the fault of any of them
            if len(entries) == 1:
                self._write_bare(entries[0], error)
                return
            half = len(entries) // 2
            self._write(entries[:half])
            self._write(entries[half:])
        else:
            del self._taken[: len(entries)]

    def _write_bare(self, entry: Entry, error: Exception) -> None:
        """Write at least that there was one. Raises where nothing at all can be added to the chain."""
        record(self._database(), [bare(entry)])
        del self._taken[:1]
        structlog.get_logger().error("audit entry refused", why=type(error).__name__, of_request=entry.request_id)

    def close(self) -> None:
        """Write what waits, once more, and end. What cannot be written now is lost."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_FAREWELL)
        if not self.flush():
            self._lost(self.waiting)
            structlog.get_logger().error("audit entries lost at the end", entries=self.waiting)

    def _start(self) -> None:
        # Not before the first entry: a thread does not come along when a process is forked.
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                self._thread.start()
                atexit.register(self.close)

    def _run(self) -> None:
        while not self._ended.wait(PAUSE):
            self.flush()

    def _say(self, why: str) -> None:
        if time.monotonic() - self._said_at < _QUIET:
            return
        self._said_at = time.monotonic()
        structlog.get_logger().warning("audit not written", why=why, waiting=self.waiting, dropped=self._dropped)
