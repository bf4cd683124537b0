"""Who may use which route.

Law: closed by default. A route that neither declares its scope nor stands on the public list is refused to everybody,
and a test finds it before that.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog
from flask import Flask, current_app, g, request

from service.api import people
from service.api.problems import Refused
from service.domain.actors import Actor, ActorKind
from service.domain.errors import BadInput, Fault, Unavailable
from service.flows.means import Means
from service.storage import keys
from service.storage.keys import ApiKey
from service.storage.sessions import Session

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
        "sign_in.show",
        "sign_in.enter",
        "sign_in.elsewhere",
        "sign_in.back",
        "fhir.metadata",
    }
)

# Callers of these show a token of their own instead of a key; the door looks at it before anything else.
WITH_TOKENS = frozenset({"cds_hooks.discover", "cds_hooks.call", "cds_hooks.feedback"})

# Pages are for people: whoever is signed in, or whose browser sends an API key as a password.
PAGES = frozenset({"flag_page.show"})
# Of these, those that only somebody who is signed in may see, whatever they may do.
PERSONAL = frozenset({"sign_in.account", "sign_in.change", "sign_in.leave"})
SIGN_IN = "sign_in.show"

# What says that the database is away also answers then, to a key that opened it before in this process. A key that was
# revoked meanwhile is found out as soon as the database is back.
ENDURING = frozenset({"metrics.show"})
_remembered: dict[str, ApiKey] = {}


# Looking up the key anew for each of thousands of panels would take as long as judging them. A key that is revoked can
# send for so many seconds more; it opens nothing else.
BUSY = frozenset({"panels.send"})
LATELY = 1.0
_MANY = 1_000
_lately: dict[str, tuple[float, ApiKey]] = {}


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


def session() -> Session | None:
    """The session of this request, where somebody who is signed in makes it."""
    found: Session | None = g.get("session")
    return found


def actor() -> Actor:
    """Who makes this request."""
    person = session()
    if person is not None:
        return Actor(kind=ActorKind.PERSON, id=person.person.id, name=person.person.name)
    found = key()
    return Actor(kind=ActorKind.KEY, id=found.id, name=found.name)


def now() -> datetime:
    """The clock of this shell; flows are handed what it says."""
    return datetime.now(UTC)


def _check() -> None:
    endpoint = request.endpoint
    if "\x00" in request.path or any("\x00" in text for pair in request.args.items(multi=True) for text in pair):
        raise Refused("bad-request", "a NUL can stand neither in a path nor in a query")
    if not request.host:
        raise Refused("bad-request", "the Host header is not a host")
    if endpoint is None or endpoint in PUBLIC or endpoint in WITH_TOKENS or request.method == "OPTIONS":
        return
    _refuse_unknown_parameters(current_app.view_functions[endpoint])
    wanted = scope_of(current_app, endpoint)
    if wanted is None:
        raise Refused("forbidden", "this route declares no scope")
    g.api_key = found = _signed_in(endpoint) or _authenticated(endpoint)
    if not found.may(wanted) and endpoint not in PERSONAL:
        raise Refused("forbidden", f"this needs the scope {wanted}")
    structlog.contextvars.bind_contextvars(key=found.id, source=found.source)


def _signed_in(endpoint: str) -> ApiKey | None:
    """Somebody who is signed in, as a key that may what they may. They send no panels: what comes in has a source."""
    found = None if request.authorization else people.session()
    if found is None:
        if endpoint in PAGES | PERSONAL and request.authorization is None and _by_hand():
            raise SignInFirst
        return None
    if request.method not in _SAFE and not people.sent_by_our_page(found):
        raise Refused("not-from-our-page", "X-CSRF-Token is missing or is not that of the session")
    if found.person.must_change and endpoint not in PERSONAL:
        raise SignInFirst
    g.session = found
    scopes = tuple(scope for scope in keys.SCOPES if scope not in _OF_SYSTEMS and found.person.may(scope))
    return ApiKey(
        id=found.person.id, name=found.person.name, source="people", scopes=scopes, created_at=found.created_at
    )


_SAFE = frozenset({"GET", "HEAD"})
_OF_SYSTEMS = frozenset({"panels:write", "admin"})


class SignInFirst(Exception):
    """A person asks for a page and is not signed in, or has to change the password first."""


def _by_hand() -> bool:
    """Is it a browser that asks for a page?"""
    return request.method in _SAFE and "text/html" in request.accept_mimetypes.values()


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
        found = _found(secret, endpoint)
        if found is not None and found.usable(now()):
            return found
    challenge = 'Basic realm="lab-alerts", charset="UTF-8"' if endpoint in PAGES else 'Bearer realm="lab-alerts"'
    why = "the key is unknown, expired or revoked" if secret else "the request carries no key"
    raise Refused("unauthenticated", why, headers={"WWW-Authenticate": challenge})


def may(*names: str) -> bool:
    """Of what is public, some is told to whoever has one of these scopes. Raises ``Unavailable``.

    Nobody is refused: a key that opens nothing is as good as none.
    """
    endpoint = request.endpoint or ""
    try:
        found = _signed_in(endpoint) or _authenticated(endpoint)
    except (Refused, SignInFirst):
        return False
    return any(found.may(name) for name in names)


def _found(secret: str, endpoint: str) -> ApiKey | None:
    digest = keys.digest(secret)
    if endpoint in BUSY and (lately := _seen_lately(digest)):
        return lately
    try:
        with means().database.reading() as connection:
            found = keys.find(connection, secret)
    except Unavailable:
        if endpoint not in ENDURING or digest not in _remembered:
            raise
        g.database_is_away = True
        return _remembered[digest]
    if endpoint in ENDURING:
        _remember(digest, found)
    if endpoint in BUSY and found is not None:
        if len(_lately) >= _MANY:
            _lately.clear()
        _lately[digest] = time.monotonic(), found
    return found


def _seen_lately(digest: str) -> ApiKey | None:
    at, found = _lately.get(digest, (0.0, None))
    return found if time.monotonic() - at < LATELY else None


def _remember(digest: str, found: ApiKey | None) -> None:
    if found is None:
        _remembered.pop(digest, None)
    else:
        _remembered[digest] = found


def database_is_away() -> bool:
    """Was the database found to be away when the key of this request was looked up?"""
    away: bool = g.get("database_is_away", False)
    return away


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
