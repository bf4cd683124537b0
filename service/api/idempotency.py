"""Idempotency-Key: a request that is sent again is answered again, not carried out again.

The header is a structured-field string (draft-ietf-httpapi-idempotency-key-header-07), in quotes; a bare token is
taken, too. Law: a key counts for one API key and one route, and for one body.
"""

import hashlib
import re
from collections.abc import Callable
from contextvars import copy_context
from datetime import timedelta

from flask import Response, current_app, request

from service.api import guard
from service.api.problems import Refused
from service.flows.receipts import Receipt
from service.flows.remembering import Remembering
from service.storage.idempotency import Answer, Claim

HEADER = "Idempotency-Key"
LONGEST = 255
# RFC 8941 string: printable ASCII, with a backslash before a quote and before itself.
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"', re.ASCII)
_BARE = re.compile(r"[!#-+\--\[\]-~]+", re.ASCII)
_REMEMBERED = ("Content-Type", "Location", "Preference-Applied")

PARAMETER = {
    "in": "header",
    "name": HEADER,
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST + 2},
    "example": '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
    "description": (
        "A name of your own for this request, in quotes. The same request under the same key is carried out once and "
        "answered the same, with Idempotent-Replayed: true. Only what was kept is remembered, for the hours of "
        "LAB_ALERTS_REMEMBER_HOURS. Not used for dry runs, nor for NDJSON and CSV, whose lines may all be sent again."
    ),
}


def key() -> str | None:
    """The key of this request. Raises ``Refused`` when the header holds none."""
    sent = request.headers.get(HEADER)
    if sent is None:
        return None
    text = sent.strip()
    quoted = _QUOTED.fullmatch(text)
    found = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text if _BARE.fullmatch(text) else ""
    if not 0 < len(found) <= LONGEST:
        raise Refused("bad-request", f"{HEADER} must be one text in quotes of 1 to {LONGEST} ASCII characters")
    return found


def remembering(sent: bytes, *, strict: bool, answer: Callable[[Receipt], Response]) -> Remembering | None:
    """The wish to have the answer to this request remembered, if it has a key."""
    named = key()
    if named is None:
        return None
    parts = (b"strict" if strict else b"", sent)
    claim = Claim(
        client=guard.key().id,
        route=f"{request.method} {request.url_rule}",
        key=named,
        fingerprint=hashlib.sha256(b"\x00".join(parts)).hexdigest(),
    )
    # Another thread may write this down, together with its own: it answers as if it were this request.
    context = copy_context()
    hours: int = current_app.config["REMEMBER_HOURS"]
    return Remembering(
        claim=claim,
        until=guard.now() + timedelta(hours=hours),
        render=lambda receipt: context.run(_rendered, receipt, answer),
    )


def _rendered(receipt: Receipt, answer: Callable[[Receipt], Response]) -> Answer:
    response = answer(receipt)
    headers = {name: response.headers[name] for name in _REMEMBERED if name in response.headers}
    return Answer(status=response.status_code, headers=headers, body=response.get_data())


def answered(receipt: Receipt) -> Response | None:
    """The answer that is remembered, if there is one."""
    if receipt.answer is None:
        return None
    response = Response(receipt.answer.body, receipt.answer.status, dict(receipt.answer.headers))
    if receipt.recalled:
        response.headers["Idempotent-Replayed"] = "true"
    return response
