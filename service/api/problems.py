"""Problems: every kind of refusal, once, with what to do about it (RFC 9457).

Law: all faults are told at once, each with its place and a remedy; nothing of the inside is told.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

import orjson
import structlog
from flask import Flask, Response, g, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, HTTPException, MethodNotAllowed, RequestEntityTooLarge

from service.api import counting
from service.domain.errors import Ambiguous, BadInput, Conflict, Fault, InUse, NotFound, Stale, Unavailable

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A kind of refusal. ``remedy`` is what the caller can do."""

    slug: str
    status: int
    title: str
    remedy: str

    @property
    def type(self) -> str:
        return f"/problems/{self.slug}"


def _table(*problems: Problem) -> Mapping[str, Problem]:
    return {problem.slug: problem for problem in problems}


PROBLEMS = _table(
    Problem(
        slug="invalid-json",
        status=400,
        title="The body is not JSON",
        remedy="Send one JSON value in UTF-8. The detail names line and column, or the place of a repeated key.",
    ),
    Problem(
        slug="invalid-csv",
        status=422,
        title="The CSV cannot be read",
        remedy="Correct the columns named in errors; each pointer is the name of a column.",
    ),
    Problem(
        slug="invalid-query",
        status=400,
        title="The query is not valid",
        remedy="Correct the parameters named in errors; each pointer is the name of a parameter.",
    ),
    Problem(
        slug="invalid-cursor",
        status=400,
        title="The cursor is not valid here",
        remedy="Take the cursor from the next link of the same query, or begin without one.",
    ),
    Problem(
        slug="unauthenticated",
        status=401,
        title="No valid API key",
        remedy="Send Authorization: Bearer with a key that has not expired or been revoked.",
    ),
    Problem(
        slug="forbidden",
        status=403,
        title="The caller may not do this",
        remedy="Use a key with the scope that the detail names, or sign in as somebody whose role has it.",
    ),
    Problem(
        slug="not-from-our-page",
        status=403,
        title="A session changes something, and the request does not show that a page of ours sent it",
        remedy="Send X-CSRF-Token with the value that the forms of the pages hold, or use an API key.",
    ),
    Problem(slug="not-found", status=404, title="There is no such thing", remedy="Check the path and the id in it."),
    Problem(
        slug="method-not-allowed",
        status=405,
        title="The method is not allowed here",
        remedy="Use one of the methods in the Allow header.",
    ),
    Problem(
        slug="ambiguous-patient",
        status=409,
        title="Several patients have this identifier",
        remedy="Repeat the request with authority set to one of those that the detail lists.",
    ),
    Problem(
        slug="request-timeout",
        status=408,
        title="The request did not come in time",
        remedy="Send it again without pauses. The time is LAB_ALERTS_CLIENT_TIMEOUT_SECONDS. Nothing of it was kept.",
    ),
    Problem(
        slug="body-too-large",
        status=413,
        title="The body is too large",
        remedy="Send less at once. The limit is LAB_ALERTS_MAX_BODY_BYTES.",
    ),
    Problem(
        slug="unsupported-media-type",
        status=415,
        title="The media type is not read here",
        remedy="Send what the detail names, without Content-Encoding.",
    ),
    Problem(
        slug="invalid-panel",
        status=422,
        title="The panel cannot be read",
        remedy="Correct every fault in errors and send the panel again. Nothing of it was kept.",
    ),
    Problem(
        slug="not-judgeable",
        status=422,
        title="Not every result can be judged, and strict handling was asked for",
        remedy="Correct the faults in errors, or send without Prefer: handling=strict to have the rest judged.",
    ),
    Problem(
        slug="idempotency-key-reused",
        status=422,
        title="The Idempotency-Key was used for another request",
        remedy="Send this request under a new key. The answer to the first one is under the old key.",
    ),
    Problem(
        slug="idempotency-key-in-use",
        status=409,
        title="A request with this Idempotency-Key is being carried out",
        remedy="Send the same request again after the seconds in Retry-After; its answer is there then.",
    ),
    Problem(
        slug="invalid-source-map",
        status=422,
        title="The map of the source cannot be used",
        remedy="Correct every fault in errors and send the whole map again. Nothing of it was kept.",
    ),
    Problem(
        slug="invalid-subscription",
        status=422,
        title="The subscription cannot be made or changed so",
        remedy="Correct every fault in errors and send it again. Nothing of it was kept.",
    ),
    Problem(
        slug="invalid-escalation",
        status=422,
        title="The escalation policy cannot be used",
        remedy="Correct every fault in errors and send the whole policy again. Nothing of it was kept.",
    ),
    Problem(
        slug="invalid-feed",
        status=422,
        title="A source cannot be expected so",
        remedy="Correct every fault in errors and send it again. Nothing of it was kept.",
    ),
    Problem(
        slug="invalid-act",
        status=422,
        title="It cannot be done or recorded so",
        remedy="Correct every fault in errors and send it again. Nothing of it was kept.",
    ),
    Problem(
        slug="episode-not-open",
        status=409,
        title="The episode is not open",
        remedy="Read the episode again. What has ended can still be commented on, and calls about it recorded.",
    ),
    Problem(
        slug="already-acknowledged",
        status=409,
        title="Somebody has acknowledged the episode already",
        remedy="Read who did and why. What you wanted to add can be sent as a comment.",
    ),
    Problem(
        slug="nothing-to-undo",
        status=409,
        title="There is nothing to undo",
        remedy="Read the episode again. An acknowledgement and a snooze end by themselves when it gets worse or ends.",
    ),
    Problem(
        slug="one-by-one",
        status=409,
        title="Critical episodes are acknowledged one by one",
        remedy="Acknowledge this one by itself, with a note.",
    ),
    Problem(
        slug="precondition-failed",
        status=412,
        title="It is not the version that the request names",
        remedy="Read it again, make your change to that, and send its ETag in If-Match: in quotes, without W/.",
    ),
    Problem(
        slug="invalid-cds-hooks",
        status=400,
        title="The request of CDS Hooks cannot be read",
        remedy="Correct every fault that is named and send it again. Nothing of it was kept.",
    ),
    Problem(
        slug="prefetch-needed",
        status=412,
        title="What the cards rest on did not come",
        remedy="Send what is named under prefetch, as the discovery document asks for it.",
    ),
    Problem(
        slug="bad-request",
        status=400,
        title="The request cannot be understood",
        remedy="Check the request line and the headers.",
    ),
    Problem(
        slug="internal-error",
        status=500,
        title="The service has failed",
        remedy="Send the same request again later. If it fails again, tell the operator the Request-Id.",
    ),
    Problem(
        slug="unavailable",
        status=503,
        title="The service cannot do this now",
        remedy="Send the same request again after the seconds in Retry-After. What was kept is a duplicate then.",
    ),
)

_BY_STATUS = {
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
}


class Refused(Exception):
    """A refusal that an API view or its guards decide on. ``kind`` names the documented problem."""

    def __init__(self, kind: str, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        self.kind, self.detail, self.headers = kind, detail, headers or {}
        super().__init__(kind)


class Language(Protocol):
    """How the doors of a protocol refuse."""

    def __call__(
        self, known: Problem, detail: str, *, faults: Sequence[Fault], headers: Mapping[str, str]
    ) -> Response: ...


_LANGUAGES: dict[str, Language] = {}


def in_own_words(root: str, say: Language) -> None:
    """Let the doors below a path refuse in the words of their protocol."""
    _LANGUAGES[root] = say


def problem(
    kind: str, detail: str, *, faults: Iterable[Fault] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """The answer that refuses a request."""
    counting.problem(kind)
    known = PROBLEMS[kind]
    say = next((say for root, say in _LANGUAGES.items() if f"{request.path}/".startswith(f"{root}/")), None)
    if say is not None:
        return say(known, detail, faults=tuple(faults), headers=headers or {})
    request_id = g.get("request_id", "")
    body = problem_data(known, detail, faults) | {"instance": f"urn:request:{request_id}", "requestId": request_id}
    return Response(orjson.dumps(body), known.status, headers, content_type=MEDIA_TYPE)


def problem_data(known: Problem, detail: str, faults: Iterable[Fault] = ()) -> dict[str, Any]:
    """A problem, as it is answered; one of several in an answer is told like one that is alone."""
    told = {"type": known.type, "title": known.title, "status": known.status, "detail": detail, "remedy": known.remedy}
    errors = [error_data(fault) for fault in faults]
    return told | ({"errors": errors} if errors else {})


def error_data(fault: Fault) -> dict[str, Any]:
    """One fault, as it is answered."""
    told = {"pointer": fault.pointer, "code": fault.code, "detail": fault.detail}
    optional = {"value": fault.value, "hint": fault.hint}
    return told | {name: value for name, value in optional.items() if value is not None}


def _bad_input(error: BadInput) -> Response:
    return problem(error.kind, _counted(error.faults), faults=error.faults)


def _counted(faults: Sequence[Fault]) -> str:
    count = len(faults)
    return faults[0].detail if count == 1 and not faults[0].pointer else f"{count} fault{'s' * (count > 1)}"


def one_of_several(error: BadInput | NotFound | Stale | Conflict) -> dict[str, Any]:
    """Why one of several things was refused, while others were done."""
    kind, detail, faults = _refusal(error)
    counting.problem(kind)
    return problem_data(PROBLEMS[kind], detail, faults)


def _refusal(error: BadInput | NotFound | Stale | Conflict) -> tuple[str, str, Sequence[Fault]]:
    match error:
        case BadInput():
            return error.kind, _counted(error.faults), error.faults
        case Conflict():
            return error.kind, error.detail, ()
        case Stale():
            return "precondition-failed", str(error), ()
        case NotFound():
            return "not-found", _lacking(error), ()


def _not_found(error: NotFound) -> Response:
    return problem("not-found", _lacking(error))


def _lacking(error: NotFound) -> str:
    return f"there is no such {error.thing}"


def _conflict(error: Conflict) -> Response:
    return problem(error.kind, error.detail)


def _ambiguous(error: Ambiguous) -> Response:
    return problem("ambiguous-patient", f"assigned by: {', '.join(error.choices)}")


def _in_use(error: InUse) -> Response:
    return problem("idempotency-key-in-use", error.what, headers={"Retry-After": str(error.retry_after)})


def _stale(error: Stale) -> Response:
    return problem("precondition-failed", str(error), headers={"ETag": f'"{error.version}"'})


def _unavailable(error: Unavailable) -> Response:
    structlog.get_logger().warning("unavailable", why=error.why)
    return problem("unavailable", error.why, headers={"Retry-After": str(error.retry_after)})


def _refused(error: Refused) -> Response:
    return problem(error.kind, error.detail, headers=error.headers)


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    kind = _BY_STATUS.get(status, "bad-request" if status < 500 else "internal-error")
    headers = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    if isinstance(error, RequestEntityTooLarge):
        headers["Connection"] = "close"  # the rest of the body is not read
    return problem(
        kind, PROBLEMS[kind].title if kind in _BY_STATUS.values() else HTTPStatus(status).phrase, headers=headers
    )


def _broken_off(error: ClientDisconnected) -> Response:
    """The body ended too soon. When that is because it was no longer waited for, its client can still hear why."""
    if isinstance(error.__context__, TimeoutError):
        return problem("request-timeout", "the body did not come in time", headers={"Connection": "close"})
    return _http(error)


def _badly_framed(_error: ParseException) -> Response:
    return problem("bad-request", "the body is not framed as its headers say")


def _failed(error: Exception) -> Response:
    structlog.get_logger().error("request failed", exc_info=error)
    return problem("internal-error", "the request was not carried out")


def register(app: Flask) -> None:
    """Answer every error of the app as a problem."""
    app.register_error_handler(BadInput, _bad_input)
    app.register_error_handler(NotFound, _not_found)
    app.register_error_handler(Ambiguous, _ambiguous)
    app.register_error_handler(Conflict, _conflict)
    app.register_error_handler(InUse, _in_use)
    app.register_error_handler(Stale, _stale)
    app.register_error_handler(Unavailable, _unavailable)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(ClientDisconnected, _broken_off)
    app.register_error_handler(ParseException, _badly_framed)
    app.register_error_handler(Exception, _failed)
