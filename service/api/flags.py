"""The flag history: every flag ever raised, with what became of it.

Law: a flag that no longer stands is shown with its state; it is never left out unless the caller asks for that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, jsonify
from sqlalchemy import Connection

from service.api import answers, answers_history, auditing
from service.api.description import Door, refuses
from service.api.guard import means, scope
from service.api.paging import paged
from service.api.reading import AllFlagsQuery, FlagQuery, cursor_after, cursor_for, flag_filter
from service.api.shapes import FlagPageShape, FlagViewShape
from service.domain.errors import BadInput, Fault
from service.flows import as_known
from service.flows.as_known import Certainty
from service.storage import history, patients
from service.storage.history import FlagFilter

door = Door("flags", __name__, url_prefix="/v1", description="Flags and their history")


@door.route("/flags")
@scope("flags:read")
@door.arguments(AllFlagsQuery(), location="query")
@refuses(400, 401, 403, 404, 409, 503)
@door.response(200, FlagPageShape)
def index(query: dict[str, Any]) -> Response:
    """Flags of everybody

    Every flag ever raised, by time of collection, newest first; also those that were superseded or withdrawn.
    """
    alone = [name for name in _OF_A_PATIENT if name in query and "patient" not in query]
    if alone:
        faults = [Fault(pointer=name, code="parameter-invalid", detail="needs patient") for name in alone]
        raise BadInput(faults, kind="invalid-query")
    return _page(query, query.get("patient"))


_OF_A_PATIENT = ("authority", "as_known_at")


@door.route("/patients/<path:patient_id>/flags")
@scope("flags:read")
@door.arguments(FlagQuery(), location="query")
@refuses(400, 401, 403, 404, 409, 503)
@door.response(200, FlagPageShape)
def of_patient(query: dict[str, Any], patient_id: str) -> Response:
    """Flags of one patient

    Every flag ever raised for the patient with this identifier, by time of collection, newest first. With
    ``as_known_at``, those that had been raised by that moment, as they stood then.
    """
    return _page(query, patient_id)


def _page(query: dict[str, Any], identifier: str | None) -> Response:
    with means().database.reading() as connection:
        who = patients.named(connection, identifier, query.get("authority")) if identifier is not None else None
        wanted = flag_filter(query, who.id if who else None)
        auditing.about(wanted.patient)
        rows, certainty = _rows(connection, wanted, query)
    if wanted.patient is None:
        auditing.beside(patients=len({row.patient_id for row in rows[: query["limit"]]}))
    limit = query["limit"]
    last = rows[limit - 1] if len(rows) > limit else None
    cursor = cursor_for((last.collected_at, last.id), wanted) if last else None
    told = answers_history.as_known(wanted.as_known_at, certainty)
    return paged([answers.flag_row(row) for row in rows[:limit]], cursor, **told)


def _rows(connection: Connection, wanted: FlagFilter, query: Mapping[str, Any]) -> tuple[Sequence[Any], Certainty]:
    place, limit = cursor_after(query, wanted), query["limit"] + 1
    if wanted.as_known_at is None:
        return history.flag_page(connection, wanted, after=place, limit=limit), Certainty()
    return as_known.flag_page(connection, wanted, catalogue=means().catalogue, after=place, limit=limit)


@door.route("/flags/<string:flag_id>")
@scope("flags:read")
@refuses(400, 401, 403, 404, 503)
@door.response(200, FlagViewShape)
def show(flag_id: str) -> Response:
    """One flag

    The flag with the whole explanation: the value as sent and as converted, the limit and where it comes from, the
    rule and its version, the note, the sources, what would change the answer, and everything that was told of it.
    """
    with means().database.reading() as connection:
        view = history.flag_view(connection, flag_id)
    auditing.about(view.flag.patient_id)
    return jsonify(answers.flag_view(view, means().catalogue.intended_use))
