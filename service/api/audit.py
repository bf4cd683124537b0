"""The audit, read: who read and wrote what.

Law: it is shown as it was sealed, so that whoever reads it can check it.
"""

from typing import Any

from flask import Response
from marshmallow import fields
from marshmallow.validate import Range

from service.api import guard
from service.api.description import Door, refuses
from service.api.guard import means, scope
from service.api.paging import paged
from service.api.problems import Refused
from service.api.reading import MAX_PAGE, PAGE, Moment, Query, cursor_after, cursor_for
from service.api.shapes_audit import AuditPageShape
from service.storage import audit
from service.storage.audit import AuditFilter

door = Door("audit", __name__, url_prefix="/v1", description="Who read and wrote what")

_MOST = 2**63 - 1


class AuditQuery(Query):
    """Parameters of asking who did what."""

    actor = fields.String(metadata={"description": "Only what this key, person or system did, by id."})
    subject = fields.String(metadata={"description": "Only what was about this patient, by our pseudonym (pat_…)."})
    since = Moment(data_key="from", metadata={"description": "Only what was done at this time or later."})
    until = Moment(data_key="to", metadata={"description": "Only what was done before this time."})
    limit = fields.Integer(load_default=PAGE, validate=Range(1, MAX_PAGE), metadata={"description": "Items in a page."})
    cursor = fields.String(metadata={"description": "Where the page begins: taken from the next link."})


@door.route("/audit")
@scope("audit:read")
@door.arguments(AuditQuery(), location="query")
@refuses(400, 401, 403, 503)
@door.response(200, AuditPageShape)
def index(query: dict[str, Any]) -> Response:
    """Who did what

    Every request that was answered, also with a refusal, and every command that touched what is held of patients, the
    newest first. An entry is there a moment after its answer. Of one that somebody has spoiled, what cannot be read is
    null and is named in `unreadable`.
    """
    wanted = AuditFilter(**{name: query[name] for name in ("actor", "subject", "since", "until") if name in query})
    place, limit = cursor_after(query, wanted), query["limit"]
    after = None if place is None else (place[0], _place(place[1]))
    with means().database.reading() as connection:
        rows = audit.page(connection, wanted, after=after, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    cursor = cursor_for((last.at or guard.now(), str(last.place)), wanted) if last else None
    return paged([row.shown for row in rows[:limit]], cursor)


def _place(name: str) -> int:
    if not (name.isascii() and name.isdecimal() and len(name) < 20 and int(name) <= _MOST):
        raise Refused("invalid-cursor", "the cursor cannot be read")
    return int(name)
