"""Group commit: threads that want to write at the same time write in one transaction.

    a thread comes ─► nobody is writing: it leads, with everything that waits ─► all of them have their answers
                  └─► somebody is: it waits, for its answer or for its turn to lead

Law: who comes alone waits for nobody, and nobody is answered before what is answered is kept. One that fails does not
take the others with it: they are written one by one then.
"""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

from service.domain.errors import Unavailable

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

# How many are written together at most: the first of them waits for the last.
MOST = 64

# How many may wait for the whole time limit of a lock before the others of their group are told that it is busy.
_PATIENCE = 2

# Does all of it in one transaction; None for those that have to wait until the others are kept. The first never has to.
Work = Callable[[Sequence[Asked]], Sequence[Answer | None]]


class _Seat(Generic[Asked, Answer]):
    """One that waits: what it asks for, then its answer or what went wrong."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        # Locked until it is called. An Event has a second lock, for which all that are woken wait in turn.
        self.called = Lock()
        self.called.acquire()
        self.answer: Answer | None = None
        self.error: Exception | None = None

    @property
    def served(self) -> bool:
        return self.answer is not None or self.error is not None

    def result(self) -> Answer:
        if self.error is not None:
            raise self.error
        if self.answer is None:
            raise RuntimeError("called, but neither to lead nor with an answer")
        return self.answer


class GroupCommit(Generic[Asked, Answer]):
    """Where threads meet that have something to write."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: deque[_Seat[Asked, Answer]] = deque()
        self._led = False

    def run(self, asked: Asked, work: Work[Asked, Answer]) -> Answer:
        """The answer to what is asked, found together with what others ask at the same time. Raises what it raised."""
        seat: _Seat[Asked, Answer] = _Seat(asked)
        with self._lock:
            self._waiting.append(seat)
            leads, self._led = not self._led, True
        if not leads:
            seat.called.acquire()
        if not seat.served:
            self._lead(work)
        return seat.result()

    def _lead(self, work: Work[Asked, Answer]) -> None:
        """Serve some of those that wait, oneself first, and call the next to lead."""
        with self._lock:
            group = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
        try:
            _serve(group, work)
        finally:
            self._pass_on(group)

    def _pass_on(self, group: Sequence[_Seat[Asked, Answer]]) -> None:
        for seat in group:
            if not seat.served and seat is group[0]:
                seat.error = RuntimeError("the thread that led the group was stopped")
        with self._lock:
            self._waiting.extendleft(seat for seat in reversed(group) if not seat.served)
            following = self._waiting[0] if self._waiting else None
            self._led = following is not None
        called = [seat for seat in group if seat.served]
        for seat in called if following is None else [*called, following]:
            seat.called.release()


def _serve(group: Sequence[_Seat[Asked, Answer]], work: Work[Asked, Answer]) -> None:
    try:
        answers = work([seat.asked for seat in group])
    except Exception as error:  # noqa: BLE001  whose fault it was shows when each is tried by itself
        if isinstance(error, Unavailable) and not error.locked:
            _refuse(group, error)
        elif len(group) == 1:
            group[0].error = error
        else:
            _serve_each(group, work)
    else:
        for seat, answer in zip(group, answers, strict=True):
            seat.answer = answer


def _serve_each(group: Sequence[_Seat[Asked, Answer]], work: Work[Asked, Answer]) -> None:
    """Serve one by one. When several of them want what somebody else holds, the rest does not wait for it, too."""
    held_up = 0
    for place, seat in enumerate(group):
        _serve([seat], work)
        held_up += isinstance(seat.error, Unavailable)
        if held_up >= _PATIENCE:
            _refuse(group[place + 1 :], Unavailable("the database is busy", locked=True))
            return


def _refuse(group: Sequence[_Seat[Asked, Answer]], error: Unavailable) -> None:
    for seat in group:
        seat.error = Unavailable(error.why, locked=error.locked)
