"""Rows of feeds, each with when its source was last heard.

Law: a feed falls silent, and is heard again, by one change of its row that only one of many can make.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, ScalarSelect, Select, delete, insert, literal, select, update

from service.domain.errors import NotFound
from service.domain.feeds import Feed
from service.storage.panels import TRIAL
from service.storage.tables import panels, patients
from service.storage.tables_watch import feeds

_C, _P = feeds.c, panels.c


def _last() -> ScalarSelect[Any]:
    """When the newest panel of a feed's source was received. What is only a trial says nothing of the laboratory."""
    real = ~patients.c.authority.startswith(literal(TRIAL), autoescape=False)
    own = select(_P.received_at).join(patients, patients.c.id == _P.patient_id).where(_P.source == _C.source, real)
    return own.order_by(_P.received_at.desc()).limit(1).correlate(feeds).scalar_subquery()


def _feeds() -> Select[Any]:
    return select(feeds, _last().label("last_result_at"))


def every(connection: Connection) -> list[Feed]:
    """Every feed, by source."""
    return [_feed(row) for row in connection.execute(_feeds().order_by(_C.source))]


def find(connection: Connection, source: str, *, hold: bool = False) -> Feed:
    """The feed of a source; with ``hold`` nobody else changes it until the transaction ends. Raises ``NotFound``."""
    if hold:
        connection.execute(select(_C.source).where(_C.source == source).with_for_update())
    row = connection.execute(_feeds().where(_C.source == source)).one_or_none()
    if row is None:
        raise NotFound("feed")
    return _feed(row)


def _feed(row: Row[Any]) -> Feed:
    return Feed(
        source=row.source,
        expected_minutes=row.expected_minutes,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
        last_result_at=row.last_result_at,
        silent_since=row.silent_since,
        told_at=row.told_at,
    )


def add(connection: Connection, source: str, *, minutes: int, now: datetime, by: str) -> None:
    """Expect a source. Raises ``IntegrityError`` when it is expected already."""
    values = {"source": source, "expected_minutes": minutes, "changed_at": now, "changed_by": by}
    connection.execute(insert(feeds).values(**values))


def expect(connection: Connection, source: str, *, minutes: int, now: datetime, by: str) -> None:
    """Expect it more or less often."""
    values = {"expected_minutes": minutes, "changed_at": now, "changed_by": by}
    connection.execute(update(feeds).where(_C.source == source).values(**values))


def remove(connection: Connection, source: str) -> None:
    """Expect it no more."""
    connection.execute(delete(feeds).where(_C.source == source))


def fell_silent(connection: Connection, feed: Feed, *, now: datetime) -> bool:
    """Note that a feed is silent; False when somebody else has noted it, or it is expected otherwise by now."""
    mine = (_C.source == feed.source) & (_C.changed_at == feed.changed_at) & _C.silent_since.is_(None)
    values = {"silent_since": feed.last_sign, "told_at": now}
    return connection.execute(update(feeds).where(mine).values(**values)).rowcount == 1


def is_heard(connection: Connection, feed: Feed) -> bool:
    """Note that a feed is silent no more; False when somebody else has noted it."""
    mine = (_C.source == feed.source) & (_C.silent_since == feed.silent_since)
    return connection.execute(update(feeds).where(mine).values(silent_since=None, told_at=None)).rowcount == 1
