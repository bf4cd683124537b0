"""Feeds: how often sources are expected to send, and which have fallen silent.

Law: what is expected of a source is set by somebody; what it does is only looked at.
"""

from typing import Any
from urllib.parse import quote

from flask import Response, jsonify

from service.api import guard
from service.api.answers import instant
from service.api.description import Door, refuses
from service.api.guard import means, scope
from service.api.reading import body, media_type
from service.api.shapes_watch import FeedShape, FeedsShape
from service.domain.feeds import Feed
from service.flows import feeds
from service.formats import watch_asked

door = Door("feeds", __name__, url_prefix="/v1", description="Sources that are expected to send")

_BODIES = {watch_asked.MEDIA_TYPE: {"schema": watch_asked.ExpectedShape}}


@door.route("/feeds")
@scope("flags:read")
@refuses(400, 401, 403, 503)
@door.response(200, FeedsShape)
def index() -> Response:
    """Feeds

    Every source that is expected to send, by name, with when it was last heard.
    """
    return jsonify({"items": [_feed(one) for one in feeds.listed(means())]})


def _feed(one: Feed) -> dict[str, Any]:
    return {
        "source": one.source,
        "expected_minutes": one.expected_minutes,
        "changed_at": instant(one.changed_at),
        "changed_by": one.changed_by,
        "last_result_at": one.last_result_at and instant(one.last_result_at),
        "silent_since": one.silent_since and instant(one.silent_since),
        "told_at": one.told_at and instant(one.told_at),
        "href": f"/v1/sources/{quote(one.source)}/feed",
    }


@door.route("/sources/<path:name>/feed")
@scope("flags:read")
@refuses(400, 401, 403, 404, 503)
@door.response(200, FeedShape)
def show(name: str) -> Response:
    """The feed of a source

    How often it is expected to send, and when it was last heard.
    """
    return jsonify(_feed(feeds.shown(name, means())))


@door.route("/sources/<path:name>/feed", methods=["PUT"])
@scope("sources:write")
@door.doc(requestBody={"required": True, "content": _BODIES})
@refuses(400, 401, 403, 408, 413, 415, 422, 503)
@door.alt_response(201, schema=FeedShape, description="It was not expected before.")
@door.response(200, FeedShape)
def expect(name: str) -> Response:
    """Expect a source to send

    When nothing is received of it for longer, `lab.feed.silent` is told, once; then `lab.feed.resumed`.
    """
    media_type((watch_asked.MEDIA_TYPE,))
    minutes = watch_asked.read_expected(body())
    done = feeds.expect(name, minutes, means(), by=guard.actor(), now=guard.now())
    response = jsonify(_feed(done.feed))
    response.status_code = 201 if done.new else 200
    return response


@door.route("/sources/<path:name>/feed", methods=["DELETE"])
@scope("sources:write")
@refuses(400, 401, 403, 404, 503)
@door.response(204)
def forget(name: str) -> Response:
    """Expect a source no more

    If it is silent, `lab.feed.resumed` is told, with the reason.
    """
    feeds.forget(name, means(), now=guard.now())
    return Response(status=204)
