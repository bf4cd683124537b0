"""Subscriptions: who wants to be told of what, and by which way.

Law: a secret is answered once, by the request that made it. The ETag begins with the version, and If-Match looks at
that alone: how a subscription is doing changes all the time.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson
from flask import Response, current_app, jsonify, request
from marshmallow import fields
from marshmallow.validate import Range

from service.api import guard, preconditions
from service.api.answers import Data
from service.api.answers_subscriptions import subscription
from service.api.description import Door, refuses
from service.api.guard import means, scope
from service.api.paging import paged
from service.api.reading import MAX_PAGE, PAGE, Query, body, cursor_after, cursor_for, media_type
from service.api.shapes_subscriptions import (
    NewSecretShape,
    ReplayedShape,
    SubscriptionPageShape,
    SubscriptionShape,
    TestEventShape,
)
from service.domain.subscriptions import TEST_TYPE, Channel, Subscription
from service.flows import subscriptions
from service.flows.subscriptions import Made, Shown
from service.formats import subscription_asked
from service.formats.subscription_asked import (
    MEDIA_TYPE,
    FailedSinceShape,
    NewSubscriptionShape,
    RotationShape,
    SubscriptionChangeShape,
)
from service.storage.subscriptions import SubscriptionFilter

door = Door("subscriptions", __name__, url_prefix="/v1", description="Who wants to be told of what")


def _takes(shape: Any, *, required: bool = True) -> Data:
    return {"required": required, "content": {MEDIA_TYPE: {"schema": shape}}}


def _check(channel: Channel, endpoint: str) -> Sequence[str]:
    faults: Sequence[str] = current_app.extensions["lab_alerts_senders"][channel].faults(endpoint)
    return faults


class SubscriptionQuery(Query):
    """Parameters of listing subscriptions."""

    limit = fields.Integer(load_default=PAGE, validate=Range(1, MAX_PAGE), metadata={"description": "Items in a page."})
    cursor = fields.String(metadata={"description": "Where the page begins: taken from the next link."})


@door.route("/subscriptions")
@scope("subscriptions:write")
@door.arguments(SubscriptionQuery(), location="query")
@refuses(400, 401, 403, 503)
@door.response(200, SubscriptionPageShape)
def index(query: dict[str, Any]) -> Response:
    """Subscriptions

    Every subscription and how it is doing, the oldest first.
    """
    wanted, limit = SubscriptionFilter(), query["limit"]
    found = subscriptions.listed(means(), after=cursor_after(query, wanted), limit=limit + 1)
    last = found[limit - 1].subscription if len(found) > limit else None
    cursor = cursor_for((last.created_at, last.id), wanted) if last else None
    return paged([subscription(one) for one in found[:limit]], cursor)


@door.route("/subscriptions", methods=["POST"])
@scope("subscriptions:write")
@door.doc(requestBody=_takes(NewSubscriptionShape))
@refuses(400, 401, 403, 408, 413, 415, 422, 503)
@door.response(201, NewSecretShape, description="Made. The secret is not shown again.")
def create() -> Response:
    """Make a subscription

    It is told of what comes about from now on, and of what takes something back that it was told.
    """
    media_type((MEDIA_TYPE,))
    asked = subscription_asked.read_new(body(), _check)
    response = _with_secret(subscriptions.create(asked, means(), by=guard.actor(), now=guard.now()))
    response.status_code = 201
    response.headers["Location"] = f"{request.script_root}{response.get_json()['href']}"
    return response


def _with_secret(made: Made) -> Response:
    secret = {} if made.secret is None else {"secret": made.secret}
    return _answer(subscriptions.with_health(made.subscription, means()), **secret)


def _answer(shown: Shown, **more: str) -> Response:
    told = subscription(shown)
    response = jsonify(told | more)
    digest = hashlib.sha256(orjson.dumps(told)).hexdigest()[:12]
    response.set_etag(f"{shown.subscription.version}-{digest}")
    return response


def _changed(found: Subscription) -> Response:
    return _answer(subscriptions.with_health(found, means()))


@door.route("/subscriptions/<string:subscription_id>")
@scope("subscriptions:write")
@refuses(400, 401, 403, 404, 503)
@door.response(200, SubscriptionShape)
def show(subscription_id: str) -> Response:
    """One subscription

    And how it is doing: what waits, what has failed, and when the last event went through.
    """
    return _answer(subscriptions.shown(subscription_id, means()))


@door.route("/subscriptions/<string:subscription_id>", methods=["PATCH"], parameters=[preconditions.IF_MATCH])
@scope("subscriptions:write")
@door.doc(requestBody=_takes(SubscriptionChangeShape))
@refuses(400, 401, 403, 404, 408, 412, 413, 415, 422, 503)
@door.response(200, SubscriptionShape)
def change(subscription_id: str) -> Response:
    """Change a subscription

    What is left out stays; the filter is replaced as a whole. What takes back something that was told goes out whatever
    the filter says now.
    """
    media_type((MEDIA_TYPE,))
    sent = body()

    def read(held: Subscription) -> Any:
        return subscription_asked.read_change(sent, held, _check)

    return _changed(subscriptions.change(subscription_id, means(), read=read, now=guard.now(), wish=preconditions.hold))


@door.route("/subscriptions/<string:subscription_id>", methods=["DELETE"], parameters=[preconditions.IF_MATCH])
@scope("subscriptions:write")
@refuses(400, 401, 403, 404, 412, 503)
@door.response(204, description="Deleted. What waited for it is dropped.")
def delete(subscription_id: str) -> Response:
    """Delete a subscription

    Its secrets are forgotten, and what waits for it is dropped. What was sent stays on record.
    """
    subscriptions.delete(subscription_id, means(), now=guard.now(), wish=preconditions.hold)
    return Response(status=204)


@door.route("/subscriptions/<string:subscription_id>/rotate", methods=["POST"], parameters=[preconditions.IF_MATCH])
@scope("subscriptions:write")
@door.doc(requestBody=_takes(RotationShape, required=False))
@refuses(400, 401, 403, 404, 408, 412, 413, 415, 422, 503)
@door.response(200, NewSecretShape, description="The new secret. It is not shown again.")
def rotate(subscription_id: str) -> Response:
    """Give a webhook a new secret

    For `hours` (24 if left out) messages are signed with the new secret and with the one before.
    """
    hours = subscription_asked.read_rotation(_optional_body())
    return _with_secret(
        subscriptions.rotate(subscription_id, means(), hours=hours, now=guard.now(), wish=preconditions.hold)
    )


def _optional_body() -> bytes:
    sent = body()
    if sent:
        media_type((MEDIA_TYPE,))
    return sent


@door.route("/subscriptions/<string:subscription_id>/pause", methods=["POST"], parameters=[preconditions.IF_MATCH])
@scope("subscriptions:write")
@refuses(400, 401, 403, 404, 412, 503)
@door.response(200, SubscriptionShape)
def pause(subscription_id: str) -> Response:
    """Send nothing for now

    What comes about meanwhile waits, and goes out in its order once the subscription is resumed.
    """
    return _changed(subscriptions.pause(subscription_id, means(), now=guard.now(), wish=preconditions.hold))


@door.route("/subscriptions/<string:subscription_id>/resume", methods=["POST"], parameters=[preconditions.IF_MATCH])
@scope("subscriptions:write")
@refuses(400, 401, 403, 404, 412, 503)
@door.response(200, SubscriptionShape)
def resume(subscription_id: str) -> Response:
    """Send again

    Also to a receiver that was disabled because it answered 410, or is left alone because it has failed.
    """
    return _changed(subscriptions.resume(subscription_id, means(), now=guard.now(), wish=preconditions.hold))


@door.route("/subscriptions/<string:subscription_id>/test", methods=["POST"])
@scope("subscriptions:write")
@refuses(400, 401, 403, 404, 503)
@door.response(202, TestEventShape)
def test(subscription_id: str) -> Response:
    """Send a test event

    An event `lab.subscription.test` is put on its way to this subscription alone.
    """
    event = subscriptions.send_test(subscription_id, means(), now=guard.now())
    found = subscriptions.shown(subscription_id, means()).subscription
    where = f"/v1/subscriptions/{subscription_id}/deliveries?type={TEST_TYPE}"
    response = jsonify({"event": event.id, "state": found.state.value, "deliveries": where})
    response.status_code = 202
    return response


@door.route("/subscriptions/<string:subscription_id>/replay", methods=["POST"])
@scope("subscriptions:write")
@door.doc(requestBody=_takes(FailedSinceShape))
@refuses(400, 401, 403, 404, 408, 413, 415, 422, 503)
@door.response(200, ReplayedShape)
def replay(subscription_id: str) -> Response:
    """Replay what has failed

    Everything that was given up since a time is sent once more, each event under the same id, in its order.
    """
    media_type((MEDIA_TYPE,))
    done = subscriptions.replay_failed(
        subscription_id, subscription_asked.read_replay(body()), means(), now=guard.now()
    )
    return jsonify({"count": done.count, "dry_run": done.dry_run})
