"""Deliveries: what a subscription was told, what is on its way to it, and every attempt.

Law: what is shown of a message is what it is about and what became of it, never the message.
"""

import re
from typing import Any

from flask import Response, jsonify

from service.api import guard
from service.api.answers_subscriptions import delivery, delivery_view
from service.api.description import Door, refuses
from service.api.guard import means, scope
from service.api.paging import paged
from service.api.problems import Refused
from service.api.reading import DeliveryQuery, cursor_after, cursor_for
from service.api.shapes_subscriptions import DeliveryPageShape, DeliveryViewShape
from service.flows import subscriptions as flow
from service.storage import delivery_reading, subscriptions
from service.storage.delivery_reading import DeliveryFilter

door = Door("deliveries", __name__, url_prefix="/v1", description="What subscriptions were told")

_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


@door.route("/subscriptions/<string:subscription_id>/deliveries")
@scope("subscriptions:write")
@door.arguments(DeliveryQuery(), location="query")
@refuses(400, 401, 403, 404, 503)
@door.response(200, DeliveryPageShape)
def index(query: dict[str, Any], subscription_id: str) -> Response:
    """Deliveries of a subscription

    What it was told and what is on its way to it, the newest first.
    """
    chosen = {one: query[one] for one in ("state", "type", "flag", "episode", "since") if one in query}
    wanted = DeliveryFilter(subscription=subscription_id, **chosen)
    below = _below(query, wanted)
    with means().database.reading() as connection:
        subscriptions.find(connection, subscription_id)
        found = delivery_reading.page(connection, wanted, below=below, limit=query["limit"] + 1)
    shown, more = found[: query["limit"]], len(found) > query["limit"]
    last = (shown[-1].created_at, str(shown[-1].number)) if more else None
    return paged([delivery(row) for row in shown], cursor_for(last, wanted) if last else None)


def _below(query: dict[str, Any], wanted: DeliveryFilter) -> int | None:
    """The number below which a page begins."""
    place = cursor_after(query, wanted)
    if place is None:
        return None
    if not _NUMBER.fullmatch(place[1]):
        raise Refused("invalid-cursor", "the cursor cannot be read")
    return int(place[1])


@door.route("/deliveries/<string:delivery_id>")
@scope("subscriptions:write")
@refuses(400, 401, 403, 404, 503)
@door.response(200, DeliveryViewShape)
def show(delivery_id: str) -> Response:
    """One delivery

    Every attempt and its outcome, when it is tried next, and what happens after the last try.
    """
    return jsonify(delivery_view(flow.follow(delivery_id, means()), guard.now()))


@door.route("/deliveries/<string:delivery_id>/replay", methods=["POST"])
@scope("subscriptions:write")
@refuses(400, 401, 403, 404, 503)
@door.response(200, DeliveryViewShape)
def replay(delivery_id: str) -> Response:
    """Replay one delivery

    It is sent once more under the same id, also when it went through before. What is being sent at this moment is left
    as it is.
    """
    flow.replay_one(delivery_id, means(), now=guard.now())
    return jsonify(delivery_view(flow.follow(delivery_id, means()), guard.now()))
