"""Many clients that send at once until they are told to stop, and the sending again of what was not taken.

Law: nothing waits longer than its patience, and a thread that fails fails the trial.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from stress.client import Client
from stress.common import PATIENCE, few
from stress.ledger import Ledger, send, send_many
from stress.server import Service
from stress.story import Statement, Story

_PAUSE = 0.2  # seconds that a client waits after a connection broke or something was refused
_MANY = 50


class Writer:
    """One client: sends the next statement of its story, or the next ``many`` in one message, until it is taken."""

    def __init__(self, service: Service, ledger: Ledger, story: Story, *, many: int = 1) -> None:
        self._client = Client(service.port, service.key)
        self._ledger, self._story, self._many = ledger, story, many
        self._left: list[Statement] = []
        self.taken_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Send until told to stop."""
        with self._client:
            while not stop.is_set():
                self._left = self._left or [self._story.next() for _ in range(self._many)]
                if self._sent():
                    self._left, self.taken_at = [], time.monotonic()
                else:
                    stop.wait(_PAUSE)

    def _sent(self) -> bool:
        if self._many == 1:
            return send(self._client, self._ledger, self._left[0])
        return send_many(self._client, self._ledger, self._left)


class Load:
    """Clients under way."""

    def __init__(self, writers: Sequence[Writer], ledger: Ledger) -> None:
        self.ledger, self.writers = ledger, writers

    def wait_until_all_were_taken(self) -> bool:
        """Wait until every client has had something taken from now on."""
        begun = time.monotonic()
        return until(lambda: all(one.taken_at > begun for one in self.writers))


@contextmanager
def load(
    service: Service, *, singles: int = 8, bulks: int = 2, patients: tuple[str, ...] = (), many: int = 12
) -> Iterator[Load]:
    """Clients that send until the block ends: ``singles`` one panel at a time, ``bulks`` many in a message."""
    sizes = [1] * singles + [many] * bulks
    stories = [Story(number, patients=patients) for number, _ in enumerate(sizes, start=1)]
    ledger = Ledger(stories)
    writers = [Writer(service, ledger, story, many=size) for story, size in zip(stories, sizes, strict=True)]
    with running([one.run for one in writers]):
        yield Load(writers, ledger)


@contextmanager
def running(jobs: Sequence[Callable[[threading.Event], None]]) -> Iterator[threading.Event]:
    """Run jobs beside each other until the block ends. What one of them raises is raised here."""
    stop, raised = threading.Event(), []

    def guarded(job: Callable[[threading.Event], None]) -> None:
        try:
            job(stop)
        except BaseException as error:  # noqa: BLE001  it is raised again below, in the thread that waits
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for one in threads:
        one.start()
    try:
        yield stop
    finally:
        stop.set()
        for one in threads:
            one.join()
    if raised:
        raise raised[0]


def send_again(service: Service, ledger: Ledger) -> list[str]:
    """Send everything that was not answered, many at once, and one by one until it is; names what stays refused."""
    left = [one for one in ledger.statements if not one.answers]
    ledger.count("sent again", len(left))
    with Client(service.port, service.key) as client:
        for place in range(0, len(left), _MANY):
            send_many(client, ledger, left[place : place + _MANY])
        refused = [one.name for one in left if not one.answers and not _taken_at_last(client, ledger, one)]
    return list(few("never taken, however often sent", refused))


def _taken_at_last(client: Client, ledger: Ledger, one: Statement) -> bool:
    return until(lambda: send(client, ledger, one), pause=_PAUSE)


def until(reached: Callable[[], bool], *, patience: float = PATIENCE, pause: float = 0.02) -> bool:
    """Wait until something is so; answers whether it was before patience ended."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if reached():
            return True
        time.sleep(pause)
    return reached()
