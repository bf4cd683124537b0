"""Reading deliveries: by page, one with its attempts, and how a subscription is doing.

Law: reading changes nothing. A page costs the same at any depth: the deliveries of a subscription are numbered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, literal_column, select

from service.domain.errors import NotFound
from service.domain.subscriptions import DeliveryState, SubscriptionState
from service.storage.tables_delivery import deliveries, delivery_attempts, subscriptions

_C, _S = deliveries.c, subscriptions.c


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries of a subscription are wanted. An empty list wants all.

    ``since``: put on their way at this time or later.
    """

    subscription: str
    state: Sequence[str] = ()
    type: Sequence[str] = ()
    flag: str | None = None
    episode: str | None = None
    since: datetime | None = None


def page(connection: Connection, wanted: DeliveryFilter, *, below: int | None, limit: int) -> list[Row[Any]]:
    """Up to ``limit`` deliveries from the newest backward, those with numbers below ``below``."""
    conditions = [_C.subscription_id == wanted.subscription, *_conditions(wanted)]
    if below is not None:
        conditions.append(_C.number < below)
    statement = select(deliveries).where(*conditions).order_by(_C.number.desc()).limit(limit)
    return list(connection.execute(statement))


def _conditions(wanted: DeliveryFilter) -> list[ColumnElement[bool]]:
    lists = {_C.state: wanted.state, _C.type: wanted.type}
    found: list[ColumnElement[bool]] = [column.in_(values) for column, values in lists.items() if values]
    if wanted.flag is not None:
        found.append((_C.flag_id == wanted.flag) | (_C.by_flag_id == wanted.flag))
    if wanted.episode is not None:
        found.append(_C.episode_id == wanted.episode)
    if wanted.since is not None:
        found.append(_C.created_at >= wanted.since)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """A delivery with every attempt that was made, the first one first."""

    delivery: Row[Any]
    attempts: Sequence[Row[Any]] = field(repr=False)


def view(connection: Connection, name: str) -> DeliveryView:
    """The delivery with this id. Raises ``NotFound``, also when its subscription was deleted."""
    joined = deliveries.join(subscriptions, _C.subscription_id == _S.id)
    wanted = (_C.id == name) & (_S.state != SubscriptionState.DELETED.value)
    row = connection.execute(select(deliveries).select_from(joined).where(wanted)).one_or_none()
    if row is None:
        raise NotFound("delivery")
    a = delivery_attempts.c
    tried = connection.execute(select(delivery_attempts).where(a.delivery_id == name).order_by(a.number))
    return DeliveryView(delivery=row, attempts=tried.all())


def behind(connection: Connection, row: Row[Any]) -> str | None:
    """The oldest delivery that has to go through before this one: they are about the same episode."""
    if row.state != DeliveryState.WAITING.value:
        return None
    lane = (_C.subscription_id == row.subscription_id) & (_C.lane == row.lane) & (_C.event_seq < row.event_seq)
    oldest = select(_C.id).where(lane, _so(DeliveryState.WAITING)).order_by(_C.event_seq).limit(1)
    found: str | None = connection.execute(oldest).scalar_one_or_none()
    return found


def _so(state: DeliveryState) -> ColumnElement[bool]:
    """Is it in this state? It stands in the statement as it stands in the partial indexes."""
    return literal_column(f"deliveries.state = '{state.value}'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a subscription is doing. ``last_sent_at``: when the newest event that went through did.

    ``oldest_waiting_at``: since when the longest waiting event waits.
    """

    waiting: int = 0
    failed: int = 0
    last_sent_at: datetime | None = None
    last_failed_at: datetime | None = None
    oldest_waiting_at: datetime | None = None


def health(connection: Connection, names: Sequence[str]) -> Mapping[str, Health]:
    """How some subscriptions are doing, by id."""
    waiting = _counted(connection, names, DeliveryState.WAITING, moment=func.min(_C.created_at))
    failed = _counted(connection, names, DeliveryState.FAILED, moment=func.max(_C.done_at))
    return {
        name: Health(
            waiting=waiting[name][0] if name in waiting else 0,
            failed=failed[name][0] if name in failed else 0,
            last_sent_at=_last_sent(connection, name),
            last_failed_at=failed[name][1] if name in failed else None,
            oldest_waiting_at=waiting[name][1] if name in waiting else None,
        )
        for name in names
    }


def _counted(
    connection: Connection, names: Sequence[str], state: DeliveryState, *, moment: Any
) -> Mapping[str, tuple[int, datetime]]:
    statement = (
        select(_C.subscription_id, func.count().label("held"), moment.label("moment"))
        .where(_C.subscription_id.in_(names), _so(state))
        .group_by(_C.subscription_id)
    )
    return {row.subscription_id: (row.held, row.moment) for row in connection.execute(statement)}


def _last_sent(connection: Connection, name: str) -> datetime | None:
    sent = (_C.subscription_id == name) & (_C.state == DeliveryState.SENT.value)
    newest = select(_C.done_at).where(sent).order_by(_C.number.desc()).limit(1)
    found: datetime | None = connection.execute(newest).scalar_one_or_none()
    return found
