"""HL7 v2 over HTTP: a message in, its acknowledgment out.

Law: whoever speaks HL7 is answered in HL7. A problem (RFC 9457) is answered only by what stands before the message: the
key, the media type, the size; and when the message could not be kept, so that there is nothing to acknowledge.
"""

import secrets
import time
from datetime import timedelta
from typing import Any

import structlog
from flask import Response, current_app, g, request
from marshmallow import fields

from service.api import auditing, counting, guard
from service.api.description import Door, refuses
from service.api.guard import means, scope
from service.api.reading import Query, body, media_type
from service.flows.hl7v2 import Answered, Sending, Whole, take_in
from service.formats.hl7v2 import ack
from service.formats.hl7v2.head import head_of
from service.formats.hl7v2.reader import MEDIA_TYPE

door = Door("hl7v2", __name__, description="HL7 v2 messages")

_NAMED = 20  # messages of a batch whose codes are noted
BY_CODE = "by-code"
_STATUS = {ack.ACCEPTED: 200, ack.CONTENT: 500, ack.REJECTED: 400}
_TEXT = {"type": "string", "description": "Segments, each ended by a carriage return."}
_ACK = (
    "The acknowledgment of the message, or of each message of a batch: AA, AE or AR, with an ERR for each fault. Empty "
    "when MSH-15 and MSH-16 ask for none."
)


class Hl7Query(Query):
    """Parameters of sending a message."""

    # The schema has a ``partial`` of its own.
    some = fields.Boolean(
        data_key="partial",
        attribute="partial",
        load_default=False,
        error_messages={"invalid": "is neither true nor false"},
        metadata={"description": "Keep the good results of a message in which others have faults; the answer is AE."},
    )


@door.route("/hl7v2", methods=["POST"])
@scope("panels:write")
@door.doc(requestBody={"required": True, "content": {MEDIA_TYPE: {"schema": _TEXT}}})
@door.arguments(Hl7Query(), location="query")
@refuses(400, 401, 403, 408, 413, 415, 422, 503)
@door.alt_response(400, schema=_TEXT, content_type=MEDIA_TYPE, description="AR or CR, where the operator wants it so.")
@door.alt_response(500, schema=_TEXT, content_type=MEDIA_TYPE, description="AE or CE, where the operator wants it so.")
@door.response(200, _TEXT, content_type=MEDIA_TYPE, description=_ACK)
def send(query: dict[str, Any]) -> Response:
    """Send an HL7 v2 message

    Takes in ORU^R01, R30, R31, R32 and OUL^R22, R23, R24 of versions 2.3 to 2.8, one message or a batch. A message is
    kept as a whole or not at all. The same message again has the same acknowledgment again.
    """
    media_type((MEDIA_TYPE,))
    sent = body()
    found = take_in(sent, _sending(query), means())
    auditing.about_panels([receipt for one in found.answered for receipt in one.receipts])
    auditing.beside(codes=" ".join(one.code for one in found.answered[:_NAMED]))
    seconds = time.perf_counter() - g.began
    for one in found.answered:
        counted(one, source=guard.key().source, door="hl7v2", seconds=seconds)
    return _answer(found, sent)


def _sending(query: dict[str, Any]) -> Sending:
    return Sending(
        source=guard.key().source,
        key_id=guard.key().id,
        request_id=g.request_id,
        received_at=guard.now(),
        new_id=new_control_id,
        charset=request.mimetype_params.get("charset"),
        partial=query["partial"],
        remember=timedelta(hours=current_app.config["REMEMBER_HOURS"]),
    )


def new_control_id() -> str:
    """A control id for an acknowledgment; older versions of HL7 v2 allow it 20 characters."""
    return secrets.token_hex(10).upper()


def counted(one: Answered, *, source: str, door: str, seconds: float) -> None:
    """Count what became of a message, and log it without saying anything of what is in it."""
    if one.refused is not None:
        counting.rejected(source, one.refused)
    for receipt in one.receipts:
        counting.taken_in(receipt, source=source, door=door, seconds=seconds)
    log = structlog.get_logger()
    if one.failed is not None:
        log.error("hl7v2 message failed", exc_info=one.failed)
    log.info("hl7v2 message", code=one.code, panels=len(one.receipts), recalled=one.recalled)


def _answer(found: Whole, sent: bytes) -> Response:
    codec = head_of(sent, charset=request.mimetype_params.get("charset")).codec
    status = 200
    if current_app.config["HL7_HTTP_STATUS"] == BY_CODE and len(found.answered) == 1:
        status = _STATUS[found.answered[0].code]
    return Response(found.body, status, content_type=f"{MEDIA_TYPE}; charset={codec.upper()}")
