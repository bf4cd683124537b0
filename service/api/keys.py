"""What a key may do, for whoever sends with it.

Law: a key tells only of itself, and never itself.
"""

from flask import Response, jsonify

from service.api import guard
from service.api.answers import instant, present
from service.api.description import Door, refuses
from service.api.guard import scope
from service.api.shapes import KeyShape
from service.storage.panels import TRIALS

door = Door("keys", __name__, url_prefix="/v1", description="The key of a request")


@door.route("/key")
@scope("panels:write")
@refuses(400, 401, 403, 503)
@door.response(200, KeyShape)
def show() -> Response:
    """The key of this request

    Its name, the source as which it sends, and its scopes. Nobody is told of what a key for trials brings about.
    """
    key = guard.key()
    expires = None if key.expires_at is None else instant(key.expires_at)
    own = {"name": key.name, "source": key.source, "scopes": list(key.scopes), "trials": key.source == TRIALS}
    return jsonify(own | present(expires_at=expires))
