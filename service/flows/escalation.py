"""Escalation: while nobody acknowledges what is grave, the next one is told.

    every few seconds: who waits, and is a step due? ─► hold the patient ─► look again ─► steps and events, one commit

Law: who takes a step holds the patient, as who acknowledges does, and looks again then: nothing is overdue after it was
acknowledged. A step is taken once, whoever looks at the same time.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from service.domain.actors import Actor
from service.domain.errors import BadInput, Fault, Stale, Unavailable
from service.domain.escalation import Policy, StepState, Taken, taken_now
from service.domain.events import Event
from service.domain.subscriptions import Subscription, SubscriptionState
from service.flows.means import Means
from service.formats.watch_asked import POLICY_KIND
from service.storage import escalation, outbox, subscriptions
from service.storage.escalation import KeptPolicy, KeptStep, Steps, Unreached, Waiting
from service.storage.ids import new_id
from service.storage.writes import Writes

OVERDUE = "lab.flag.overdue"
MOST = 200  # episodes in one round; the others have their turn in the next
_TRIES = 5


# ----------------------------------------------------------------------------------------------------------- the chore
def escalate(means: Means, *, now: datetime) -> int:
    """Take every step that is due; answers how many were told. Raises ``Unavailable``."""
    with means.database.reading() as connection:
        kept = escalation.policy(connection)
        if not kept.policy.steps:
            return 0
        found = _due(connection, kept, now=now)
    found.sort(key=lambda one: one.since)
    return sum(_take(one, kept, means, now=now) for one in found[:MOST])


def _due(connection: Connection, kept: KeptPolicy, *, now: datetime) -> list[Waiting]:
    """The episodes for which there is something to do."""
    first, levels = kept.policy.steps[0].after, kept.policy.levels
    waiting = [one for one in escalation.waiting(connection, levels, now=now) if _waited(one, kept, now) >= first]
    if not waiting:
        return []
    known = _known(connection, now=now)
    return [one for one in waiting if _taken(one, kept, known, now=now)]


def _waited(one: Waiting, kept: KeptPolicy, now: datetime) -> timedelta:
    """For how long it has waited; nobody is late by a policy that there was not."""
    return now - max(one.since, kept.since[one.level])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The steps that were taken, those of them that reached nobody, and who can be told."""

    before: Steps
    lost: Unreached
    active: Collection[str]


def _known(connection: Connection, *, now: datetime, only: tuple[str, str] | None = None) -> _Known:
    return _Known(
        before=escalation.steps_taken(connection, only=only),
        lost=escalation.unreached(connection, now=now, only=only),
        active=_active(connection),
    )


def _taken(one: Waiting, kept: KeptPolicy, known: _Known, *, now: datetime) -> Sequence[Taken]:
    before, lost = known.before.get(one.name, {}), known.lost.get(one.name, ())
    return taken_now(kept.policy, waited=_waited(one, kept, now), before=before, active=known.active, lost=lost)


def _active(connection: Connection) -> frozenset[str]:
    return frozenset(one.id for one in subscriptions.every(connection, states=[SubscriptionState.ACTIVE]))


def _take(seen: Waiting, kept: KeptPolicy, means: Means, *, now: datetime) -> int:
    """Take the steps of one episode, if it still waits; answers how many were told."""
    with means.database.transaction() as connection:
        # Somebody who writes about the patient now may be acknowledging: there is another round in a few seconds.
        if not escalation.held(connection, seen.patient):
            return 0
        only = seen.patient, seen.episode
        known = _known(connection, now=now, only=only)
        steps = [
            KeptStep(
                of=one,
                taken=taken,
                policy=kept.version,
                subscription=kept.policy.steps[taken.number - 1].subscription,
                event=new_id("evt") if taken.state is StepState.TOLD else None,
                at=now,
                anew=taken.number in known.lost.get(one.name, ()),
            )
            for one in escalation.waiting(connection, kept.policy.levels, now=now, only=only)
            for taken in _taken(one, kept, known, now=now)
        ]
        _keep(connection, steps)
    _log(steps)
    return sum(step.event is not None for step in steps)


def _keep(connection: Connection, steps: Sequence[KeptStep]) -> None:
    for step in steps:
        escalation.keep_step(connection, step)
    writes = Writes()
    outbox.keep(writes, [_event(step, step.event) for step in steps if step.event is not None])
    writes.flush(connection)


def _event(step: KeptStep, name: str) -> Event:
    of = step.of
    data = {
        "finding": of.finding,
        "severity": of.level,
        "flag": of.flag,
        "episode": of.episode,
        "step": step.taken.number,
        "waiting_minutes": int((step.at - of.since).total_seconds() // 60),
        "source": of.source,
        "collected_at": of.collected_at.isoformat(),
    }
    return Event(
        id=name,
        type=OVERDUE,
        at=step.at,
        patient=of.patient,
        episode=of.episode,
        flag=of.flag,
        only_for=step.subscription,
        data=data,
    )


_SAID = {
    StepState.TOLD: "a finding is overdue, and was told on",
    StepState.PASSED_OVER: "a step of escalation was passed over: it cannot be told, or reached nobody",
    StepState.TOO_LATE: "a step of escalation was left out: the finding is old",
    StepState.UNHEARD: "a finding is overdue, and nobody can be told",
}


def _log(steps: Sequence[KeptStep]) -> None:
    for step in steps:
        who = {"episode": step.of.episode, "step": step.taken.number, "subscription": step.subscription}
        told = structlog.get_logger()
        (told.error if step.taken.state is StepState.UNHEARD else told.warning)(_SAID[step.taken.state], **who)


# ------------------------------------------------------------------------------------------------------ shown and set
@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The policy in force, and those of its subscriptions that were not deleted, by id."""

    kept: KeptPolicy
    subscriptions: Mapping[str, Subscription]


def shown(means: Means) -> Shown:
    """The policy in force. Raises ``Unavailable``."""
    with means.database.reading() as connection:
        return _shown(connection, escalation.policy(connection))


def _shown(connection: Connection, kept: KeptPolicy) -> Shown:
    return Shown(kept=kept, subscriptions={one.id: one for one in subscriptions.alive(connection)})


def set_policy(
    wanted: Policy, means: Means, *, by: Actor, now: datetime, wish: Callable[[int], bool] = lambda _: True
) -> Shown:
    """Set the policy, as a new version unless it says the same.

    Raises ``BadInput`` when it names a subscription that there is not, ``Stale`` when the newest version is not one
    that is wished for, and ``Unavailable``.
    """
    new = KeptPolicy(policy=wanted, created_at=now, created_by=by.id)
    for _ in range(_TRIES):
        # Who sets it at the same moment as somebody else looks again at what is wished for, beside theirs.
        with suppress(IntegrityError), means.database.transaction() as connection:
            return _set(connection, new, wish)
    raise Unavailable("others are setting the escalation policy")


def _set(connection: Connection, new: KeptPolicy, wish: Callable[[int], bool]) -> Shown:
    held = escalation.policy(connection)
    if not wish(held.version):
        raise Stale(held.version)
    found = _shown(connection, held)
    _check(new.policy, found.subscriptions)
    if held.version and held.policy == new.policy:
        return found
    kept = KeptPolicy(policy=new.policy, version=held.version + 1, created_at=new.created_at, created_by=new.created_by)
    escalation.keep_policy(connection, kept)
    escalation.forget_unheard(connection)
    return Shown(kept=kept, subscriptions=found.subscriptions)


def _check(policy: Policy, known: Collection[str]) -> None:
    faults = [
        Fault(
            pointer=f"/steps/{at}/subscription",
            code="unknown-subscription",
            detail="is not the id of a subscription",
            hint="GET /v1/subscriptions lists them",
        )
        for at, step in enumerate(policy.steps)
        if step.subscription not in known
    ]
    if faults:
        raise BadInput(faults, kind=POLICY_KIND)
