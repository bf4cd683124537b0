"""Rows of deliveries that are put on their way once more, or dropped.

Law: what is sent once more is the same event under the same id. Whoever asks at the same moment as another counts only
what they brought about themselves.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, literal_column, or_, select, update

from service.domain.subscriptions import DeliveryState
from service.storage.tables_delivery import deliveries

_C = deliveries.c
_FAILED: Any = literal_column("deliveries.state = 'failed'")  # as it stands in the partial index
_WAITING: Any = literal_column("deliveries.state = 'waiting'")
_FREE = {"claim": None, "claimed_at": None, "claimed_until": None}


def _anew(now: datetime) -> dict[str, Any]:
    return {"state": DeliveryState.WAITING.value, "tries": 0, "next_at": now, "done_at": None, **_FREE}


def again(connection: Connection, name: str, *, now: datetime) -> bool:
    """Put one delivery on its way once more; False when it is being sent at this moment, or was dropped."""
    ended = _C.state.in_((DeliveryState.FAILED.value, DeliveryState.SENT.value))
    free = _WAITING & or_(_C.claimed_until.is_(None), _C.claimed_until <= now)
    wanted = (_C.id == name) & or_(ended, free)
    return bool(connection.execute(update(deliveries).where(wanted).values(**_anew(now))).rowcount)


def all_again(connection: Connection, subscription: str, *, since: datetime, now: datetime) -> int:
    """Put everything on its way once more that has failed since a time; answers how many it was."""
    wanted = (_C.subscription_id == subscription) & _FAILED & (_C.done_at >= since)
    return connection.execute(update(deliveries).where(wanted).values(**_anew(now))).rowcount


def count_failed(connection: Connection, subscription: str, *, since: datetime) -> int:
    """How many have failed since a time."""
    wanted = (_C.subscription_id == subscription) & _FAILED & (_C.done_at >= since)
    found: int = connection.execute(select(func.count()).select_from(deliveries).where(wanted)).scalar_one()
    return found


def drop(connection: Connection, subscription: str, *, now: datetime) -> int:
    """Drop what waits for a subscription; answers how many it was."""
    gone = {"state": DeliveryState.DROPPED.value, "done_at": now, **_FREE}
    waiting = (_C.subscription_id == subscription) & _WAITING
    return connection.execute(update(deliveries).where(waiting).values(**gone)).rowcount
