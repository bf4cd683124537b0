"""Episodes one by one: shown, acknowledged, commented on, assigned, snoozed; calls recorded, and how long they took.

Law: every change is answered with the episode as it is then, and its ETag. The ETag begins with the version, and
If-Match looks at that alone: time passes, and a snooze with it.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from flask import Response, jsonify, request
from marshmallow import fields
from sqlalchemy import Connection

from service.api import auditing, guard, preconditions
from service.api.answers import instant
from service.api.answers_episodes import act, bulk_item, callback, episode_view, timeliness
from service.api.description import Door, refuses
from service.api.guard import means, scope
from service.api.paging import paged
from service.api.problems import Refused, one_of_several
from service.api.reading import ListQuery, Moment, Query, body, cursor_after, cursor_for, media_type
from service.api.shapes_episodes import (
    ActPageShape,
    BulkAnswerShape,
    CallbackPageShape,
    EpisodeViewShape,
    TimelinessReportShape,
)
from service.domain.acts import ActKind
from service.domain.errors import BadInput, Conflict, Fault, NotFound, Stale
from service.flows import acknowledge, callbacks
from service.flows.acknowledge import Done
from service.formats import act_asked
from service.formats.act_asked import (
    MEDIA_TYPE,
    AcknowledgementShape,
    Asked,
    AssignmentShape,
    BulkAcknowledgementShape,
    CallShape,
    CommentShape,
    Seen,
    SnoozeShape,
    UndoShape,
)
from service.storage import acts
from service.storage import callbacks as call_rows
from service.storage.episodes import EpisodeView, ListFilter
from service.storage.history import Place

door = Door("episodes", __name__, url_prefix="/v1", description="Episodes, and what people do about them")

Data = dict[str, Any]
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_PERIOD, _LONGEST_PERIOD = timedelta(days=30), timedelta(days=366)
_AGAIN = "The very same was done before; here is the episode as it is."


def _takes(shape: Any, *, required: bool = True) -> Data:
    return {"required": required, "content": {MEDIA_TYPE: {"schema": shape}}}


def _sent() -> bytes:
    media_type((MEDIA_TYPE,))
    return body()


def _optional() -> bytes:
    sent = body()
    if sent:
        media_type((MEDIA_TYPE,))
    return sent


@door.route("/episodes/<string:name>")
@scope("flags:read")
@refuses(400, 401, 403, 404, 503)
@door.response(200, EpisodeViewShape)
def show(name: str) -> Response:
    """One episode

    With its flags, who has acknowledged, snoozed or taken it, and what people did about it and whom they called lately.
    """
    return _answer(acknowledge.show(name, means(), now=guard.now()))


def _answer(found: EpisodeView, status: int = 200) -> Response:
    auditing.about(found.patient.id)
    told = episode_view(found, means().catalogue.intended_use)
    response = jsonify(told)
    response.status_code = status
    digest = hashlib.sha256(orjson.dumps(told)).hexdigest()[:12]
    response.set_etag(f"{found.episode.row.version}-{digest}")
    return response


def _do(name: str, asked: Asked) -> Response:
    return _done(
        acknowledge.do(
            name, asked, means(), by=guard.actor(), now=guard.now(), wish=preconditions.hold, whose=auditing.about
        )
    )


def _done(done: Done) -> Response:
    response = _answer(done.view, 201 if done.new else 200)
    response.headers["Content-Location"] = f"{request.script_root}{response.get_json()['href']}"
    return response


@door.route("/episodes/<string:name>/acknowledgements", methods=["POST"], parameters=[preconditions.IF_MATCH])
@scope("episodes:write")
@door.doc(requestBody=_takes(AcknowledgementShape))
@refuses(400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 503)
@door.alt_response(200, schema=EpisodeViewShape, description=_AGAIN)
@door.response(201, EpisodeViewShape)
def acknowledged(name: str) -> Response:
    """Acknowledge an episode

    Its flags are acknowledged with it, until it gets worse, is open again after its end, or this is undone.
    """
    return _do(name, act_asked.acknowledgement(_sent()))


@door.route("/episodes/<string:name>/acknowledgements/undo", methods=["POST"], parameters=[preconditions.IF_MATCH])
@scope("episodes:write")
@door.doc(requestBody=_takes(UndoShape, required=False))
@refuses(400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 503)
@door.alt_response(200, schema=EpisodeViewShape, description=_AGAIN)
@door.response(201, EpisodeViewShape)
def undone(name: str) -> Response:
    """Undo an acknowledgement

    By a second entry that names the first; both stay. Its flags are open again.
    """
    return _do(name, act_asked.undo(_optional(), ActKind.UNDO))


@door.route("/episodes/<string:name>/comments", methods=["POST"], parameters=[preconditions.IF_MATCH])
@scope("episodes:write")
@door.doc(requestBody=_takes(CommentShape))
@refuses(400, 401, 403, 404, 408, 412, 413, 415, 422, 503)
@door.alt_response(200, schema=EpisodeViewShape, description=_AGAIN)
@door.response(201, EpisodeViewShape)
def commented(name: str) -> Response:
    """Comment on an episode

    Also on one that has ended. Comments tell nobody.
    """
    return _do(name, act_asked.comment(_sent()))


@door.route("/episodes/<string:name>/assignment", methods=["POST"], parameters=[preconditions.IF_MATCH])
@scope("episodes:write")
@door.doc(requestBody=_takes(AssignmentShape))
@refuses(400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 503)
@door.alt_response(200, schema=EpisodeViewShape, description=_AGAIN)
@door.response(201, EpisodeViewShape)
def assigned(name: str) -> Response:
    """Assign an episode

    To anybody, by a name or an id of yours; null gives it back.
    """
    return _do(name, act_asked.assignment(_sent()))


@door.route("/episodes/<string:name>/snoozes", methods=["POST"], parameters=[preconditions.IF_MATCH])
@scope("episodes:write")
@door.doc(requestBody=_takes(SnoozeShape))
@refuses(400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 503)
@door.alt_response(200, schema=EpisodeViewShape, description=_AGAIN)
@door.response(201, EpisodeViewShape)
def snoozed(name: str) -> Response:
    """Snooze an episode

    Nobody is reminded of it meanwhile. It ends by itself, and in any case once the episode gets worse or ends: after 7
    days at the latest, and after 4 hours where it is or was critical.
    """
    return _do(name, act_asked.snooze(_sent()))


@door.route("/episodes/<string:name>/snoozes/undo", methods=["POST"], parameters=[preconditions.IF_MATCH])
@scope("episodes:write")
@door.doc(requestBody=_takes(UndoShape, required=False))
@refuses(400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 503)
@door.alt_response(200, schema=EpisodeViewShape, description=_AGAIN)
@door.response(201, EpisodeViewShape)
def unsnoozed(name: str) -> Response:
    """End a snooze

    By a second entry that names the first; both stay.
    """
    return _do(name, act_asked.undo(_optional(), ActKind.UNSNOOZE))


@door.route("/acknowledgements", methods=["POST"])
@scope("episodes:write")
@door.doc(requestBody=_takes(BulkAcknowledgementShape))
@refuses(400, 401, 403, 408, 413, 415, 422, 503)
@door.response(200, BulkAnswerShape)
def several() -> Response:
    """Acknowledge several episodes

    Each by itself, in the version in which it was seen: what can be done is done, and of the others it is said why not
    (412: it has changed meanwhile). Critical ones are always refused here. Sent again, what was done is answered the
    same.
    """
    seen, asked = act_asked.acknowledgements(_sent())
    patients: set[str] = set()
    items = [_one_of_several(one, asked, patients) for one in seen]
    auditing.about_each(patients)
    refused = sum("problem" in one for one in items)
    return jsonify({"items": items, "acknowledged": len(items) - refused, "refused": refused})


def _one_of_several(seen: Seen, asked: Asked, patients: set[str]) -> Data:
    try:
        done = acknowledge.do(
            seen.episode,
            asked,
            means(),
            by=guard.actor(),
            now=guard.now(),
            wish=lambda version: version == seen.version,
            whose=patients.add,
            in_bulk=True,
        )
    except (BadInput, Conflict, NotFound, Stale) as error:
        problem = one_of_several(error)
        return {"episode": seen.episode, "status": problem["status"], "problem": problem}
    return bulk_item(seen.episode, 201 if done.new else 200, done.view.episode.holds)


@door.route("/episodes/<string:name>/acts")
@scope("flags:read")
@door.arguments(ListQuery(), location="query")
@refuses(400, 401, 403, 404, 503)
@door.response(200, ActPageShape)
def done_about(query: Data, name: str) -> Response:
    """What people did about an episode

    Every act in the order in which they were done, those of episodes that were merged into it before its own.
    """
    wanted = ListFilter(episode=name, of="acts")
    with means().database.reading() as connection:
        patient = _named(connection, name)
        found = acts.page(
            connection,
            patient,
            acts.family(connection, patient, name),
            after=_standing(cursor_after(query, wanted)),
            limit=query["limit"],
        )
    last = found.acts[-1] if found.more else None
    cursor = cursor_for((last.at, f"{last.episode}.{last.version}"), wanted) if last else None
    return paged([act(one, found, of=name) for one in found.acts], cursor)


def _named(connection: Connection, name: str) -> str:
    patient = acts.patient_of(connection, name)
    auditing.about(patient)
    return patient


def _standing(place: Place | None) -> acts.Standing | None:
    if place is None:
        return None
    name, _, version = place[1].rpartition(".")
    if not (version.isascii() and version.isdecimal() and len(version) < 10):
        raise Refused("invalid-cursor", "the cursor cannot be read")
    return name, int(version)


# -------------------------------------------------------------------------------------------------------------- calls
@door.route("/episodes/<string:name>/callbacks")
@scope("flags:read")
@door.arguments(ListQuery(), location="query")
@refuses(400, 401, 403, 404, 503)
@door.response(200, CallbackPageShape)
def calls(query: Data, name: str) -> Response:
    """Calls about an episode

    Who was told of it by whom, when and how, in the order in which they were recorded; attempts that failed as well.
    """
    wanted = ListFilter(episode=name, of="callbacks")
    place, limit = cursor_after(query, wanted), query["limit"]
    with means().database.reading() as connection:
        patient = _named(connection, name)
        names = acts.family(connection, patient, name)
        found = call_rows.page(connection, patient, names, after=place and place[1], limit=limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    cursor = cursor_for((last.recorded_at, last.id), wanted) if last else None
    return paged([callback(one) for one in found[:limit]], cursor)


@door.route("/episodes/<string:name>/callbacks", methods=["POST"], parameters=[preconditions.IF_MATCH])
@scope("episodes:write")
@door.doc(requestBody=_takes(CallShape))
@refuses(400, 401, 403, 404, 408, 412, 413, 415, 422, 503)
@door.alt_response(200, schema=EpisodeViewShape, description=_AGAIN)
@door.response(201, EpisodeViewShape)
def called(name: str) -> Response:
    """Record a call

    About the newest flag of the episode, or another one of it; also after the episode has ended. The value is copied as
    it was when the flag was raised.
    """
    asked = act_asked.call(_sent())
    return _done(
        callbacks.record(
            name, asked, means(), by=guard.actor(), now=guard.now(), wish=preconditions.hold, whose=auditing.about
        )
    )


class ReportQuery(Query):
    """Parameters of the report on calls."""

    since = Moment(
        data_key="from", metadata={"description": "Flags raised at this time or later; 30 days if left out."}
    )
    until = Moment(data_key="to", metadata={"description": "Flags raised before this time; now if left out."})
    source = fields.String(metadata={"description": "Only flags from this source."})


@door.route("/reports/callbacks")
@scope("flags:read")
@door.arguments(ReportQuery(), location="query")
@refuses(400, 401, 403, 503)
@door.response(200, TimelinessReportShape)
def report(query: Data) -> Response:
    """How long it took until somebody was told

    Of the critical flags that were raised in a period of at most 366 days, by source: how many there were, of how many
    somebody was told, in how many minutes, and which still wait. Flags of trials are left out.
    """
    now = guard.now()
    until = query.get("until", now)
    since = query.get("since") or until - min(_PERIOD, until - _BEGINNING)
    if not timedelta() < until - since <= _LONGEST_PERIOD:
        detail = "must lie before to, by at most 366 days"
        raise BadInput([Fault(pointer="from", code="parameter-invalid", detail=detail)], kind="invalid-query")
    found = callbacks.timeliness(means(), since=since, until=until, now=now, source=query.get("source"))
    items = [timeliness(one) for one in found]
    return jsonify({"from": instant(since), "to": instant(until), "items": items})
