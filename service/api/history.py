"""The history of one patient in depth: every current result in its order, every episode, and a flag judged again.

Law: what is shown is what is kept. Judging again compares and says what differs; it changes nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, jsonify
from sqlalchemy import Connection

from service.api import answers_history, auditing
from service.api.description import Door, refuses
from service.api.guard import means, scope
from service.api.paging import paged
from service.api.reading import EpisodeQuery, TimelineQuery, cursor_after, cursor_for, timeline_filter
from service.api.shapes import ReplayShape, TimelinePageShape
from service.api.shapes_episodes import EpisodePageShape
from service.domain.errors import BadInput, Fault
from service.flows import as_known
from service.flows.as_known import Certainty
from service.flows.replay import replay
from service.storage import patients, timeline
from service.storage.timeline import Entry, EpisodeFilter, TimelineFilter

door = Door("history", __name__, url_prefix="/v1", description="A patient's history in depth")


@door.route("/patients/<path:patient_id>/timeline")
@scope("flags:read")
@door.arguments(TimelineQuery(), location="query")
@refuses(400, 401, 403, 404, 409, 503)
@door.response(200, TimelinePageShape)
def results(query: dict[str, Any], patient_id: str) -> Response:
    """Timeline of one patient

    The current version of every result, by time of collection: the value as sent and as converted, the verdict, the
    flag if one stands on it, and how many versions of it were received. With ``as_known_at``, all of it as it was known
    at that moment.
    """
    _refuse_unknown_analytes(query.get("analyte", ()))
    with means().database.reading() as connection:
        who = patients.named(connection, patient_id, query.get("authority"))
        auditing.about(who.id)
        wanted = timeline_filter(query, who.id)
        found, certainty = _timeline_page(connection, wanted, query)
    shown, more = found[: query["limit"]], len(found) > query["limit"]
    last = (shown[-1].result.collected_at, shown[-1].result.id) if more else None
    rulebook = means().catalogue.rulebook
    items = [answers_history.entry(one, rulebook) for one in shown]
    more_told = answers_history.as_known(wanted.as_known_at, certainty)
    return paged(items, cursor_for(last, wanted) if last else None, **more_told)


def _timeline_page(
    connection: Connection, wanted: TimelineFilter, query: Mapping[str, Any]
) -> tuple[Sequence[Entry], Certainty]:
    place, limit = cursor_after(query, wanted), query["limit"] + 1
    if wanted.as_known_at is None:
        return timeline.timeline_page(connection, wanted, after=place, limit=limit), Certainty()
    return as_known.timeline_page(connection, wanted, catalogue=means().catalogue, after=place, limit=limit)


def _refuse_unknown_analytes(named: Sequence[str]) -> None:
    known = [one.key for one in means().catalogue.rulebook.analytes.all]
    if not set(named) <= set(known):
        detail = f"accepted: {', '.join(known)}"
        raise BadInput([Fault(pointer="analyte", code="parameter-invalid", detail=detail)], kind="invalid-query")


@door.route("/patients/<path:patient_id>/episodes")
@scope("flags:read")
@door.arguments(EpisodeQuery(), location="query")
@refuses(400, 401, 403, 404, 409, 503)
@door.response(200, EpisodePageShape)
def episodes(query: dict[str, Any], patient_id: str) -> Response:
    """Episodes of one patient

    Every episode ever opened, the one opened last first, each with every flag ever raised in it.
    """
    with means().database.reading() as connection:
        who = patients.named(connection, patient_id, query.get("authority"))
        auditing.about(who.id)
        wanted = EpisodeFilter(patient=who.id, **{name: query[name] for name in ("finding", "state") if name in query})
        found = timeline.episode_page(connection, wanted, after=cursor_after(query, wanted), limit=query["limit"] + 1)
    shown, more = found[: query["limit"]], len(found) > query["limit"]
    last = (shown[-1].episode.opened_at, shown[-1].episode.id) if more else None
    return paged([answers_history.kept_episode(one) for one in shown], cursor_for(last, wanted) if last else None)


@door.route("/flags/<string:flag_id>/replay")
@scope("flags:read")
@refuses(400, 401, 403, 404, 503)
@door.response(200, ReplayShape)
def again(flag_id: str) -> Response:
    """Replay of one flag

    Judges the stored inputs again: the results of the flag's collection as they counted when it was raised, with the
    facts about the patient as known then. Answers that the same flag comes of it, or what differs.
    """
    found = replay(flag_id, means())
    auditing.about(found.patient)
    return jsonify(answers_history.replay(found, means().catalogue.intended_use))
