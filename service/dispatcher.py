"""The dispatcher: one process that fans out, sends, and looks after what comes due by itself.

    fan out ─► settle what came back ─► claim as much as there is room for ─► threads send ─► …

Law: this loop alone talks to the database, and the threads alone talk to the world. Any number of dispatchers may run;
what one of them drops, another picks up.
"""

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue

import structlog

from service.delivery.door import Sender
from service.delivery.outcome import Later, Outcome, Sent
from service.domain.errors import Unavailable
from service.domain.subscriptions import Channel
from service.flows import dispatch, fan_out
from service.flows.dispatch import Done, Forsaken, Room, Shown, Task
from service.flows.means import Means
from service.storage.deliveries import Claimed
from service.storage.ids import new_id

Chore = Callable[..., int]

_AFTER_A_FAULT = 5.0  # seconds
_LOOK = 0.05  # seconds between two looks at what is still being sent, at the end
_SLOW = 200  # milliseconds from which nothing is claimed ahead for a receiver
_AHEAD = 8  # messages claimed for each thread: they are taken down together, in few transactions
_FRESH = 1.0  # seconds for which it is taken that a subscription is as it was when it was last looked at
_BACKWARD = timedelta(seconds=5)  # a clock that goes back by more has been set


def clock() -> datetime:
    """The clock of this shell."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a dispatcher works with. Times are in seconds.

    ``pause``: how long it waits when there is nothing to do. ``chores``: what comes due by itself, looked after every
    ``every`` seconds.
    """

    means: Means
    senders: Mapping[Channel, Sender] = field(repr=False)
    shown: Shown = field(repr=False)
    threads: int = 16
    pause: float = 0.5
    chores: Sequence[Chore] = ()
    every: float = 5.0
    graceful: float = 30.0
    clock: Callable[[], datetime] = clock


class Dispatcher:
    """One dispatcher. ``run`` works until ``stop``; ``round`` is one turn of it."""

    def __init__(self, work: Work) -> None:
        self.id = new_id("dsp")
        self.tried = 0
        self._work = work
        self._stopping = threading.Event()
        self._done: SimpleQueue[Done] = SimpleQueue()
        self._unsettled: list[Done] = []
        self._settled = 0
        # All that is claimed; of it, what waits for a thread, by receiver; and what will not be sent after all.
        self._under_way: dict[str, Task] = {}
        self._queues: dict[str, deque[Task]] = defaultdict(deque)
        self._left: deque[Task] = deque()
        self._dropped: list[str] = []
        self._serving: Counter[str] = Counter()
        self._took: dict[str, int] = {}
        self._lock = threading.Lock()
        # A slow receiver leaves threads for the others.
        self._share = max(1, work.threads * 3 // 4)
        self._threads = ThreadPoolExecutor(work.threads, thread_name_prefix="send")
        self._log = structlog.get_logger().bind(dispatcher=self.id)
        self._last: datetime | None = None
        self._next_chores = self._next_prolonging = self._next_look = self._looked = 0.0
        self._forsaken = Forsaken()
        self._away: str | None = None

    def stop(self) -> None:
        """Claim no more; what is being sent is finished and taken down."""
        self._stopping.set()

    def stopped(self, seconds: float = 0) -> bool:
        """Was it stopped? Waits for it so long."""
        return self._stopping.wait(seconds)

    def once(self) -> int:
        """Send what is due now, and end; answers how many messages were tried. Raises ``Unavailable``."""
        while self.round() or self._under_way:
            self._wait(self._work.pause)
        self._finish()
        return self.tried

    def run(self) -> None:
        """Work until stopped. While the database is away, it waits and goes on when it is back."""
        while not self._stopping.is_set():
            try:
                busy = self.round()
                self._note_the_database(None)
            except Unavailable as error:
                self._note_the_database(error.why)
                busy = False
            except Exception as error:  # noqa: BLE001  whatever it is, the next round may do the rest
                self._log.error("a round of the dispatcher has failed", exc_info=error)
                self._stopping.wait(_AFTER_A_FAULT)
                busy = False
            if not busy:
                self._wait(self._work.pause)
        self._finish()

    def _note_the_database(self, why: str | None) -> None:
        """Say once that it is away, and once that it is back."""
        if why is not None and self._away is None:
            self._log.warning("the dispatcher waits for the database", why=why)
        elif why is None and self._away is not None:
            self._log.info("the database is back")
        self._away = why

    def round(self) -> bool:
        """One turn; answers whether there was anything to do. Raises ``Unavailable``."""
        now = self._look_at_the_clock()
        self._do_chores(now)
        spread = fan_out.fan_out(self._work.means, now=now)
        settled = self.settle()
        self._prolong()
        claimed = self._claim()
        return bool(spread or settled or claimed)

    def _look_at_the_clock(self) -> datetime:
        now = self._work.clock()
        if self._last is None or now < self._last - _BACKWARD:
            mended = dispatch.mend_clock(self._work.means, now=now)
            if mended:
                self._log.warning("the clock was set back", deliveries=mended)
        self._last = now
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + dispatch.LEASE.total_seconds() / 2
            ended = self._forsaken.look(self._work.means, now=now, at=time.monotonic())
            if ended:
                self._log.warning("claims of a clock that was ahead were ended", deliveries=ended)
        return now

    def _do_chores(self, now: datetime) -> None:
        if time.monotonic() < self._next_chores:
            return
        self._next_chores = time.monotonic() + self._work.every
        for chore in self._work.chores:
            try:
                chore(self._work.means, now=now)
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001  a fault in one chore must not silence what is to be sent
                self._log.error("a chore has failed", exc_info=error)

    # --------------------------------------------------------------------------------------------------------- sending
    def _claim(self) -> int:
        work, sending = self._work, Counter(task.claimed.subscription for task in self._under_way.values())
        ahead = {name: 1 for name, took in self._took.items() if took >= _SLOW}
        room = Room(
            most=_AHEAD * work.threads - len(self._under_way),
            each=_AHEAD * self._share,
            slow=dict.fromkeys(ahead, self._share),
            under_way=sending,
        )
        claimed = dispatch.claim(work.means, by=self.id, room=room, now=work.clock())
        new = [one for one in claimed if one.id not in self._under_way]
        tasks = self._gathered(new) if new else []
        for task in tasks:
            self._under_way[task.claimed.id] = task
            self._queues[task.claimed.subscription].append(task)
        self._leave_the_changed()
        for name in {task.claimed.subscription for task in tasks}:
            self._set_to_work(name)
        return len(tasks)

    def _gathered(self, claimed: Sequence[Claimed]) -> list[Task]:
        """What is to be said of them; when that cannot be looked up now, they are let go for the next round."""
        try:
            return dispatch.gather(self._work.means, claimed, self._work.shown)
        except Exception:
            self._dropped.extend(one.id for one in claimed)
            raise

    def _set_to_work(self, name: str) -> None:
        """Let as many threads serve a receiver as there is something for, up to its share."""
        with self._lock:
            # Those that serve it are busy with what has left the queue; one that finds nothing more steps out.
            more = min(len(self._queues[name]), self._share - self._serving[name])
            self._serving[name] += max(0, more)
        for _ in range(more):
            self._threads.submit(self._serve, name)

    def _leave_the_changed(self) -> None:
        """What was claimed for a subscription that has been changed since is looked up anew."""
        looked = time.monotonic()
        known = {name: queue[0].subscription.version for name, queue in self._queues.items() if queue}
        current = dispatch.versions(self._work.means, known) if known else {}
        for name, version in known.items():
            if current.get(name) != version:
                self._leave_alone(name)
        self._looked = looked

    def _serve(self, name: str) -> None:
        """Send one message to a receiver, and stand in line again: the others have their turns meanwhile.

        When it fails, the rest is left alone; and so is all when nobody has looked lately whether it may be sent.
        """
        looked, task = self._looked, self._next(name)
        if task is None:
            return
        if time.monotonic() - looked > _FRESH:
            self._leave_alone(name, task)
        elif self._stopping.is_set() or not self._send(task):
            self._leave_alone(name)
        if self._stopping.is_set():
            self._step_out(name)
        else:
            self._threads.submit(self._serve, name)

    def _next(self, name: str) -> Task | None:
        with self._lock:
            if self._queues[name]:
                return self._queues[name].popleft()
            self._serving[name] -= 1
        return None

    def _step_out(self, name: str) -> None:
        with self._lock:
            self._serving[name] -= 1

    def _leave_alone(self, name: str, *tasks: Task) -> None:
        with self._lock:
            self._left.extend(tasks)
            self._left.extend(self._queues[name])
            self._queues[name].clear()

    def _send(self, task: Task) -> bool:
        """Send one; answers whether its receiver may be asked again at once."""
        began, at = time.monotonic(), self._work.clock()
        outcome = self._outcome(task, at)
        took = int((time.monotonic() - began) * 1000)
        self._took[task.subscription.id] = took
        self._done.put(Done(task=task, at=at, milliseconds=took, outcome=outcome))
        return not isinstance(outcome, Later)

    def _outcome(self, task: Task, at: datetime) -> Outcome:
        try:
            sender = self._work.senders[task.subscription.channel]
            return sender.send(dispatch.letter(task, source=self._work.shown.source, now=at))
        except Exception as error:  # noqa: BLE001  a fault of ours must not silence the other deliveries
            self._log.error("a delivery could not be sent", delivery=task.claimed.id, exc_info=error)
            return Later(why="the service has failed")

    def _wait(self, seconds: float) -> None:
        """Wait until something comes back, or for so long."""
        try:
            self._unsettled.append(self._done.get(timeout=seconds))
        except Empty:
            return

    # -------------------------------------------------------------------------------------------------------- settling
    def settle(self) -> int:
        """Take down what came back; answers how many. Raises ``Unavailable``; then it is kept for the next time."""
        while not self._done.empty():
            self._unsettled.append(self._done.get())
        if self._unsettled:
            self._take_down()
        if self._dropped:
            dispatch.give_up(self._work.means, self._dropped, by=self.id)
            self._dropped.clear()
        if self._left:
            self._let_go([self._left.popleft() for _ in range(len(self._left))])
        settled, self._settled = self._settled, 0
        return settled

    def _take_down(self) -> None:
        done = list(self._unsettled)
        held = self._written_down(done)
        self._unsettled.clear()
        self.tried += len(done)
        self._settled += len(done)
        for one in done:
            self._under_way.pop(one.task.claimed.id, None)
            self._tell(one, lost=one.task.claimed.id not in held)

    def _written_down(self, done: Sequence[Done]) -> frozenset[str]:
        """Write down all together, or, when one of them cannot be, each by itself."""
        try:
            return dispatch.settle(self._work.means, done, now=self._work.clock())
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  one of them must not keep the others from being written down
            if len(done) == 1:
                self._log.error("what became of a delivery cannot be written down", exc_info=error)
                return frozenset()
        return frozenset().union(*(self._written_down([one]) for one in done))

    def _let_go(self, tasks: Sequence[Task]) -> None:
        if not tasks:
            return
        names = [task.claimed.id for task in tasks]
        for name in names:
            self._under_way.pop(name, None)
        dispatch.give_up(self._work.means, names, by=self.id)

    def _tell(self, one: Done, *, lost: bool) -> None:
        who = {"delivery": one.task.claimed.id, "subscription": one.task.subscription.id, "type": one.task.event.type}
        if lost:
            self._log.warning("a claim was lost while sending", **who)
        elif not isinstance(one.outcome, Sent):
            tries = one.task.claimed.tries + 1
            self._log.warning("a delivery failed", **who, why=one.outcome.why, status=one.outcome.status, tries=tries)

    def _prolong(self) -> None:
        if self._under_way and time.monotonic() >= self._next_prolonging:
            self._next_prolonging = time.monotonic() + dispatch.LEASE.total_seconds() / 3
            dispatch.prolong(self._work.means, list(self._under_way), by=self.id, now=self._work.clock())

    def _finish(self) -> None:
        """Send what is being sent, take it down, and let go of the rest."""
        self._stopping.set()
        ends = time.monotonic() + self._work.graceful
        try:
            while self._serving.total() and time.monotonic() < ends:
                self._wait(_LOOK)
                self._prolong()
            self._threads.shutdown(wait=False, cancel_futures=True)
            self.settle()
            self._let_go(list(self._under_way.values()))
        except Unavailable as error:
            self._log.warning("the dispatcher ended without the database", why=error.why)
