"""Short ways to ask for subscriptions and to make deliveries of theirs fail.

Law: nothing here computes an expectation; what a dispatcher would take down is written as it takes it down.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier
from typing import Any

from sqlalchemy import select, update

from service.domain.actors import Actor, ActorKind
from service.domain.events import Event
from service.domain.subscriptions import Channel, Filter, Format, Payload, Subscription
from service.flows import subscriptions as flow
from service.flows.means import Means
from service.flows.subscriptions import Made
from service.formats.subscription_asked import New
from service.storage import subscriptions
from service.storage.database import Database
from service.storage.tables_delivery import deliveries
from tests.flows.build import NOW

SOMEBODY = Actor(kind=ActorKind.KEY, id="key_1", name="integrator")
HOOK = "https://alerts.example/hook"


def asked(name: str = "ward", **more: Any) -> New:
    """A webhook that is asked for, in the native format."""
    given = {"channel": Channel.WEBHOOK, "endpoint": HOOK, "format": Format.NATIVE, "payload": Payload.THIN}
    return New(name=name, **{**given, "filter": Filter(), "credential": None, **more})


def made(means: Means, name: str = "ward", *, now: datetime = NOW, **more: Any) -> Made:
    """A subscription made as its owner makes it."""
    return flow.create(asked(name, **more), means, by=SOMEBODY, now=now)


def held(database: Database, one: Subscription) -> Subscription:
    """What is kept of a subscription now."""
    with database.reading() as connection:
        return subscriptions.find(connection, one.id)


def end(database: Database, state: str, *, at: datetime = NOW, **where: Any) -> None:
    """Let waiting deliveries end, all of them or those that are named by columns."""
    c = deliveries.c
    wanted = [c.state == "waiting", *(c[name] == value for name, value in where.items())]
    values = {"state": state, "done_at": at, "attempted_at": at, "attempts": 10, "tries": 10}
    with database.transaction() as connection:
        connection.execute(update(deliveries).where(*wanted).values(**values))


def on_their_way(database: Database) -> list[tuple[str, int, int, str]]:
    """State, tries and attempts of every delivery, and its event, in the order of their numbers."""
    c = deliveries.c
    with database.reading() as connection:
        rows = connection.execute(select(deliveries).order_by(c.subscription_id, c.number))
        return [(row.state, row.tries, row.attempts, row.event_id) for row in rows]


def event(number: object, **more: Any) -> Event:
    """An event of an episode of its own."""
    given = {"type": "lab.flag.raised", "at": NOW, "episode": f"eps_{number}", "data": {}}
    return Event(id=f"evt_{number}", **{**given, **more})


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Do all of these at the same moment; answers what they answer."""
    barrier = Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(run, works))
