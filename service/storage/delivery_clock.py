"""Rows of deliveries that were timed by a clock that was set, or that is not ours.

Law: what waits longer than it should is put right at once; what somebody may be working on is not taken from them for
what a clock says.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, select, update

from service.storage.tables_delivery import deliveries, subscriptions

_WAITING: ColumnElement[bool] = literal_column("deliveries.state = 'waiting'")  # as it stands in the partial indexes
_AHEAD = timedelta(minutes=1)  # as far as the clocks of two machines may differ


def mend_clock(connection: Connection, *, now: datetime) -> int:
    """Put right what was timed by a clock that has gone back since; answers how many deliveries it was.

    Otherwise what was to be tried in five seconds would wait for as long as the clock has gone back. Claims stay: the
    clock of who holds them may be the right one.
    """
    c, s, later = deliveries.c, subscriptions.c, now + _AHEAD
    timed = and_(_WAITING, func.coalesce(c.attempted_at, c.created_at) > later, c.next_at > now)
    mended = connection.execute(update(deliveries).where(timed).values(next_at=now)).rowcount
    connection.execute(update(subscriptions).where(s.held_at > later).values(hold_until=None, held_at=None))
    return mended


Held = tuple[str, str, datetime]  # a delivery, whose claim, and until when


def held_beyond(connection: Connection, until: datetime) -> list[Held]:
    """The claims that lapse no earlier than a minute after this time."""
    c = deliveries.c
    found = select(c.id, c.claim, c.claimed_until).where(_WAITING, c.claimed_until > until + _AHEAD)
    return [(row.id, row.claim, row.claimed_until) for row in connection.execute(found)]


def end(connection: Connection, held: Iterable[Held]) -> int:
    """End claims that are still as they were seen; answers how many."""
    c, free = deliveries.c, {"claim": None, "claimed_at": None, "claimed_until": None}
    ended = 0
    for name, claim, until in held:
        mine = (c.id == name) & (c.claim == claim) & (c.claimed_until == until)
        ended += connection.execute(update(deliveries).where(mine).values(**free)).rowcount
    return ended
