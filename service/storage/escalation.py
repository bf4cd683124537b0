"""Rows of the escalation policy, of the episodes that wait for somebody, and of the steps taken for them.

Law: a version of the policy is never changed once kept. An episode is looked at under its own index, so that looking
takes no longer the more is kept, and intake pays nothing for it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, exists, func, insert, literal_column, or_, select

from service.domain.acts import ActKind
from service.domain.escalation import Policy, Step, StepState, Taken
from service.domain.rules import Severity
from service.domain.subscriptions import DeliveryState, SubscriptionState
from service.storage import acts
from service.storage.tables import episodes, flags, outbox, patients
from service.storage.tables_acts import acts as act_rows
from service.storage.tables_delivery import deliveries, delivery_attempts, subscriptions
from service.storage.tables_watch import escalation_policy, escalations

_E, _O, _A, _F, _P, _S = episodes.c, outbox.c, act_rows.c, flags.c, escalation_policy.c, escalations.c
_D, _T, _U = deliveries.c, delivery_attempts.c, subscriptions.c

# With these events an episode begins to wait for somebody.
GOES_ON = ("lab.flag.repeated", "lab.flag.improved")
BEGINS = ("lab.flag.raised", "lab.flag.escalated", "lab.flag.reopened", "lab.flag.unacknowledged")
# As texts, as they stand in the partial indexes: SQLite would not use them for parameters.
_GRAVE = (
    "episodes.state = 'open'",
    "episodes.level IN ('severe', 'critical')",
    "episodes.acknowledged_by IS NULL",
)
_UNHEARD = "escalations.state = 'unheard'"
_KEPT = timedelta(hours=24)  # a delivery is, at least: ``LAB_ALERTS_KEEP_DELIVERIES_DAYS`` is in days
# Steps are counted for so long.
LATELY = timedelta(hours=24)


# ------------------------------------------------------------------------------------------------------------- policy
@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPolicy:
    """A version of the policy as kept; version 0 is the empty one that nobody has made.

    ``since``: when this and the versions before it began to escalate each severity, without a break.
    """

    policy: Policy
    version: int = 0
    since: Mapping[str, datetime] = field(default_factory=dict)
    created_at: datetime | None = None
    created_by: str | None = None


def policy(connection: Connection) -> KeptPolicy:
    """The policy in force."""
    versions = list(map(_kept, connection.execute(select(escalation_policy).order_by(_P.version.desc()))))
    if not versions:
        return KeptPolicy(policy=Policy())
    return replace(versions[0], since=_in_force(versions))


def _in_force(versions: Sequence[KeptPolicy]) -> dict[str, datetime]:
    """Since when each severity is escalated. The newest version is the first."""
    found: dict[str, datetime] = {}
    for level in versions[0].policy.levels:
        for one in versions:
            if not one.policy.steps or level not in one.policy.levels:
                break
            found[level.value] = one.created_at or found[level.value]
    return found


def _kept(row: Row[Any]) -> KeptPolicy:
    steps = tuple(Step(**one) for one in row.steps)
    return KeptPolicy(
        policy=Policy(severity=Severity(row.severity), steps=steps),
        version=row.version,
        created_at=row.created_at,
        created_by=row.created_by,
    )


def keep_policy(connection: Connection, new: KeptPolicy) -> None:
    """Keep a new version. Raises ``IntegrityError`` when somebody else was quicker."""
    row = {"version": new.version, "severity": new.policy.severity.value, "steps": as_data(new.policy)["steps"]}
    made = {"created_at": new.created_at, "created_by": new.created_by}
    connection.execute(insert(escalation_policy).values(**row, **made))


def as_data(found: Policy) -> dict[str, Any]:
    """What a policy says, as plain data."""
    steps = [{"subscription": one.subscription, "after_minutes": one.after_minutes} for one in found.steps]
    return {"severity": found.severity.value, "steps": steps}


# ------------------------------------------------------------------------------------------------------ who waits
@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An episode that waits for somebody. ``since_id``: the event or the act with which it began to, at ``since``.

    ``flag``: its newest one, and ``source`` is that of it.
    """

    patient: str
    episode: str
    finding: str
    level: str
    flag: str
    source: str
    collected_at: datetime
    since_id: str
    since: datetime

    @property
    def name(self) -> tuple[str, str, str]:
        return self.patient, self.episode, self.since_id


def waiting(
    connection: Connection, levels: Iterable[Severity], *, now: datetime, only: tuple[str, str] | None = None
) -> list[Waiting]:
    """The episodes of these severities that wait for somebody; ``only`` the one of a patient.

    Neither those that are acknowledged or snoozed, nor those of which nobody was to be told: trials and history.
    """
    statement = _waiting(frozenset(one.value for one in levels))
    if only is not None:
        statement = statement.where((_E.patient_id == only[0]) & (_E.id == only[1]))
    found = (_since(connection, row, now) for row in connection.execute(statement).all())
    return [one for one in found if one is not None]


@cache
def _waiting(levels: frozenset[str]) -> Select[Any]:
    loud = [_O.data[name].as_string().is_(None) for name in ("test", "quiet")]
    mine = (_O.patient_id == _E.patient_id) & (_O.episode_id == _E.id)
    grave = _O.data["severity"].as_string().in_(levels)
    began = select(_O.id).where(mine, _O.type.in_(BEGINS), grave, *loud).order_by(_O.seq.desc()).limit(1)
    # Where it began as a trial or as history, of which nobody was told, the first that is told begins it.
    first = select(_O.id).where(mine, _O.type.in_(GOES_ON), grave, *loud).order_by(_O.seq).limit(1)
    since = func.coalesce(*(one.correlate(episodes).scalar_subquery() for one in (began, first)))
    snoozed = (_A.patient_id == _E.patient_id) & (_A.episode_id == _E.id)
    kinds = _A.kind.in_((ActKind.SNOOZE.value, ActKind.UNSNOOZE.value))
    newest = select(_A.id).where(snoozed, kinds).order_by(_A.version.desc()).limit(1)
    event, act = outbox.alias("event"), act_rows.alias("act")
    joined = (
        episodes.join(event, event.c.id == since)
        .join(flags, (_F.patient_id == _E.patient_id) & (_F.id == _E.last_flag_id))
        .outerjoin(
            act, (act.c.patient_id == _E.patient_id) & (act.c.id == newest.correlate(episodes).scalar_subquery())
        )
    )
    own = (_E.patient_id, _E.id, _E.finding, _E.level, _E.last_flag_id, _E.last_at, _E.snoozed_by, _F.source)
    of_event = (event.c.id.label("event_id"), event.c.at.label("event_at"))
    of_act = (act.c.id.label("act_id"), act.c.at.label("act_at"), act.c.kind.label("act_kind"), act.c.until)
    return select(*own, *of_event, *of_act).select_from(joined).where(*_literally(_GRAVE), _E.level.in_(levels))


def _literally(conditions: Iterable[str]) -> list[ColumnElement[bool]]:
    return [literal_column(one) for one in conditions]


def _since(connection: Connection, row: Row[Any], now: datetime) -> Waiting | None:
    """Since when it waits: a snooze that has ended begins the waiting anew, as somebody has seen it meanwhile."""
    moments = [(row.event_at, row.event_id)]
    if row.snoozed_by is not None:
        if acts.attention(connection, row.patient_id, [row.id], now=now)[row.id].snoozed:
            return None
        moments.append((_end_of_snooze(connection, row, now), row.act_id))
    elif row.act_kind == ActKind.UNSNOOZE.value:
        moments.append((row.act_at, row.act_id))
    since, since_id = max(moments, key=lambda one: one[0])
    return Waiting(
        patient=row.patient_id,
        episode=row.id,
        finding=row.finding,
        level=row.level,
        flag=row.last_flag_id,
        source=row.source,
        collected_at=row.last_at,
        since_id=since_id,
        since=since,
    )


def _end_of_snooze(connection: Connection, row: Row[Any], now: datetime) -> datetime:
    """Its time was over, or the next result came before."""
    mine = (_F.patient_id == row.patient_id) & (_F.episode_id == row.id) & (_F.raised_at > row.act_at)
    came: datetime | None = connection.execute(select(func.min(_F.raised_at)).where(mine)).scalar()
    until: datetime = row.until
    return until if until <= now else came or row.act_at


def held(connection: Connection, patient_id: str) -> bool:
    """Hold the patient until the transaction ends; False when somebody else does, or the patient was erased."""
    mine = select(patients.c.id).where(patients.c.id == patient_id)
    return connection.execute(mine.with_for_update(key_share=True, skip_locked=True)).first() is not None


# -------------------------------------------------------------------------------------------------------------- steps
Steps = Mapping[tuple[str, str, str], Mapping[int, StepState]]
Unreached = Mapping[tuple[str, str, str], Collection[int]]


def steps_taken(connection: Connection, *, only: tuple[str, str] | None = None) -> Steps:
    """The steps that were taken for the episodes that wait, by ``name``; ``only`` for the one of a patient."""
    both = episodes.join(escalations, (_S.patient_id == _E.patient_id) & (_S.episode_id == _E.id))
    columns = (_S.patient_id, _S.episode_id, _S.since_id, _S.step, _S.state)
    statement = select(*columns).select_from(both).where(*_literally(_GRAVE))
    if only is not None:
        statement = statement.where((_S.patient_id == only[0]) & (_S.episode_id == only[1]))
    found: dict[tuple[str, str, str], dict[int, StepState]] = defaultdict(dict)
    for row in connection.execute(statement):
        found[row.patient_id, row.episode_id, row.since_id][row.step] = StepState(row.state)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptStep:
    """A step that is taken for an episode: by which version of the policy, whom it names, and the event that tells.

    ``anew``: it was told before, and reached nobody.
    """

    of: Waiting
    taken: Taken
    policy: int
    subscription: str
    event: str | None
    at: datetime
    anew: bool = False


def keep_step(connection: Connection, step: KeptStep) -> None:
    """Keep a step. What says that nobody could be told is over with it, and nothing else is.

    Raises ``IntegrityError`` when it was taken before, unless it is taken ``anew``.
    """
    of, number = step.of, step.taken.number
    mine = (_S.patient_id == of.patient, _S.episode_id == of.episode)
    _forget(connection, *mine, or_(_S.step == number, _S.since_id != of.since_id))
    if step.anew:
        connection.execute(delete(escalations).where(*mine, _S.since_id == of.since_id, _S.step == number))
    row = {"patient_id": of.patient, "episode_id": of.episode, "since_id": of.since_id, "step": number}
    became = {"state": step.taken.state.value, "event_id": step.event, "at": step.at}
    by = {"policy": step.policy, "subscription_id": step.subscription}
    connection.execute(insert(escalations).values(**row, **became, **by))


def forget_unheard(connection: Connection) -> None:
    """Another policy says anew of whom nobody can be told."""
    _forget(connection)


def _forget(connection: Connection, *of: ColumnElement[bool]) -> None:
    connection.execute(delete(escalations).where(literal_column(_UNHEARD), *of))


def unreached(connection: Connection, *, now: datetime, only: tuple[str, str] | None = None) -> Unreached:
    """Of the steps told for the episodes that wait, by ``name``, those that reached nobody, and will not by themselves.

    They were given up; or they wait for who is paused, disabled or deleted. What is being sent now may yet arrive.
    """
    mine = (_D.subscription_id == _S.subscription_id) & (_D.event_id == _S.event_id)
    joined = (
        episodes.join(escalations, (_S.patient_id == _E.patient_id) & (_S.episode_id == _E.id))
        .join(subscriptions, _U.id == _S.subscription_id)
        .outerjoin(deliveries, mine)
    )
    heard = exists().where(_T.delivery_id == _D.id, _T.outcome == "sent").correlate(deliveries)
    given_up = _D.state.in_((DeliveryState.FAILED.value, DeliveryState.DROPPED.value))
    stopped = _U.state != SubscriptionState.ACTIVE.value
    # There is a delivery soon after, and for a day at least: without one it waits for who will get none.
    waits = or_(_D.id.is_not(None), _S.at > now - _KEPT) & or_(_D.claimed_until.is_(None), _D.claimed_until <= now)
    lost = [_S.state == StepState.TOLD.value, ~heard, or_(given_up, stopped & waits)]
    columns = (_S.patient_id, _S.episode_id, _S.since_id, _S.step)
    statement = select(*columns).select_from(joined).where(*_literally(_GRAVE), *lost)
    if only is not None:
        statement = statement.where((_S.patient_id == only[0]) & (_S.episode_id == only[1]))
    found: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for row in connection.execute(statement):
        found[row.patient_id, row.episode_id, row.since_id].add(row.step)
    return found


# ------------------------------------------------------------------------------------------------------------- counted
@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Steps by number and what became of them, and how many episodes wait of which nobody can be told."""

    steps: Mapping[tuple[int, StepState], int] = field(default_factory=dict)
    unheard: int = 0


def counted(connection: Connection, *, since: datetime) -> Counted:
    """The steps since a moment, and the episodes of which nobody can be told now."""
    lately = select(_S.step, _S.state, func.count().label("held")).where(_S.at > since).group_by(_S.step, _S.state)
    still = episodes.join(escalations, (_S.patient_id == _E.patient_id) & (_S.episode_id == _E.id))
    grave = select(func.count(_E.id.distinct())).select_from(still).where(*_literally((*_GRAVE, _UNHEARD)))
    return Counted(
        steps={(row.step, StepState(row.state)): row.held for row in connection.execute(lately)},
        unheard=connection.execute(grave).scalar_one(),
    )
