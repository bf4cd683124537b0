"""Escalation: whom to tell, one after another, while nobody acknowledges a grave finding.

Law: the policy is replaced as a whole, and only by somebody who says which version it was made from, if they say
anything. The ETag begins with the version, and If-Match looks at that alone: subscriptions change by themselves.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import orjson
from flask import Response, jsonify

from service.api import guard, preconditions
from service.api.answers import instant, present
from service.api.description import Door, refuses
from service.api.guard import means, scope
from service.api.reading import body, media_type
from service.api.shapes_watch import EscalationShape
from service.domain.subscriptions import SubscriptionState
from service.flows import escalation
from service.flows.escalation import Shown
from service.formats import watch_asked
from service.storage.escalation import as_data

door = Door("escalation", __name__, url_prefix="/v1", description="Who is told next")

Data = dict[str, Any]

_BODIES = {watch_asked.MEDIA_TYPE: {"schema": watch_asked.PolicyShape}}


@door.route("/escalation")
@scope("subscriptions:write")
@refuses(400, 401, 403, 503)
@door.response(200, EscalationShape)
def show() -> Response:
    """The escalation policy

    Whom to tell, in order, and how the subscriptions of the steps are.
    """
    return _answer(escalation.shown(means()))


@door.route("/escalation", methods=["PUT"], parameters=[preconditions.IF_MATCH, preconditions.IF_NONE_MATCH])
@scope("subscriptions:write")
@door.doc(requestBody={"required": True, "content": _BODIES})
@refuses(400, 401, 403, 408, 412, 413, 415, 422, 503)
@door.response(200, EscalationShape, description="A new version, or the one that said the same already.")
def replace() -> Response:
    """Set the escalation policy

    Replaces the whole policy; an empty list of steps turns it off. A step that was taken for an episode is not taken
    again, whatever stands in its place now.
    """
    media_type((watch_asked.MEDIA_TYPE,))
    wanted = watch_asked.read_policy(body())
    return _answer(escalation.set_policy(wanted, means(), by=guard.actor(), now=guard.now(), wish=preconditions.hold))


def _answer(found: Shown) -> Response:
    kept = found.kept
    told = {"version": kept.version, "set_at": kept.created_at and instant(kept.created_at)}
    told |= present(set_by=kept.created_by) | {"policy": as_data(kept.policy), "subscriptions": [*_named(found)]}
    response = jsonify(told)
    digest = hashlib.sha256(orjson.dumps(told)).hexdigest()[:12]
    response.set_etag(f"{kept.version}-{digest}")
    return response


def _named(found: Shown) -> Iterator[Data]:
    for name in dict.fromkeys(step.subscription for step in found.kept.policy.steps):
        there = found.subscriptions.get(name)
        state = SubscriptionState.DELETED if there is None else there.state
        called = present(name=None if there is None else there.name)
        yield {"id": name, "state": state.value, "href": f"/v1/subscriptions/{name}"} | called
