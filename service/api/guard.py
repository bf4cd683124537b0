"""Who may use which route.

Law: closed by default. A route that neither declares its scope nor stands on the public list is refused to everybody,
and a test finds it before that.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog
from flask import Flask, current_app, g, request

from service.api.problems import Refused
from service.domain.errors import BadInput, Fault
from service.flows.means import Means
from service.storage import keys
from service.storage.keys import ApiKey

View = TypeVar("View", bound=Callable[..., Any])

# Endpoints that anybody may read: they hold nothing of anybody.
PUBLIC = frozenset(
    {
        "health.live",
        "health.ready",
        "docs.openapi",
        "docs.home",
        "docs.index",
        "docs.problem",
        "docs.asset",
    }
)

# Pages are for people: a browser asks for a name and a password, and the password is an API key.
PAGES = frozenset({"flag_page.show"})


def scope(name: str) -> Callable[[View], View]:
    """Declare the scope that a route needs."""
    if name not in keys.SCOPES:
        raise ValueError(f"no such scope: {name}")

    def declare(view: View) -> View:
        view.required_scope = name  # type: ignore[attr-defined]  # a mark on the function, read by scope_of
        return view

    return declare


def scope_of(app: Flask, endpoint: str) -> str | None:
    """The scope that an endpoint declares."""
    found: str | None = getattr(app.view_functions[endpoint], "required_scope", None)
    return found


def means() -> Means:
    """What the flows work with in this app."""
    found: Means = current_app.extensions["lab_alerts"]
    return found


def key() -> ApiKey:
    """The key of this request."""
    found: ApiKey = g.api_key
    return found


def now() -> datetime:
    """The clock of this shell; flows are handed what it says."""
    return datetime.now(UTC)


def _check() -> None:
    endpoint = request.endpoint
    if "\x00" in request.path or any("\x00" in text for pair in request.args.items(multi=True) for text in pair):
        raise Refused("bad-request", "a NUL can stand neither in a path nor in a query")
    if not request.host:
        raise Refused("bad-request", "the Host header is not a host")
    if endpoint is None or endpoint in PUBLIC or request.method == "OPTIONS":
        return
    _refuse_unknown_parameters(current_app.view_functions[endpoint])
    wanted = scope_of(current_app, endpoint)
    if wanted is None:
        raise Refused("forbidden", "this route declares no scope")
    found = _authenticated(endpoint)
    if not found.may(wanted):
        raise Refused("forbidden", f"this needs the scope {wanted}")
    g.api_key = found
    structlog.contextvars.bind_contextvars(key=found.id, source=found.source)


def _refuse_unknown_parameters(view: Any) -> None:
    """Refuse parameters of a described route that has none; routes with parameters check their own."""
    described = getattr(view, "_apidoc", None)
    if request.args and described is not None and "arguments" not in described:
        faults = [
            Fault(pointer=name, code="parameter-unknown", detail="is not a parameter here") for name in request.args
        ]
        raise BadInput(faults, kind="invalid-query")


def _authenticated(endpoint: str) -> ApiKey:
    secret = _secret(endpoint)
    if secret:
        with means().database.reading() as connection:
            found = keys.find(connection, secret)
        if found is not None and found.usable(now()):
            return found
    challenge = 'Basic realm="lab-alerts", charset="UTF-8"' if endpoint in PAGES else 'Bearer realm="lab-alerts"'
    why = "the key is unknown, expired or revoked" if secret else "the request carries no key"
    raise Refused("unauthenticated", why, headers={"WWW-Authenticate": challenge})


def _secret(endpoint: str) -> str | None:
    sent = request.authorization
    if sent is None:
        return None
    if sent.type == "basic" and endpoint in PAGES:
        return sent.password
    return sent.token if sent.type == "bearer" else None


def register(app: Flask) -> None:
    """Check every request."""
    app.before_request(_check)
