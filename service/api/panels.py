"""Panels: in at the one door, and out again by id.

Law: nothing is answered before it is kept.
"""

import time
from functools import partial
from typing import Any

from flask import Response, g, jsonify, request

from service.api import answers, auditing, bulk, counting, guard, idempotency
from service.api.description import Door, refuses
from service.api.guard import means, scope
from service.api.reading import PanelQuery, body, media_type, strict_handling
from service.api.shapes import LineShape, PanelAnswerShape, ReceiptShape
from service.flows.incoming import Order, order
from service.flows.intake import take_in, take_in_with_others
from service.flows.receipts import Receipt
from service.formats import csv_rows, native, ndjson, panel_shape
from service.storage import history, panels, patients
from service.storage.panels import Message

door = Door("panels", __name__, url_prefix="/v1", description="Laboratory panels")

_PREFER = {
    "in": "header",
    "name": "Prefer",
    "schema": {"type": "string"},
    "description": "handling=strict refuses the panel when any of its results cannot be judged (RFC 7240).",
}

_BODIES = {
    native.MEDIA_TYPE: {"schema": panel_shape.PanelShape},
    ndjson.MEDIA_TYPE: {"schema": {"type": "string", "description": "One panel on each line."}},
    csv_rows.MEDIA_TYPE: {
        "schema": {
            "type": "string",
            "description": f"A header with {', '.join(csv_rows.REQUIRED)} and more; a result on each row.",
        }
    },
}


@door.route("/panels", methods=["POST"], parameters=[_PREFER, idempotency.PARAMETER])
@scope("panels:write")
@door.doc(requestBody={"required": True, "content": _BODIES})
@door.arguments(PanelQuery(), location="query")
@refuses(400, 401, 403, 408, 409, 413, 415, 422, 503)
@door.alt_response(200, schema=LineShape, content_type=ndjson.MEDIA_TYPE, description="A line for each line or row.")
@door.alt_response(200, schema=ReceiptShape, description="Held already, or a dry run; or a line for each line or row.")
@door.response(201, ReceiptShape, description="The panel was judged and kept.")
def send(query: dict[str, Any]) -> Response:
    """Send a panel

    Judges every result of the panel together with what is held of the patient, keeps it, and answers with a verdict
    on each result, the flags that stand on it and what changed. Sending the same panel again changes nothing. NDJSON
    and CSV bring many panels: they are answered as NDJSON, line by line, while they are read.
    """
    sent_as, strict = media_type((native.MEDIA_TYPE, *bulk.FORMATS)), strict_handling()
    if sent_as in bulk.FORMATS:
        return bulk.send(sent_as, dry_run=query["dry_run"], strict=strict)
    return _one(body(), dry_run=query["dry_run"], strict=strict)


def _one(sent: bytes, *, dry_run: bool, strict: bool) -> Response:
    now = guard.now()
    message = Message(
        body=sent,
        content_type=native.MEDIA_TYPE,
        source=guard.key().source,
        key_id=guard.key().id,
        request_id=g.request_id,
        received_at=now,
    )
    with counting.refusals(message.source, dry_run=dry_run):
        wish = None if dry_run else idempotency.remembering(sent, strict=strict, answer=partial(_answer, strict=strict))
        asked = order(native.read(sent, now=now), message, means(), remembering=wish)
        found = _taken(asked, dry_run=dry_run, strict=strict)
    _note(found, dry_run=dry_run)
    if not dry_run and not found.recalled:
        counting.taken_in(found, source=message.source, door="json", seconds=time.perf_counter() - g.began)
    return idempotency.answered(found) or _answer(found, strict=strict)


def _note(found: Receipt, *, dry_run: bool) -> None:
    auditing.about(found.patient)
    if found.id is not None:
        auditing.beside(panel=found.id)
    if dry_run or found.recalled:
        auditing.beside(**{"dry_run" if dry_run else "recalled": True})


def _taken(one: Order, *, dry_run: bool, strict: bool) -> Receipt:
    if dry_run or strict:
        return take_in(one, means(), dry_run=dry_run, strict=strict)
    return take_in_with_others(one, means())


def _answer(found: Receipt, *, strict: bool) -> Response:
    response = jsonify(answers.receipt(found, means().catalogue))
    if found.id is not None:
        response.headers["Location"] = f"{request.script_root}{request.path}/{found.id}"
        response.status_code = 200 if found.duplicate else 201
    if strict:
        response.headers["Preference-Applied"] = "handling=strict"
    return response


@door.route("/panels/<string:panel_id>")
@scope("flags:read")
@refuses(400, 401, 403, 404, 503)
@door.response(200, PanelAnswerShape)
def show(panel_id: str) -> Response:
    """One panel

    What was sent, to the letter, and how each result is judged now.
    """
    with means().database.reading() as connection:
        kept = panels.panel(connection, panel_id)
        auditing.about(kept.patient_id)
        patient = patients.get(connection, kept.patient_id)
        rows = history.panel_rows(connection, kept.patient_id, [(item.result, item.version) for item in kept.items])
    return jsonify(answers.panel(kept, patient, rows, intended_use=means().catalogue.intended_use))
