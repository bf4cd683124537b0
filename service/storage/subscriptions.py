"""Rows of subscriptions.

Law: a row is changed only by whoever has seen its newest version. What delivery counts (``told``, ``failures``) is no
part of that version, so that what is on its way never makes a change of its owner stale.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, literal, select, text, tuple_, update

from service.domain.errors import NotFound
from service.domain.subscriptions import Channel, Filter, Format, Payload, Subscription, SubscriptionState
from service.storage.tables import Instant, outbox
from service.storage.tables_delivery import subscriptions

_C = subscriptions.c
_ALIVE = tuple(state for state in SubscriptionState if state is not SubscriptionState.DELETED)


def every(connection: Connection, *, states: Sequence[SubscriptionState] = _ALIVE) -> list[Subscription]:
    """The subscriptions in these states, the oldest first."""
    wanted = _C.state.in_([state.value for state in states])
    rows = connection.execute(select(subscriptions).where(wanted).order_by(_C.created_at, _C.id))
    return [_subscription(row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionFilter:
    """Which subscriptions a list is of: all that were not deleted."""


def page(connection: Connection, *, after: tuple[datetime, str] | None, limit: int | None) -> list[Subscription]:
    """Subscriptions that were not deleted, the oldest first: up to ``limit``, beginning after a time and an id."""
    statement = select(subscriptions).where(_C.state != SubscriptionState.DELETED.value)
    if after is not None:
        place = tuple_(literal(after[0], Instant), literal(after[1]))
        statement = statement.where(tuple_(_C.created_at, _C.id) > place)
    return list(map(_subscription, connection.execute(statement.order_by(_C.created_at, _C.id).limit(limit))))


def alive(connection: Connection) -> list[Subscription]:
    """Every subscription that was not deleted, the oldest first."""
    return every(connection)


def find(connection: Connection, name: str) -> Subscription:
    """The subscription with this id. Raises ``NotFound``, also when it was deleted."""
    wanted = (_C.id == name) & (_C.state != SubscriptionState.DELETED.value)
    row = connection.execute(select(subscriptions).where(wanted)).one_or_none()
    if row is None:
        raise NotFound("subscription")
    return _subscription(row)


def named(connection: Connection, name: str) -> Subscription | None:
    """The subscription of this name that was not deleted, if there is one."""
    wanted = (_C.name == name) & (_C.state != SubscriptionState.DELETED.value)
    row = connection.execute(select(subscriptions).where(wanted)).one_or_none()
    return None if row is None else _subscription(row)


def newest_event(connection: Connection) -> int:
    """The place of the newest event; whatever is told from now on comes behind it.

    Places are given out before they can be seen: on PostgreSQL one that is lower than the newest could come to light
    later, and nobody would tell it. So this waits until whoever writes events has ended, and holds up others until
    this transaction ends.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = '2s'"))
        connection.execute(text("LOCK TABLE outbox IN SHARE MODE"))
    newest: int | None = connection.execute(select(func.max(outbox.c.seq))).scalar()
    return newest or 0


def add(connection: Connection, new: Subscription) -> None:
    """Keep a new subscription. Raises ``IntegrityError`` when another has its name."""
    counted = {"from_seq": new.from_seq, "told": new.told, "failures": new.failures, "hold_until": new.hold_until}
    connection.execute(insert(subscriptions).values(**_values(new), **counted))


def change(connection: Connection, changed: Subscription, *, now: datetime, anew: bool = False) -> Subscription | None:
    """Replace what is kept of a subscription; ``changed`` is the version that was read, with the changes made to it.

    Answers the new version, or None when it is another one by now. With ``anew`` its receiver is no longer left alone
    for having failed. Raises ``IntegrityError`` when another has its name.
    """
    newer = replace(changed, version=changed.version + 1, changed_at=now)
    values = _values(newer) | (_ANEW if anew else {})
    mine = (_C.id == changed.id) & (_C.version == changed.version)
    done = connection.execute(update(subscriptions).where(mine).values(**values)).rowcount
    return newer if done else None


def send_again(connection: Connection, name: str) -> None:
    """The receiver of a subscription is no longer left alone for having failed."""
    connection.execute(update(subscriptions).where(_C.id == name).values(hold_until=None, held_at=None))


_ANEW: dict[str, Any] = {"failures": 0, "hold_until": None, "held_at": None}


def _values(one: Subscription) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "channel": one.channel.value,
        "endpoint": one.endpoint,
        "format": one.format.value,
        "payload": one.payload.value,
        "filter": as_data(one.filter),
        "state": one.state.value,
        "why": one.why,
        "secret": one.secret,
        "old_secret": one.old_secret,
        "old_secret_until": one.old_secret_until,
        "credential": one.credential,
        "version": one.version,
        "created_at": one.created_at,
        "created_by": one.created_by,
        "changed_at": one.changed_at,
    }


def as_data(asked: Filter) -> dict[str, Any]:
    """What is asked for, as plain data."""
    lists = {name: list(getattr(asked, name)) for name in _LISTS}
    return lists | {"collected_within_hours": asked.collected_within_hours}


_LISTS = ("types", "findings", "severities", "sources")


def _filter(kept: dict[str, Any]) -> Filter:
    lists = {name: tuple(kept.get(name, ())) for name in _LISTS}
    return Filter(**lists, collected_within_hours=kept.get("collected_within_hours"))


def _subscription(row: Row[Any]) -> Subscription:
    return Subscription(
        id=row.id,
        name=row.name,
        channel=Channel(row.channel),
        endpoint=row.endpoint,
        format=Format(row.format),
        payload=Payload(row.payload),
        filter=_filter(row.filter),
        state=SubscriptionState(row.state),
        why=row.why,
        secret=row.secret,
        old_secret=row.old_secret,
        old_secret_until=row.old_secret_until,
        credential=row.credential,
        from_seq=row.from_seq,
        told=row.told,
        tests=row.tests,
        failures=row.failures,
        hold_until=row.hold_until,
        version=row.version,
        created_at=row.created_at,
        created_by=row.created_by,
        changed_at=row.changed_at,
    )
