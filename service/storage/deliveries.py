"""Rows of deliveries on their way: fanned out, claimed, and what became of each attempt.

    outbox ─► fanned out ─► waiting ─► claimed ─► sent, failed, or waiting for another try

Law: of one lane of one subscription only the oldest that waits can be claimed, and by one dispatcher at a time. What a
dispatcher says of a claim that it has lost is not taken down.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from service.domain.events import Event
from service.domain.subscriptions import DeliveryState, SubscriptionState
from service.storage.tables import Instant, episodes, flags, outbox
from service.storage.tables_delivery import deliveries, delivery_attempts, subscriptions

# Any number that nothing else in the same database takes; this one spells "lab" and "fan".
_FAN_OUT = 0x6C616266616E
# As a text, as it stands in the partial indexes: SQLite would not use them for a parameter.
_WAITING: ColumnElement[bool] = literal_column("deliveries.state = 'waiting'")


# ------------------------------------------------------------------------------------------------------------ fan out
def alone(connection: Connection) -> bool:
    """Is this the only one that fans out? Until its transaction ends, it stays so.

    Whoever fans out while another does could put a later event of an episode before an earlier one. SQLite has one
    writer anyway.
    """
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.execute(select(func.pg_try_advisory_xact_lock(_FAN_OUT))).scalar_one())


def wait_until_alone(connection: Connection) -> None:
    """Wait until nobody fans out; until this transaction ends, nobody does."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_FAN_OUT)))


def is_there_any(connection: Connection) -> bool:
    """Is there an event that nobody has looked at?"""
    return connection.execute(select(outbox.c.seq).where(_UNFANNED).limit(1)).first() is not None


_UNFANNED: ColumnElement[bool] = literal_column("NOT outbox.fanned")


def unfanned(connection: Connection, limit: int) -> list[tuple[int, Event]]:
    """The oldest events that nobody has looked at, with their places in the outbox."""
    rows = connection.execute(select(outbox).where(_UNFANNED).order_by(outbox.c.seq).limit(limit))
    return [(row.seq, event(row)) for row in rows]


def event(row: Row[Any]) -> Event:
    """The event in a row of the outbox."""
    return Event(
        id=row.id,
        type=row.type,
        at=row.at,
        patient=row.patient_id,
        episode=row.episode_id,
        flag=row.flag_id,
        only_for=row.only_for,
        data=row.data,
    )


def fanned(connection: Connection, places: Sequence[int]) -> None:
    """These events have been looked at."""
    connection.execute(update(outbox).where(outbox.c.seq.in_(places)).values(fanned=True))


def flags_of(connection: Connection, patient: str, episode: str) -> list[str]:
    """The flags of an episode."""
    wanted = (flags.c.patient_id == patient) & (flags.c.episode_id == episode)
    return list(connection.execute(select(flags.c.id).where(wanted)).scalars())


def begun_aloud(connection: Connection, wanted: Iterable[Event]) -> frozenset[str]:
    """Of the episodes of some events, those of which anybody may have been told that they began."""
    c, found = outbox.c, set[str]()
    for event in wanted:
        mine = (c.patient_id == event.patient) & (c.episode_id == event.episode) & c.type.in_(_BEGINNINGS)
        if any(
            not data.get("test") and not data.get("quiet")
            for data in connection.execute(select(c.data).where(mine)).scalars()
        ):
            found.add(str(event.episode))
    return frozenset(found)


_BEGINNINGS = ("lab.flag.raised", "lab.flag.escalated", "lab.flag.reopened")
_NAMES = 500  # in one statement: databases have limits of their own


def told_of(connection: Connection, names: Sequence[str]) -> list[tuple[str, str]]:
    """Who was told of these flags and episodes, or is about to be: (name, subscription)."""
    c, found = deliveries.c, list[tuple[str, str]]()
    for at in range(0, len(names), _NAMES):
        some = names[at : at + _NAMES]
        for column in (c.flag_id, c.by_flag_id, c.episode_id):
            wanted = column.in_(some) & (c.state != DeliveryState.DROPPED.value)
            rows = connection.execute(select(column, c.subscription_id).where(wanted).distinct())
            found += [(name, subscription) for name, subscription in rows]
    return found


def told_of_acknowledgements(
    connection: Connection, names: Sequence[str], types: Iterable[str]
) -> dict[tuple[str, str], str]:
    """Of these types, the last that was told of each episode to each subscription, by both."""
    c, found, types = deliveries.c, dict[tuple[str, str], str](), list(types)
    for at in range(0, len(names), _NAMES):
        wanted = (
            c.episode_id.in_(names[at : at + _NAMES]) & c.type.in_(types) & (c.state != DeliveryState.DROPPED.value)
        )
        rows = connection.execute(select(c.episode_id, c.subscription_id, c.type).where(wanted).order_by(c.event_seq))
        found |= {(row.episode_id, row.subscription_id): row.type for row in rows}
    return found


def add(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep new deliveries."""
    if rows:
        connection.execute(insert(deliveries), list(rows))


def count_on(connection: Connection, told: Mapping[str, tuple[int, int]]) -> None:
    """How many events each subscription has been told of, and how many of them were tests."""
    if told:
        counted: dict[str, Any] = {"told": bindparam("so_many"), "tests": bindparam("so_few")}
        statement = update(subscriptions).where(subscriptions.c.id == bindparam("of_id")).values(**counted)
        rows = [{"of_id": name, "so_many": count, "so_few": tests} for name, (count, tests) in told.items()]
        connection.execute(statement, rows)


# -------------------------------------------------------------------------------------------------------------- claim
@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery that one dispatcher is about to send. ``tries``: since it was put on its way, without this one.

    ``number``: which it is of what its subscription was told, tests left out.
    """

    id: str
    subscription: str
    number: int
    event: str
    claim: str
    attempts: int
    tries: int
    next_at: datetime = field(compare=False)


def due(connection: Connection, *, now: datetime) -> list[tuple[str, int]]:
    """The subscriptions to which something can be sent now, each with its failures in a row."""
    c, s = deliveries.c, subscriptions.c
    ready = exists().where(c.subscription_id == s.id, _WAITING, c.next_at <= now, _free(now))
    left_alone = or_(s.hold_until.is_(None), s.hold_until <= now)
    wanted = and_(s.state == SubscriptionState.ACTIVE.value, left_alone, ready)
    return [(row.id, row.failures) for row in connection.execute(select(s.id, s.failures).where(wanted).order_by(s.id))]


def _free(now: datetime) -> Any:
    return or_(deliveries.c.claimed_until.is_(None), deliveries.c.claimed_until <= now)


def claim(
    connection: Connection, subscription: str, *, by: str, now: datetime, until: datetime, most: int
) -> list[Claimed]:
    """Claim what can be sent to a subscription, the longest due first; the oldest of each lane and flag only.

    A flag can go to another episode, and so to another lane, while it waits to be told.
    """
    c = deliveries.c
    ready = (c.subscription_id == subscription, _WAITING, c.next_at <= now, _free(now))
    heads = select(c.id).where(*ready, *(~_older(name, of) for name, of in _IN_ORDER))
    picked = heads.order_by(c.next_at, c.event_seq).limit(most).with_for_update(skip_locked=True, of=deliveries)
    names = connection.execute(picked).scalars().all()
    if not names:
        return []
    marks = {"claim": by, "claimed_at": now, "claimed_until": until}
    rows = connection.execute(update(deliveries).where(c.id.in_(names)).values(**marks).returning(deliveries))
    return [_claimed(row) for row in sorted(rows, key=lambda row: (row.next_at, row.event_seq))]


_IN_ORDER = (("lane", "lane"), ("flag_id", "flag_id"), ("by_flag_id", "flag_id"))


def _older(name: str, of: str) -> ColumnElement[bool]:
    """Does an older one wait, of which this column says what the other says of this one?"""
    c, before = deliveries.c, deliveries.alias(f"before_{name}")
    return exists().where(
        before.c.subscription_id == c.subscription_id,
        before.c[name] == c[of],
        literal_column(f"before_{name}.state = 'waiting'"),
        before.c.event_seq < c.event_seq,
    )


def _claimed(row: Row[Any]) -> Claimed:
    return Claimed(
        id=row.id,
        subscription=row.subscription_id,
        number=row.number - row.tests,
        event=row.event_id,
        claim=row.claim,
        attempts=row.attempts,
        tries=row.tries,
        next_at=row.next_at,
    )


def hold_on(connection: Connection, names: Sequence[str], *, by: str, until: datetime) -> None:
    """Claims that are still at work are held for longer."""
    mine = deliveries.c.id.in_(names) & (deliveries.c.claim == by)
    connection.execute(update(deliveries).where(mine).values(claimed_until=until))


def let_go(connection: Connection, names: Sequence[str], *, by: str) -> None:
    """Claims that are not worked on: somebody else may have them."""
    mine = deliveries.c.id.in_(names) & (deliveries.c.claim == by)
    free = {"claim": None, "claimed_at": None, "claimed_until": None}
    connection.execute(update(deliveries).where(mine).values(**free))


def events(connection: Connection, names: Iterable[str]) -> Mapping[str, Event]:
    """Events by their ids."""
    rows = connection.execute(select(outbox).where(outbox.c.id.in_(list(names))))
    return {row.id: event(row) for row in rows}


def flag_state(connection: Connection, flag: str | None) -> str | None:
    """How a flag is now."""
    found: str | None = connection.execute(select(flags.c.state).where(flags.c.id == flag)).scalar_one_or_none()
    return found


def episode_state(connection: Connection, patient: str | None, episode: str | None) -> str | None:
    """How an episode is now."""
    mine = (episodes.c.patient_id == patient) & (episodes.c.id == episode)
    found: str | None = connection.execute(select(episodes.c.state).where(mine)).scalar_one_or_none()
    return found


# ------------------------------------------------------------------------------------------------------------- record
@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What became of one attempt. ``tries``: how many count by now. ``next_at``: when it is tried again, if it is."""

    claimed: Claimed
    tries: int
    at: datetime
    outcome: str
    state: DeliveryState
    next_at: datetime | None = None
    status: int | None = None
    why: str | None = None
    milliseconds: int
    answer: str | None = field(default=None, repr=False)


def record(connection: Connection, attempts: Sequence[Attempt], *, now: datetime) -> frozenset[str]:
    """Take down attempts; answers the deliveries of which the claim was still held."""
    held = _still_held(connection, attempts)
    counted = [one for one in attempts if one.claimed.id in held]
    if counted:
        connection.execute(insert(delivery_attempts), [_attempt_values(one) for one in counted])
        connection.execute(_SETTLE, [_settled_values(one, now) for one in counted])
    return held


def _still_held(connection: Connection, attempts: Sequence[Attempt]) -> frozenset[str]:
    c, claims = deliveries.c, {one.claimed.id: one.claimed for one in attempts}
    statement = select(c.id, c.claim, c.attempts).where(c.id.in_(claims)).order_by(c.id).with_for_update()
    rows = connection.execute(statement)
    return frozenset(
        row.id for row in rows if (row.claim, row.attempts) == (claims[row.id].claim, claims[row.id].attempts)
    )


def _attempt_values(one: Attempt) -> dict[str, Any]:
    return {
        "delivery_id": one.claimed.id,
        "number": one.claimed.attempts + 1,
        "at": one.at,
        "outcome": one.outcome,
        "status": one.status,
        "why": one.why,
        "milliseconds": one.milliseconds,
        "answer": one.answer or None,
    }


def _settled_values(one: Attempt, now: datetime) -> dict[str, Any]:
    return {
        "of_id": one.claimed.id,
        "to_state": one.state.value,
        "so_many": one.claimed.attempts + 1,
        "so_often": one.tries,
        "next": one.next_at or now,
        "tried": one.at,
        "done": None if one.state is DeliveryState.WAITING else now,
        "said": one.status,
        "because": one.why,
    }


_D = deliveries.c
_SETTLE = (
    update(deliveries)
    .where(_D.id == bindparam("of_id"))
    .values(
        state=bindparam("to_state"),
        attempts=bindparam("so_many"),
        tries=bindparam("so_often"),
        next_at=bindparam("next", type_=Instant),
        attempted_at=bindparam("tried", type_=Instant),
        done_at=bindparam("done", type_=Instant),
        status=bindparam("said"),
        why=bindparam("because"),
        claim=None,
        claimed_at=None,
        claimed_until=None,
    )
)


def versions(connection: Connection, names: Iterable[str]) -> Mapping[str, int]:
    """The versions of the subscriptions to which something may be sent now."""
    c = subscriptions.c
    wanted = c.id.in_(list(names)) & (c.state == SubscriptionState.ACTIVE.value)
    return {row.id: row.version for row in connection.execute(select(c.id, c.version).where(wanted))}


def went_through(connection: Connection, subscription: str, *, begun: datetime, now: datetime) -> None:
    """A receiver took a message that was sent at ``begun``: it is no longer left alone.

    What it has said since, while this was on its way, stays. What waits because it was away is tried again at once.
    """
    c, d = subscriptions.c, deliveries.c
    row = connection.execute(select(c.failures, c.held_at).where(c.id == subscription)).one_or_none()
    if row is None or not row.failures or (row.held_at is not None and row.held_at > begun):
        return
    connection.execute(
        update(subscriptions).where(c.id == subscription).values(failures=0, hold_until=None, held_at=None)
    )
    mine = (d.subscription_id == subscription) & _WAITING
    if row.failures >= _AWAY:
        connection.execute(update(deliveries).where(mine & (d.next_at > now)).values(next_at=now))
    else:
        soon = now + _SOON
        connection.execute(
            update(deliveries).where(mine & (d.tries == _TWICE) & (d.next_at > soon)).values(next_at=soon)
        )


# So many failures in a row were the receiver's, not those of one message that it cannot take. After fewer, what has
# failed twice is tried a little later, as it may have been either.
_AWAY = 3
_TWICE, _SOON = 2, timedelta(seconds=20)


def failed_again(connection: Connection, subscription: str, *, failures: int, until: datetime, now: datetime) -> None:
    """A receiver has failed so often in a row: it is left alone until a time."""
    mine = subscriptions.c.id == subscription
    held = {"failures": failures, "hold_until": until, "held_at": now}
    connection.execute(update(subscriptions).where(mine).values(**held))


def disable(connection: Connection, subscription: str, *, why: str, now: datetime) -> None:
    """Nothing more is sent to a receiver until somebody resumes it."""
    c = subscriptions.c
    mine = (c.id == subscription) & (c.state == SubscriptionState.ACTIVE.value)
    values = {"state": SubscriptionState.DISABLED.value, "why": why, "changed_at": now, "version": c.version + 1}
    connection.execute(update(subscriptions).where(mine).values(**values))
