"""What the database says of the service as a whole, for Prometheus: open episodes, and when each source last sent.

Law: the same whichever process asks, and after every restart. It counts and names sources; it names no patient.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, func, literal_column, select

from service.domain.episodes import EpisodeState
from service.domain.feeds import Feed
from service.storage import delivery_reading, escalation, feeds, subscriptions
from service.storage.delivery_reading import Health
from service.storage.escalation import Counted
from service.storage.tables import episodes, outbox, panels


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """Open episodes by finding and severity, and the time at which the last panel of each source was received.

    ``delivery``: how each subscription is doing, by its name. ``unseen``: events that no dispatcher has looked at.
    ``feeds``: the sources that are expected to send. ``steps``: those of escalation, lately.
    """

    open_episodes: Mapping[tuple[str, str], int]
    last_received: Mapping[str, datetime]
    delivery: Mapping[str, Health] = field(default_factory=dict)
    unseen: int = 0
    feeds: Sequence[Feed] = ()
    steps: Counted = field(default_factory=Counted)


def read(connection: Connection, *, now: datetime) -> Gauges:
    """The gauges as they stand now."""
    return Gauges(
        open_episodes={(row.finding, row.level): row.held for row in connection.execute(OPEN)},
        last_received={row.source: row.last for row in connection.execute(LAST)},
        delivery=_delivery(connection),
        unseen=connection.execute(UNSEEN).scalar_one(),
        feeds=feeds.every(connection),
        steps=escalation.counted(connection, since=now - escalation.LATELY),
    )


def _delivery(connection: Connection) -> Mapping[str, Health]:
    names = {one.id: one.name for one in subscriptions.alive(connection)}
    return {names[one]: doing for one, doing in delivery_reading.health(connection, list(names)).items()}


UNSEEN = select(func.count()).select_from(outbox).where(literal_column("NOT outbox.fanned"))

# The state stands in the text, as it does in the partial index: SQLite would not use that index for a parameter.
OPEN = (
    select(episodes.c.finding, episodes.c.level, func.count().label("held"))
    .where(episodes.c.state == literal_column(f"'{EpisodeState.OPEN}'"))
    .group_by(episodes.c.finding, episodes.c.level)
)


# From each source to the next one in the index: a few probes for each source, however many panels there are. A plain
# GROUP BY would read all of them.
_named = select(select(func.min(panels.c.source)).scalar_subquery().label("source")).cte("named", recursive=True)
_named = _named.union_all(
    select(select(func.min(panels.c.source)).where(panels.c.source > _named.c.source).scalar_subquery()).where(
        _named.c.source.is_not(None)
    )
)
_newest = select(func.max(panels.c.received_at)).where(panels.c.source == _named.c.source).scalar_subquery()
LAST = select(_named.c.source, _newest.label("last")).where(_named.c.source.is_not(None))
