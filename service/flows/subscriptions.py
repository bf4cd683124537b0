"""Subscriptions: made, changed, stopped and taken up again; and what is sent once more.

    asked ─► the version that is held ─► as wished? ─► the version after it ─► … once more when another was quicker

Law: a secret is answered once, when it is made. A change is made to the very version that was looked at, or not at
all.
"""

import base64
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from service.domain.actors import Actor
from service.domain.errors import BadInput, Fault, NotFound, Stale, Unavailable
from service.domain.events import Event
from service.domain.subscriptions import TEST_TYPE, Channel, Subscription, SubscriptionState
from service.flows.means import Means
from service.formats.subscription_asked import HOURS, KIND, MASKED, Again, New
from service.storage import deliveries, delivery_reading, outbox, redelivery, subscriptions
from service.storage.delivery_reading import DeliveryView, Health
from service.storage.ids import new_id
from service.storage.writes import Writes

_TRIES = 5
_SECRET_BYTES = 32  # Standard Webhooks asks for 24 to 64

# Is this version one that is wished for?
Wish = Callable[[int], bool]


def any_version(_version: int) -> bool:
    """The wish of somebody who has none."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A subscription with the secret that was made for it just now; None where what is sent is not signed."""

    subscription: Subscription
    secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A subscription, and how it is doing."""

    subscription: Subscription
    health: Health


def new_secret() -> str:
    """A secret as Standard Webhooks writes it."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"


# --------------------------------------------------------------------------------------------------------------- shown
def listed(means: Means, *, after: tuple[datetime, str] | None = None, limit: int | None = None) -> list[Shown]:
    """Those that were not deleted, the oldest first: all, or a page after a time and an id. Raises ``Unavailable``."""
    with means.database.reading() as connection:
        found = subscriptions.page(connection, after=after, limit=limit)
        doing = delivery_reading.health(connection, [one.id for one in found])
    return [Shown(subscription=one, health=doing[one.id]) for one in found]


def shown(name: str, means: Means) -> Shown:
    """One subscription. Raises ``NotFound``."""
    with means.database.reading() as connection:
        found = subscriptions.find(connection, name)
        return Shown(subscription=found, health=delivery_reading.health(connection, [name])[name])


def named(name: str, means: Means) -> Subscription:
    """The subscription of this name. Raises ``NotFound``."""
    with means.database.reading() as connection:
        found = subscriptions.named(connection, name)
    if found is None:
        raise NotFound("subscription")
    return found


def with_health(found: Subscription, means: Means) -> Shown:
    """A subscription that was changed just now, and how it is doing. Raises ``Unavailable``."""
    with means.database.reading() as connection:
        return Shown(subscription=found, health=delivery_reading.health(connection, [found.id])[found.id])


def masked(endpoint: str) -> str:
    """An endpoint as it is shown: what stands in its query may be a token."""
    address, mark, _ = endpoint.partition("?")
    return f"{address}?{MASKED}" if mark else address


# -------------------------------------------------------------------------------------------------------- made, changed
def create(asked: New, means: Means, *, by: Actor, now: datetime, instead: bool = False) -> Made:
    """Make a subscription, which is told of everything that comes about from now on.

    ``instead`` takes the place of the one that has its name. Otherwise raises ``BadInput`` when there is one; and
    ``Unavailable``.
    """
    secret = new_secret() if asked.channel is Channel.WEBHOOK else None
    for _ in range(_TRIES):
        try:
            return Made(subscription=_create(asked, means, secret, by=by, now=now, instead=instead), secret=secret)
        except _Overtaken:
            continue
        except IntegrityError:
            raise _taken() from None
    raise _busy()


def _create(asked: New, means: Means, secret: str | None, *, by: Actor, now: datetime, instead: bool) -> Subscription:
    with means.database.transaction() as connection:
        if instead and (before := subscriptions.named(connection, asked.name)):
            _delete(connection, before, now=now)
        place = subscriptions.newest_event(connection)
        made = _new(asked, secret, by=by, now=now, place=place)
        subscriptions.add(connection, made)
    return made


def _new(asked: New, secret: str | None, *, by: Actor, now: datetime, place: int) -> Subscription:
    return Subscription(
        id=new_id("sub"),
        name=asked.name,
        channel=asked.channel,
        endpoint=asked.endpoint,
        format=asked.format,
        payload=asked.payload,
        filter=asked.filter,
        secret=secret,
        credential=asked.credential,
        from_seq=place,
        created_at=now,
        created_by=by.id,
        changed_at=now,
    )


def _taken() -> BadInput:
    hint = "change the one that has it, or choose another"
    return BadInput([Fault(pointer="/name", code="name-in-use", detail="is taken", hint=hint)], kind=KIND)


def change(
    name: str,
    means: Means,
    *,
    read: Callable[[Subscription], Mapping[str, Any]],
    now: datetime,
    wish: Wish = any_version,
) -> Subscription:
    """Change a subscription; ``read`` says what is to be changed of the one that is held.

    Another endpoint is not left alone for what the one before has failed. Raises ``BadInput``, ``NotFound``, ``Stale``
    and ``Unavailable``.
    """

    def made(held: Subscription) -> Subscription:
        return replace(held, **read(held))

    try:
        return _changed(name, means, made, now=now, wish=wish)
    except IntegrityError:
        raise _taken() from None


def _changed(
    name: str, means: Means, made: Callable[[Subscription], Subscription], *, now: datetime, wish: Wish
) -> Subscription:
    """The subscription, changed; anew when somebody else was quicker."""
    for _ in range(_TRIES):
        with means.database.transaction() as connection:
            held = subscriptions.find(connection, name)
            if not wish(held.version):
                raise Stale(held.version)
            wanted = made(held)
            if wanted == held:
                return held
            anew = (wanted.endpoint, wanted.state) != (held.endpoint, held.state)
            if changed := subscriptions.change(connection, wanted, now=now, anew=anew):
                return changed
    raise _busy()


def rotate(name: str, means: Means, *, hours: int = HOURS, now: datetime, wish: Wish = any_version) -> Made:
    """Give a webhook a new secret; for so many hours the one before signs, too.

    When one before that was still valid, it no longer is. Raises ``BadInput`` where nothing is signed, ``NotFound``,
    ``Stale`` and ``Unavailable``.
    """
    secret = new_secret()

    def made(held: Subscription) -> Subscription:
        if held.secret is None:
            detail = f"what goes out by {held.channel} is not signed"
            raise BadInput([Fault(pointer="", code="not-of-the-channel", detail=detail)], kind=KIND)
        old, until = (held.secret, now + timedelta(hours=hours)) if hours else (None, None)
        return replace(held, secret=secret, old_secret=old, old_secret_until=until)

    return Made(subscription=_changed(name, means, made, now=now, wish=wish), secret=secret)


def pause(name: str, means: Means, *, now: datetime, wish: Wish = any_version) -> Subscription:
    """Send nothing more for now; what comes about meanwhile waits. Raises ``NotFound``, ``Stale``, ``Unavailable``."""

    def made(held: Subscription) -> Subscription:
        active = held.state is SubscriptionState.ACTIVE
        return replace(held, state=SubscriptionState.PAUSED) if active else held

    return _changed(name, means, made, now=now, wish=wish)


def resume(name: str, means: Means, *, now: datetime, wish: Wish = any_version) -> Subscription:
    """Send again, also to a receiver that was left alone for having failed, or said that it is gone.

    Raises ``NotFound``, ``Stale`` and ``Unavailable``.
    """

    def made(held: Subscription) -> Subscription:
        return replace(held, state=SubscriptionState.ACTIVE, why=None)

    resumed = _changed(name, means, made, now=now, wish=wish)
    with means.database.transaction() as connection:
        subscriptions.send_again(connection, name)
    return resumed


def delete(name: str, means: Means, *, now: datetime, wish: Wish = any_version) -> None:
    """Delete a subscription: its secrets are forgotten, and what waits for it is dropped.

    What was sent stays on record. Raises ``NotFound``, ``Stale`` and ``Unavailable``.
    """
    for _ in range(_TRIES):
        with suppress(_Overtaken), means.database.transaction() as connection:
            held = subscriptions.find(connection, name)
            if not wish(held.version):
                raise Stale(held.version)
            _delete(connection, held, now=now)
            return
    raise _busy()


class _Overtaken(Exception):
    """Somebody else was quicker; nothing of the transaction is kept."""


def _busy() -> Unavailable:
    return Unavailable("others are changing this subscription")


def _delete(connection: Connection, held: Subscription, *, now: datetime) -> None:
    """Deliveries before their subscription, as whoever sends locks them, too."""
    deliveries.wait_until_alone(connection)
    redelivery.drop(connection, held.id, now=now)
    gone = replace(
        held,
        state=SubscriptionState.DELETED,
        endpoint=masked(held.endpoint),
        secret=None,
        old_secret=None,
        old_secret_until=None,
        credential=None,
    )
    if subscriptions.change(connection, gone, now=now) is None:
        raise _Overtaken


# ---------------------------------------------------------------------------------------------------------- sent again
def send_test(name: str, means: Means, *, now: datetime) -> Event:
    """Put an event on its way that is for this subscription alone. Raises ``NotFound`` and ``Unavailable``."""
    event = Event(id=new_id("evt"), type=TEST_TYPE, at=now, only_for=name, data={})
    with means.database.transaction() as connection:
        subscriptions.find(connection, name)
        writes = Writes()
        outbox.keep(writes, [event])
        writes.flush(connection)
    return event


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """How many deliveries are sent once more, or would be."""

    count: int
    dry_run: bool


def replay_failed(name: str, asked: Again, means: Means, *, now: datetime) -> Replayed:
    """Send everything once more that has failed since a time, under the same ids.

    Raises ``NotFound`` and ``Unavailable``.
    """
    since = asked.failed_since
    if asked.dry_run:
        with means.database.reading() as connection:
            subscriptions.find(connection, name)
            return Replayed(count=redelivery.count_failed(connection, name, since=since), dry_run=True)
    with means.database.transaction() as connection:
        subscriptions.find(connection, name)
        count = redelivery.all_again(connection, name, since=since, now=now)
        subscriptions.send_again(connection, name)
    return Replayed(count=count, dry_run=False)


def replay_one(name: str, means: Means, *, now: datetime) -> None:
    """Send one delivery once more under the same id, also one that went through.

    What is being sent at this moment is left as it is. Raises ``NotFound`` and ``Unavailable``.
    """
    with means.database.transaction() as connection:
        found = delivery_reading.view(connection, name)
        redelivery.again(connection, name, now=now)
        subscriptions.send_again(connection, found.delivery.subscription_id)


# ----------------------------------------------------------------------------------------------------------- followed
@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """A delivery, to whom it goes, and the one of its lane that has to go through first."""

    view: DeliveryView
    subscription: Subscription
    behind: str | None


def follow(name: str, means: Means) -> Following:
    """One delivery with all that says what will become of it. Raises ``NotFound``."""
    with means.database.reading() as connection:
        view = delivery_reading.view(connection, name)
        return Following(
            view=view,
            subscription=subscriptions.find(connection, view.delivery.subscription_id),
            behind=delivery_reading.behind(connection, view.delivery),
        )
