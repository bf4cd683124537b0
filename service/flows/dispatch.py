"""Dispatching: what is on its way is claimed, sent while nothing is held, and what became of it is taken down.

    claim (a transaction) ─► gather what is to be said (a reading) ─► send (nothing held) ─► settle (a transaction)

Law: at least once, in the order of each lane. A dispatcher that dies anywhere in this cycle leaves claims that lapse
by themselves; then another sends the same message again, under the same id.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection

from service.delivery.letter import Letter
from service.delivery.outcome import Later, Outcome, Refused, Sent
from service.domain import retries
from service.domain.events import Event
from service.domain.subscriptions import DeliveryState, Format, Payload, Subscription
from service.flows.means import Means
from service.formats import events as event_formats
from service.formats.events import Telling
from service.storage import deliveries, delivery_clock, history, subscriptions
from service.storage.deliveries import Attempt, Claimed
from service.storage.delivery_clock import Held
from service.storage.history import FlagView

# A claim that is not prolonged lapses after so long; a dispatcher prolongs its own three times in that time.
LEASE = timedelta(seconds=30)
_AT_LEAST = 8
_TOO_MANY = 429  # Too Many Requests (RFC 6585)
_PROBE = 1  # messages at a time to a receiver that has failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much may be claimed: so many in all, and so many for one receiver, less what is under way to it already.

    ``slow``: receivers that get less. One to which nothing is under way gets a few, however much others have.
    """

    most: int
    each: int
    slow: Mapping[str, int] = field(default_factory=dict)
    under_way: Mapping[str, int] = field(default_factory=dict)

    def left(self, subscription: str, failures: int) -> int:
        """What one receiver may get now."""
        busy = self.under_way.get(subscription, 0)
        share = self.slow.get(subscription, self.each) if failures == 0 else _PROBE
        return min(max(self.most, 0 if busy else min(_AT_LEAST, share)), share - busy)

    def less(self, taken: int) -> "Room":
        return replace(self, most=self.most - taken)


def claim(means: Means, *, by: str, room: Room, now: datetime) -> list[Claimed]:
    """Claim what is due, as far as there is room, each receiver in its turn. Raises ``Unavailable``."""
    with means.database.reading() as connection:
        ready = deliveries.due(connection, now=now)
    if not ready:
        return []
    # Whoever comes first in the list would have all the room, were it always the same.
    at = secrets.randbelow(len(ready))
    found: list[Claimed] = []
    with means.database.transaction() as connection:
        for name, failures in (*ready[at:], *ready[:at]):
            most = room.less(len(found)).left(name, failures)
            if most > 0:
                found += deliveries.claim(connection, name, by=by, now=now, until=now + LEASE, most=most)
    return found


def versions(means: Means, names: Iterable[str]) -> Mapping[str, int]:
    """The versions of the subscriptions to which something may be sent now. Raises ``Unavailable``."""
    with means.database.reading() as connection:
        return deliveries.versions(connection, names)


def prolong(means: Means, names: Sequence[str], *, by: str, now: datetime) -> None:
    """Hold on to claims that are still at work. Raises ``Unavailable``."""
    with means.database.transaction() as connection:
        deliveries.hold_on(connection, names, by=by, until=now + LEASE)


def give_up(means: Means, names: Sequence[str], *, by: str) -> None:
    """Let go of claims that will not be worked on. Raises ``Unavailable``."""
    with means.database.transaction() as connection:
        deliveries.let_go(connection, names, by=by)


# ------------------------------------------------------------------------------------------------------------- gather
@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How a flag is shown in full: as our API shows it, and as a FHIR resource. ``source``: where we are reached."""

    flag: Callable[[FlagView], Mapping[str, Any]]
    resource: Callable[[Connection, FlagView], Mapping[str, Any]]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A claimed delivery with everything that is needed to send it."""

    claimed: Claimed
    event: Event
    subscription: Subscription
    flag: Mapping[str, Any] | None = field(default=None, repr=False)
    resource: Mapping[str, Any] | None = field(default=None, repr=False)


def gather(means: Means, claimed: Sequence[Claimed], shown: Shown) -> list[Task]:
    """Look up what is to be said of claimed deliveries. Raises ``Unavailable``.

    One whose event is there no longer was erased with its patient, and so is its delivery.
    """
    with means.database.reading() as connection:
        events = deliveries.events(connection, {one.event for one in claimed})
        known = {one.id: one for one in subscriptions.alive(connection)}
        tasks = [
            Task(claimed=one, event=events[one.event], subscription=known[one.subscription])
            for one in claimed
            if one.event in events and one.subscription in known
        ]
        tasks = [_as_it_is_now(connection, task) if task.claimed.attempts else task for task in tasks]
        return [_in_full(connection, task, shown) if _wants_all(task) else task for task in tasks]


def _as_it_is_now(connection: Connection, task: Task) -> Task:
    """The event with the present states of its episode and flag.

    What is told late, or out of its order by a replay, must not open what nothing will end.
    """
    event = task.event
    states = {
        "episode_state": deliveries.episode_state(connection, event.patient, event.episode),
        "flag_state": deliveries.flag_state(connection, event.flag),
    }
    known = {name: state for name, state in states.items() if state is not None}
    return replace(task, event=replace(event, data={**event.data, **known}))


def _wants_all(task: Task) -> bool:
    return task.subscription.payload is Payload.FULL and task.event.flag is not None


def _in_full(connection: Connection, task: Task, shown: Shown) -> Task:
    try:
        return _shown(connection, task, shown)
    except Exception as error:  # noqa: BLE001  told thin rather than not at all, and the others in any case
        structlog.get_logger().error("a flag cannot be shown in full", delivery=task.claimed.id, exc_info=error)
        return task


def _shown(connection: Connection, task: Task, shown: Shown) -> Task:
    view = history.flag_view(connection, str(task.event.flag))
    if task.subscription.format is Format.FHIR:
        return replace(task, resource=shown.resource(connection, view))
    return replace(task, flag=shown.flag(view))


def letter(task: Task, *, source: str, now: datetime) -> Letter:
    """The message of a delivery, addressed and ready to be sent now."""
    to = task.subscription
    telling = Telling(
        event=task.event,
        at=now,
        number=task.claimed.number,
        subscription=to.id,
        source=source,
        payload=to.payload,
        flag=task.flag,
        resource=task.resource,
        credential=to.credential,
    )
    written = event_formats.write(telling, to.format)
    return Letter(
        id=task.event.id,
        to=to.endpoint,
        body=written.body,
        content_type=written.content_type,
        headers=written.headers,
        subject=written.subject,
        at=now,
        secrets=to.secrets_at(now),
        credential=to.credential,
    )


# ------------------------------------------------------------------------------------------------------------- settle
@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a task: when it was tried, how long it took, and how it ended."""

    task: Task
    at: datetime
    milliseconds: int
    outcome: Outcome


def settle(means: Means, done: Sequence[Done], *, now: datetime) -> frozenset[str]:
    """Take down what became of tasks, and what follows for their receivers; answers those that were still ours.

    Raises ``Unavailable``; then nothing of it is taken down, and it can be settled again.
    """
    with means.database.transaction() as connection:
        current = deliveries.versions(connection, {one.task.subscription.id for one in done})
        attempts = [_attempt(one if _is_current(one, current) else _of_before(one)) for one in done]
        held = deliveries.record(connection, attempts, now=now)
        said: dict[str, Done] = {}
        for one in sorted(done, key=_asks_for_time):
            if one.task.claimed.id in held and _is_current(one, current):
                said[one.task.subscription.id] = one
        for name in sorted(said):
            _settle_receiver(connection, said[name], now=now)
    return held


def _asks_for_time(one: Done) -> timedelta:
    """What a receiver said last counts for it, but that it asked for time counts more."""
    asked = one.outcome.after if isinstance(one.outcome, Later) else None
    return asked or timedelta()


def _is_current(one: Done, current: Mapping[str, int]) -> bool:
    """Was it sent as its subscription is now? What an endpoint of before has said is not the new one's fault."""
    return isinstance(one.outcome, Sent) or current.get(one.task.subscription.id) == one.task.subscription.version


def _of_before(one: Done) -> Done:
    return replace(one, outcome=Later(why="the subscription was changed meanwhile", after=timedelta()))


def _attempt(one: Done) -> Attempt:
    outcome = one.outcome
    # A receiver that takes others: this one only came too soon.
    too_soon = outcome.status == _TOO_MANY and one.task.subscription.failures == 0
    tries = one.task.claimed.tries + (not too_soon)
    asked = outcome.after if isinstance(outcome, Later) else None
    wait = retries.wait(1 if too_soon else tries, chance=secrets.randbelow(retries.CHANCES), asked=asked)
    again = isinstance(outcome, Later) and not wait.over
    return Attempt(
        claimed=one.task.claimed,
        tries=tries,
        at=one.at,
        outcome=_WORDS[type(outcome)],
        state=_state(outcome, again=again),
        next_at=one.at + wait.time if again else None,
        status=outcome.status,
        why=None if isinstance(outcome, Sent) else outcome.why,
        milliseconds=one.milliseconds,
        answer=_answer(one.task.subscription, outcome),
    )


def _answer(to: Subscription, outcome: Outcome) -> str | None:
    """What of an answer is kept: nothing where it may repeat a flag in full or a credential."""
    return None if to.payload is Payload.FULL or to.credential is not None else outcome.answer


_WORDS: Mapping[type, str] = {Sent: "sent", Later: "later", Refused: "refused"}


def _state(outcome: Outcome, *, again: bool) -> DeliveryState:
    # What a receiver that is gone was to have waits until somebody says where to send it now.
    if again or (isinstance(outcome, Refused) and outcome.gone):
        return DeliveryState.WAITING
    return DeliveryState.SENT if isinstance(outcome, Sent) else DeliveryState.FAILED


def _settle_receiver(connection: Connection, last: Done, *, now: datetime) -> None:
    name, outcome = last.task.subscription.id, last.outcome
    if isinstance(outcome, Refused) and outcome.gone:
        deliveries.disable(connection, name, why=outcome.why, now=now)
    elif isinstance(outcome, Later):
        failures = last.task.subscription.failures + 1
        until = now + retries.hold(failures, asked=outcome.after)
        deliveries.failed_again(connection, name, failures=failures, until=until, now=now)
    else:
        deliveries.went_through(connection, name, begun=last.at, now=now)


class Forsaken:
    """Claims from a clock that was ahead: they would lapse much later, also when nobody holds them any more.

    Whoever lives prolongs what they hold; so it is watched whether that happens, by a clock that nobody sets.
    """

    def __init__(self) -> None:
        self._seen: Mapping[Held, float] = {}

    def look(self, means: Means, *, now: datetime, at: float) -> int:
        """End those that have not been prolonged for as long as a claim lasts; answers how many.

        ``at``: the seconds of a monotonic clock. Raises ``Unavailable``.
        """
        with means.database.reading() as connection:
            held = delivery_clock.held_beyond(connection, now + LEASE)
        self._seen = {one: self._seen.get(one, at) for one in held}
        left = [one for one, since in self._seen.items() if at - since > LEASE.total_seconds()]
        if not left:
            return 0
        with means.database.transaction() as connection:
            return delivery_clock.end(connection, left)


def mend_clock(means: Means, *, now: datetime) -> int:
    """Put right what was timed by a clock that has gone back since. Raises ``Unavailable``."""
    with means.database.transaction() as connection:
        return delivery_clock.mend_clock(connection, now=now)
