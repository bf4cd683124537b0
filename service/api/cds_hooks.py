"""CDS Hooks: what services there are, cards for a patient, and what became of the cards.

Law: a caller shows a token of its own instead of a key (``cds_callers``). Whatever goes wrong is told as an
OperationOutcome; browsers of other origins than those of the operator's list are told nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson
from flask import Blueprint, Flask, Response, current_app, g, request

from service.api import auditing, cds_callers, guard, problems
from service.api.cds_callers import SOURCE, Issuers
from service.api.guard import means
from service.api.problems import Problem
from service.api.reading import body, media_type
from service.config import Settings
from service.domain.errors import Fault, NotFound
from service.flows import cds_feedback, cds_tokens
from service.flows import cds_hooks as flow
from service.flows.cds_hooks import Asking
from service.formats import strict_json
from service.formats.cds_hooks.call import read_call
from service.formats.cds_hooks.feedback import read_feedback
from service.formats.cds_hooks.services import SERVICES, Service, discovery
from service.formats.fhir import outcome

ROOT = "/cds-services"
MEDIA_TYPE = "application/json"
# The version of CDS Hooks that the services speak.
VERSION = "2.0.0"
_NAME = "lab_alerts_cds_hooks"

door = Blueprint("cds_hooks", __name__, url_prefix=ROOT)

_METHODS, _HEADERS, _MAX_AGE = "GET, POST", "Authorization, Content-Type", "600"
# The issue type of a problem by its status (http://hl7.org/fhir/R4/valueset-issue-type.html).
_TYPES = {401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported", 408: "timeout", 413: "too-long"}
_TYPES |= {415: "not-supported", 500: "exception", 503: "transient"}
_REMEDIES = {
    "unauthenticated": "Send Authorization: Bearer with a JWT whose aud is the address that is called.",
    "unsupported-media-type": "Send Content-Type: application/json, without Content-Encoding.",
    "forbidden": "Ask the operator to list the tenant.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who may call: everybody where ``issuers`` is None; and browsers of which origins."""

    issuers: Issuers | None = field(repr=False)
    origins: frozenset[str] = frozenset()


def register(app: Flask, settings: Settings) -> None:
    """Open the door. Raises ``SettingsError`` when the list of issuers cannot be used."""
    issuers = None if settings.cds_hooks_auth == "off" else cds_callers.issuers_from(settings)
    app.extensions[_NAME] = Policy(issuers=issuers, origins=frozenset(settings.cds_hooks_origins or ()))
    problems.in_own_words(ROOT, say)
    app.register_blueprint(door)


def _policy() -> Policy:
    found: Policy = current_app.extensions[_NAME]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, and the source that their words are those of."""

    client: str
    source: str


@door.before_request
def _let_in() -> None:
    """Raise ``Refused`` unless the caller may call. What a browser asks first (OPTIONS) carries no token."""
    if request.method != "OPTIONS":
        g.cds_caller = _caller()


def _caller() -> Caller:
    issuers = _policy().issuers
    if issuers is None:
        return Caller(client="", source=SOURCE)
    sent = request.authorization
    if sent is None or sent.type != "bearer" or not sent.token:
        raise cds_callers.refused("the request carries no token")
    now = guard.now()
    token = cds_callers.check(sent.token, issuers, address=f"{_address()}{request.path}", now=now)
    name = token.issuer.name
    if not cds_tokens.use(means().database, name, token.id, expires_at=token.expires_at, now=now):
        raise cds_callers.refused("the token was used before: jti")
    return Caller(client=name, source=token.issuer.source)


def _address() -> str:
    """The address of this service, under which links and the audience of tokens are."""
    public: str | None = current_app.config["PUBLIC_URL"]
    return public or request.url_root.rstrip("/")


@door.after_request
def _shared(response: Response) -> Response:
    """Let browsers of the listed origins read the answer (https://fetch.spec.whatwg.org, CORS)."""
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    if origin is None or origin not in _policy().origins:
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = _METHODS
        response.headers["Access-Control-Allow-Headers"] = _HEADERS
        response.headers["Access-Control-Max-Age"] = _MAX_AGE
    return response


@door.get("")
def discover() -> Response:
    """What services there are, and what they want to be looked up."""
    analytes = means().catalogue.rulebook.analytes
    return _answered(discovery((code for one in analytes.all for code in one.loinc), version=VERSION))


@door.post("/<string:service_id>")
def call(service_id: str) -> Response:
    """The cards for a patient."""
    service = _service(service_id)
    found = read_call(_sent(), service)
    caller: Caller = g.cds_caller
    asking = Asking(
        client=caller.client,
        source=caller.source,
        service=service,
        address=_address(),
        now=guard.now(),
        new_uuid=lambda: str(uuid4()),
        met=auditing.about_each,
    )
    return _answered({"cards": flow.answer(found, asking, means())})


@door.post("/<string:service_id>/feedback")
def feedback(service_id: str) -> Response:
    """What became of cards."""
    service = _service(service_id)
    entries = read_feedback(_sent())
    auditing.beside(entries=len(entries))
    unknown = cds_feedback.take(entries, means(), client=g.cds_caller.client, service=service.id, now=guard.now())
    told = [outcome.issue("warning", "not-found", _ORPHAN, place=f"{one.place}.card") for one in unknown]
    return _answered(outcome.outcome(told) if told else {})


_ORPHAN = "no card of this uuid was shown by this service; the feedback was kept all the same"


def _service(service_id: str) -> Service:
    if service_id not in SERVICES:
        raise NotFound("service")
    return SERVICES[service_id]


def _sent() -> Any:
    media_type((MEDIA_TYPE,))
    return strict_json.parse(body())


def _answered(found: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(found), status, dict(headers or {}), content_type=MEDIA_TYPE)


def say(known: Problem, detail: str, *, faults: Sequence[Fault], headers: Mapping[str, str]) -> Response:
    """A problem as an OperationOutcome: an issue for each fault, with its place in the request."""
    code = _TYPES.get(known.status, "invalid")
    severity = "fatal" if known.status >= 500 else "error"
    told = known.title if detail == known.title else f"{known.title}: {detail}"
    whole = outcome.issue(severity, code, f"{told}. {_REMEDIES.get(known.slug, known.remedy)}")
    issues = [outcome.of_fault(one) for one in faults] or [whole]
    return _answered(outcome.outcome(issues), known.status, headers)
