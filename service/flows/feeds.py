"""Feeds: expected, found to be silent, heard again.

    every few seconds: each feed ─► late? ─► noted by whoever is first ─► lab.feed.silent, in the same commit

Law: never two silences without an end between them. Whoever stops to expect a silent feed ends its silence.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from service.domain.actors import Actor
from service.domain.errors import NotFound, Unavailable
from service.domain.events import Event
from service.domain.feeds import Feed
from service.flows.means import Means
from service.storage import feeds, outbox
from service.storage.ids import new_id
from service.storage.writes import Writes

SILENT, RESUMED = "lab.feed.silent", "lab.feed.resumed"
_TRIES = 3


def watch_feeds(means: Means, *, now: datetime) -> int:
    """Tell of each feed that fell silent or is heard again; answers how many. Raises ``Unavailable``."""
    with means.database.reading() as connection:
        found = feeds.every(connection)
    return sum(_watch(one.source, means, now=now) for one in found if _has_turned(one, now))


def _has_turned(feed: Feed, now: datetime) -> bool:
    return feed.is_back if feed.silent_since is not None else feed.is_late(now)


def _watch(source: str, means: Means, *, now: datetime) -> bool:
    with suppress(NotFound), means.database.transaction() as connection:
        # Held and looked at again: a result may have come, and others look as well.
        feed = feeds.find(connection, source, hold=True)
        if not _has_turned(feed, now):
            return False
        if feed.silent_since is not None:
            return _end_silence(connection, feed, why="heard", now=now)
        if feeds.fell_silent(connection, feed, now=now):
            _tell(connection, SILENT, now=now, data=_silence(feed))
            return True
    return False


def _silence(feed: Feed) -> dict[str, Any]:
    last = feed.last_result_at
    return {
        "source": feed.source,
        "last_result_at": last and last.isoformat(),
        "expected_minutes": feed.expected_minutes,
    }


def _end_silence(connection: Connection, feed: Feed, *, why: str, now: datetime) -> bool:
    since = feed.silent_since
    if since is None or not feeds.is_heard(connection, feed):
        return False
    minutes = max(0, int((now - since).total_seconds() // 60))
    data = {"source": feed.source, "silent_since": since.isoformat(), "minutes": minutes, "why": why}
    _tell(connection, RESUMED, now=now, data=data)
    return True


def _tell(connection: Connection, kind: str, *, now: datetime, data: dict[str, Any]) -> None:
    writes = Writes()
    outbox.keep(writes, [Event(id=new_id("evt"), type=kind, at=now, data=data)])
    writes.flush(connection)
    structlog.get_logger().warning("a feed has turned", type=kind, source=data["source"])


# ------------------------------------------------------------------------------------------------------ shown and set
def listed(means: Means) -> list[Feed]:
    """Every feed, by source. Raises ``Unavailable``."""
    with means.database.reading() as connection:
        return feeds.every(connection)


def shown(source: str, means: Means) -> Feed:
    """The feed of a source. Raises ``NotFound``."""
    with means.database.reading() as connection:
        return feeds.find(connection, source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A feed as it is expected now; ``new``: it was not expected before."""

    feed: Feed
    new: bool


def expect(source: str, minutes: int, means: Means, *, by: Actor, now: datetime) -> Done:
    """Expect a source to send something every so many minutes. Raises ``Unavailable``."""
    for _ in range(_TRIES):
        # Who expects it for the first time at the same moment as somebody else looks again.
        with suppress(IntegrityError), means.database.transaction() as connection:
            return _expect(connection, source, minutes, by=by, now=now)
    raise Unavailable("others are changing this feed")


def _expect(connection: Connection, source: str, minutes: int, *, by: Actor, now: datetime) -> Done:
    try:
        held = feeds.find(connection, source, hold=True)
    except NotFound:
        feeds.add(connection, source, minutes=minutes, now=now, by=by.id)
        return Done(feed=feeds.find(connection, source), new=True)
    if held.expected_minutes == minutes:
        return Done(feed=held, new=False)
    feeds.expect(connection, source, minutes=minutes, now=now, by=by.id)
    changed = feeds.find(connection, source)
    if not changed.is_late(now):
        _end_silence(connection, changed, why="expected_otherwise", now=now)
    return Done(feed=feeds.find(connection, source), new=False)


def forget(source: str, means: Means, *, now: datetime) -> None:
    """Expect a source no more. Raises ``NotFound`` and ``Unavailable``."""
    with means.database.transaction() as connection:
        held = feeds.find(connection, source, hold=True)
        _end_silence(connection, held, why="not_expected", now=now)
        feeds.remove(connection, source)
