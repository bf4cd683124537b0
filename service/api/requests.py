"""Around every request: its id, its line in the log, and the headers of every answer.

Law: the log says which route was asked, never which path: paths and queries carry patient ids.
"""

import re
import time
from uuid import uuid4

import structlog
from flask import Flask, Response, g, request

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_QUIET = frozenset({"health.live", "health.ready", "metrics.show"})

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


def _begin() -> None:
    sent = request.headers.get("Request-Id", "")
    g.request_id = sent if _ID.fullmatch(sent) else uuid4().hex
    g.began = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _end(response: Response) -> Response:
    # One look at what the view has set: to look for each of ours costs several times as much.
    has = {name.lower() for name, _ in response.headers}
    response.headers.extend((name, value) for name, value in _HEADERS.items() if name.lower() not in has)
    response.headers["Request-Id"] = g.get("request_id", "")
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    _log(response)
    return response


def _forget(_error: BaseException | None) -> None:
    """What comes after on this thread is not of this request."""
    structlog.contextvars.clear_contextvars()


def _log(response: Response) -> None:
    level = "debug" if request.endpoint in _QUIET and response.status_code < 400 else "info"
    getattr(structlog.get_logger(), level)(
        "request",
        method=request.method if request.method in METHODS else "other",
        route=request.url_rule.rule if request.url_rule else None,
        status=response.status_code,
        milliseconds=round((time.perf_counter() - g.get("began", time.perf_counter())) * 1000, 1),
    )


METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


def register(app: Flask) -> None:
    """Number, log and dress every request. Must be registered before anything that can refuse one."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)
