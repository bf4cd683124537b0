"""Short ways to subscribe, to fan out, and to see who is to be told of what.

Law: nothing here computes an expectation; it writes subscriptions down, and reads rows back.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from service.domain.subscriptions import Channel, Filter, Format, Payload, Subscription, SubscriptionState
from service.flows.fan_out import fan_out
from service.flows.means import Means
from service.storage import outbox, subscriptions
from service.storage.database import Database
from service.storage.tables_delivery import deliveries
from service.storage.writes import Writes
from tests.flows.build import NOW

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def subscribe(database: Database, name: str, **wanted: Any) -> Subscription:
    """A subscription of this name; what is given beside it is either of the subscription or of its filter."""
    more = {key: wanted.pop(key) for key in ("channel", "format", "payload", "endpoint", "state") if key in wanted}
    given = {"channel": Channel.WEBHOOK, "format": Format.NATIVE, "payload": Payload.THIN} | more
    with database.transaction() as connection:
        new = Subscription(
            id=f"sub_{name}",
            name=name,
            **{"endpoint": "http://127.0.0.1:9/hook", **given},
            filter=Filter(**wanted),
            secret=SECRET,
            from_seq=subscriptions.newest_event(connection),
            created_at=NOW,
            created_by="key_1",
            changed_at=NOW,
        )
        subscriptions.add(connection, new)
    return new


def set_state(database: Database, one: Subscription, state: SubscriptionState) -> None:
    """Pause, resume, disable or delete, as its owner does."""
    with database.transaction() as connection:
        found = subscriptions.find(connection, one.id)
        subscriptions.change(connection, replace(found, state=state), now=NOW)


def put_out(database: Database, *events: Any) -> None:
    """Put events into the outbox, as a change does."""
    with database.transaction() as connection:
        writes = Writes()
        outbox.keep(writes, events)
        writes.flush(connection)


def fan_all_out(means: Means, *, now: datetime = NOW) -> int:
    """Fan out until nothing is left; answers how many events it was."""
    total = 0
    while spread := fan_out(means, now=now):
        total += spread
    return total


def told_by(database: Database) -> dict[str, list[str]]:
    """What each subscription is told, in the order of its numbers: the last word of each type."""
    found: dict[str, list[str]] = {}
    with database.reading() as connection:
        c = deliveries.c
        for row in connection.execute(select(deliveries).order_by(c.subscription_id, c.number)):
            found.setdefault(row.subscription_id.removeprefix("sub_"), []).append(row.type.rpartition(".")[2])
    return found


def rows(database: Database) -> list[Any]:
    """Every delivery, in the order in which it was made."""
    with database.reading() as connection:
        return list(connection.execute(select(deliveries).order_by(deliveries.c.subscription_id, deliveries.c.number)))
