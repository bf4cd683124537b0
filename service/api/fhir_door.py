"""The door of FHIR: its blueprint, and how it speaks.

Law: below /fhir everything is answered as FHIR, whatever goes wrong: an OperationOutcome, never a problem of RFC 9457.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import NotAcceptable

from service.api import counting
from service.api.problems import PROBLEMS, Problem
from service.domain.errors import BadInput, Fault
from service.flows.fhir import UNIT
from service.flows.fhir_conditions import UNMET
from service.flows.fhir_entries import status_of
from service.formats.fhir import outcome
from service.formats.fhir.issues import issue_type
from service.formats.fhir.reader import MEDIA_TYPE, MEDIA_TYPES
from service.formats.fhir.searchset import written

ROOT = "/fhir"
CONTENT_TYPE = f"{MEDIA_TYPE}; charset=utf-8"

door = Blueprint("fhir", __name__, url_prefix=f"{ROOT}/R4")

_FORMATS = frozenset({*MEDIA_TYPES, "json", "text/json"})
_ANY = frozenset({*MEDIA_TYPES, "*/*", "application/*"})
# The issue type of each kind of problem (http://hl7.org/fhir/R4/valueset-issue-type.html).
_TYPES = {
    "invalid-json": "structure",
    "invalid-query": "invalid",
    "invalid-cursor": "value",
    "unauthenticated": "login",
    "forbidden": "forbidden",
    "not-found": "not-found",
    "method-not-allowed": "not-supported",
    "ambiguous-patient": "multiple-matches",
    "request-timeout": "timeout",
    "body-too-large": "too-long",
    "unsupported-media-type": "not-supported",
    "idempotency-key-reused": "conflict",
    "idempotency-key-in-use": "lock-error",
    "precondition-failed": "conflict",
    "bad-request": "invalid",
    "internal-error": "exception",
    "unavailable": "transient",
}
_OF_FAULTS = {"parameter-unknown": "not-supported", "parameter-invalid": "value", "version-conflict": "conflict"}
# What to do about it where that is another thing here than elsewhere.
_REMEDIES = {
    "ambiguous-patient": "Write patient:identifier=system|value, with one of those as the system.",
    "invalid-cursor": "Take the address of the next link as it is, or begin without _cursor.",
    "unsupported-media-type": "Send Content-Type: application/fhir+json, without Content-Encoding.",
}
# A transaction that cannot be taken is answered with 400, whatever is wrong with it.
STATUSES = {UNIT: 400, UNMET: 412}
# Whoever asks again may be served.
_PASSING = frozenset({"exception", "transient", "timeout", "lock-error"})


def answered(body: bytes | dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in FHIR."""
    data = body if isinstance(body, bytes) else written(body)
    return Response(data, status, dict(headers or {}), content_type=CONTENT_TYPE)


def base() -> str:
    """The address of this server, under the public address if there is one."""
    return f"{root()}{door.url_prefix}"


def root() -> str:
    """The address of the service."""
    public: str | None = current_app.config["PUBLIC_URL"]
    return public or request.url_root.rstrip("/")


def say(known: Problem, detail: str, *, faults: Sequence[Fault], headers: Mapping[str, str]) -> Response:
    """A problem as an OperationOutcome."""
    code = _TYPES.get(known.slug, "processing")
    severity = "fatal" if code in _PASSING else "error"
    issues = [_issue(one) for one in faults]
    told = known.title if detail == known.title else f"{known.title}: {detail}"
    whole = issues or [outcome.issue(severity, code, f"{told}. {_REMEDIES.get(known.slug, known.remedy)}")]
    # Links of media types are for the doors that speak others.
    kept = {name: value for name, value in headers.items() if name != "Accept-Post"}
    return answered(outcome.outcome(whole), known.status, kept)


def _issue(fault: Fault) -> dict[str, Any]:
    text = f"{fault.detail} ({fault.hint})" if fault.hint else fault.detail
    if fault.code in {"parameter-unknown", "parameter-invalid"}:
        # A parameter has no FHIRPath; R4 names it in ``location``, as part of HTTP.
        return {**outcome.issue("error", _OF_FAULTS[fault.code], text), "location": [f"http.{fault.pointer}"]}
    return outcome.issue("error", _OF_FAULTS.get(fault.code, issue_type(fault.code)), text, place=fault.pointer)


@door.errorhandler(BadInput)
def refused(error: BadInput) -> Response:
    """What was sent cannot be taken: an issue for each fault."""
    known = PROBLEMS.get(error.kind)
    # Metrics tell the kinds of problem that are documented, and no others.
    counting.problem(known.slug if known else "invalid-panel")
    status = STATUSES.get(error.kind) or (known.status if known else status_of(error.faults))
    return answered(outcome.outcome(_issue(one) for one in error.faults), status)


@door.errorhandler(NotAcceptable)
def _not_acceptable(_: NotAcceptable) -> Response:
    counting.problem("bad-request")
    told = f"only JSON is answered; accept {MEDIA_TYPE}"
    return answered(outcome.outcome([outcome.issue("error", "not-supported", told)]), 406)


@door.before_request
def _acceptable() -> None:
    """Raise ``NotAcceptable`` for those who want anything but JSON of R4."""
    wanted = request.args.get("_format")
    if wanted is not None and wanted.partition(";")[0].strip().replace(" ", "+") not in _FORMATS:
        raise NotAcceptable
    accepted = list(request.accept_mimetypes)
    if wanted is None and accepted and not any(quality > 0 and _of_ours(media.lower()) for media, quality in accepted):
        raise NotAcceptable


def _of_ours(media: str) -> bool:
    kind, _, options = media.partition(";")
    version = options.replace(" ", "").removeprefix("fhirversion=") if "fhirversion" in options else "4.0"
    return kind.strip() in _ANY and version.startswith("4.0")
