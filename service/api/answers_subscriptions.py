"""From subscriptions and deliveries to the JSON that is answered.

Law: as for all answers. No secret, no credential and no query of an endpoint stands in one, but for the secret that was
made just now.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from service.api.answers import Data, instant, present
from service.domain import retries
from service.domain.subscriptions import Channel, DeliveryState, Subscription, SubscriptionState
from service.flows.subscriptions import Following, Shown, masked
from service.storage.delivery_reading import Health
from service.storage.subscriptions import as_data

AFTERWARDS = (
    f"After {retries.TRIES} tries, about three days, it is failed: kept, and sent again only when it is replayed."
)


def subscription(shown: Shown) -> Data:
    """A subscription, and how it is doing."""
    one = shown.subscription
    href = f"/v1/subscriptions/{one.id}"
    return _head(one) | {
        "version": one.version,
        "created_at": instant(one.created_at),
        "created_by": one.created_by,
        "changed_at": instant(one.changed_at),
        "health": _health(one, shown.health),
        "href": href,
        "deliveries": f"{href}/deliveries",
    }


def _head(one: Subscription) -> Data:
    told = {
        "id": one.id,
        "name": one.name,
        "channel": one.channel.value,
        "endpoint": masked(one.endpoint),
        "format": one.format.value,
        "payload": one.payload.value,
        "filter": as_data(one.filter),
        "state": one.state.value,
        "signed": one.secret is not None,
        "credential": one.credential is not None,
    }
    return told | present(why=one.why, old_secret_until=instant(one.old_secret_until))


def _health(one: Subscription, found: Health) -> Data:
    return {
        "waiting": found.waiting,
        "oldest_waiting_at": instant(found.oldest_waiting_at),
        "failed": found.failed,
        "last_failed_at": instant(found.last_failed_at),
        "last_sent_at": instant(found.last_sent_at),
        "failures_in_a_row": one.failures,
        "left_alone_until": instant(one.hold_until),
    }


def delivery(row: Row[Any]) -> Data:
    """A delivery in a list."""
    waiting = row.state == DeliveryState.WAITING.value
    return {
        "id": row.id,
        "subscription": row.subscription_id,
        "number": row.number,
        "event": row.event_id,
        "type": row.type,
        "state": row.state,
        "attempts": row.attempts,
        "created_at": instant(row.created_at),
        "href": f"/v1/deliveries/{row.id}",
    } | present(
        flag=row.flag_id,
        by=row.by_flag_id,
        episode=row.episode_id,
        attempted_at=instant(row.attempted_at),
        next_at=instant(row.next_at) if waiting else None,
        done_at=instant(row.done_at),
        status=row.status,
        why=row.why,
    )


def delivery_view(found: Following, now: datetime) -> Data:
    """One delivery with every attempt, and what will become of it."""
    row, to = found.view.delivery, found.subscription
    waiting = row.state == DeliveryState.WAITING.value
    return (
        delivery(row)
        | {"afterwards": AFTERWARDS, "history": [_attempt(one) for one in found.view.attempts]}
        | present(
            tries_left=max(retries.TRIES - row.tries, 0) if waiting else None,
            held_back=_held_back(to, now) if waiting else None,
            behind=found.behind,
            headers=_headers(row, to, now) if to.channel is Channel.WEBHOOK else None,
        )
    )


def _attempt(row: Row[Any]) -> Data:
    return {
        "number": row.number,
        "at": instant(row.at),
        "outcome": row.outcome,
        "milliseconds": row.milliseconds,
    } | present(status=row.status, why=row.why, answer=row.answer)


def _held_back(to: Subscription, now: datetime) -> str | None:
    if to.state is not SubscriptionState.ACTIVE:
        return f"the subscription is {to.state}"
    if to.hold_until is not None and to.hold_until > now:
        return f"the receiver has failed {to.failures} times in a row and is left alone until {instant(to.hold_until)}"
    return None


def _headers(row: Row[Any], to: Subscription, now: datetime) -> Data:
    """What a message is known by; the signature is not that of any message."""
    signatures = " ".join("v1,…" for _ in to.secrets_at(now))
    return {"webhook-id": row.event_id, "webhook-timestamp": "…", "webhook-signature": signatures}
