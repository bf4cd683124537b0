"""FHIR in: Bundles, messages, and single results and reports.

Law: nothing is answered before it is kept, and the answer says of each entry what became of it.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import uuid4

import structlog
from flask import Response, current_app, g, request

from service.api import auditing, counting, guard, idempotency
from service.api.fhir_door import answered, base, door
from service.api.fhir_shown import observation_named
from service.api.guard import means, scope
from service.api.reading import body, media_type
from service.domain.errors import Unavailable
from service.flows import fhir as flow
from service.flows.fhir import Asked
from service.flows.fhir_taking import Answered, Sending
from service.flows.means import Means
from service.formats.fhir.issues import KIND
from service.formats.fhir.reader import MEDIA_TYPES

Take = Callable[[Sending, Means], Answered]
_KINDS = "<any(Observation, DiagnosticReport):kind>"
_RETURNS = ("minimal", "representation", "OperationOutcome")


@door.post("")
@door.post("/", endpoint="bundle_")
@scope("panels:write")
def bundle() -> Response:
    """Send a Bundle."""
    return _done(flow.take_in_bundle, _sending())


@door.post("/$process-message")
@scope("panels:write")
def message() -> Response:
    """Send a message, and have a reply to it."""
    return _done(flow.take_in_message, _sending())


@door.post(f"/{_KINDS}")
@scope("panels:write")
def create(kind: str) -> Response:
    """Send a result, or a report that contains its results."""
    asked = Asked(kind=kind, if_none_exist=request.headers.get("If-None-Exist"))
    return _one(asked)


@door.put(f"/{_KINDS}/<string:resource_id>")
@scope("panels:write")
def update(kind: str, resource_id: str) -> Response:
    """Send a result or a report under an id of the sender's own."""
    conditions = {"if_match": request.headers.get("If-Match"), "if_none_match": request.headers.get("If-None-Match")}
    return _one(Asked(kind=kind, id=resource_id, **conditions))


def _sending() -> Sending:
    media_type(MEDIA_TYPES)
    return Sending(
        body=body(),
        source=guard.key().source,
        key_id=guard.key().id,
        request_id=g.request_id,
        received_at=guard.now(),
        new_id=lambda: str(uuid4()),
        endpoint=base(),
        key=idempotency.key(),
        remember=timedelta(hours=current_app.config["REMEMBER_HOURS"]),
    )


def _done(take_in: Take, sending: Sending) -> Response:
    found = _counted(take_in, sending)
    headers = dict(found.answer.headers)
    if found.recalled:
        headers["Idempotent-Replayed"] = "true"
    return answered(found.answer.body, found.answer.status, headers)


def _counted(take_in: Take, sending: Sending) -> Answered:
    with counting.refusals(sending.source, dry_run=False):
        found = take_in(sending, means())
    auditing.about_panels(found.receipts)
    seconds = time.perf_counter() - g.began
    for receipt in found.receipts:
        counting.taken_in(receipt, source=sending.source, door="fhir", seconds=seconds)
    if found.refused:
        counting.rejected(sending.source, KIND, found.refused)
    if found.failed is not None:
        counting.problem("unavailable" if isinstance(found.failed, Unavailable) else "idempotency-key-in-use")
        structlog.get_logger().warning("fhir message not taken in", why=type(found.failed).__name__)
    return found


def _one(asked: Asked) -> Response:
    """One resource: where it is now, and as much of it as is preferred."""
    response = _done(partial(flow.take_in_resource, asked), _sending())
    location = response.headers.get("Location")
    if location is not None:
        response.headers["Location"] = f"{base()}/{location}"
    wanted = _returning()
    if wanted == "minimal":
        response.set_data(b"")
    elif wanted == "representation" and location is not None:
        response.set_data(observation_named(location))
    if wanted is not None:
        response.headers["Preference-Applied"] = f"return={wanted}"
    return response


def _returning() -> str | None:
    """What ``Prefer: return=…`` asks for, if it is something that can be had."""
    preferences = ",".join(request.headers.getlist("Prefer")).split(",")
    said = [one.partition(";")[0].strip().replace(" ", "").replace('"', "") for one in preferences]
    return next((one for one in _RETURNS if f"return={one}".lower() in map(str.lower, said)), None)
