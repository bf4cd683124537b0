"""The session of a request: what its cookie says, and whether a form or a script of ours sent it.

Law: a cookie alone changes nothing. Whatever changes something also carries the token of its session, which no other
site knows.
"""

import secrets
from datetime import UTC, datetime
from urllib.parse import urlsplit

from flask import Response, current_app, g, request

from service.flows import signing_in
from service.flows.means import Means
from service.flows.signing_in import Limits, Opened, Origin
from service.storage.sessions import Session

FIELD, HEADER = "csrf", "X-CSRF-Token"


def limits() -> Limits:
    """How long sessions last here."""
    found: Limits = current_app.extensions["lab_alerts_sessions"]
    return found


def secure() -> bool:
    """Are we reached over https, so that cookies may be kept to it?"""
    return request.is_secure or str(current_app.config["PUBLIC_URL"] or "").startswith("https:")


def cookie() -> str:
    """The name of the cookie. A browser sets one of the first kind only over https, and for this very host."""
    return "__Host-session" if secure() else "session"


def browser_cookie() -> str:
    """The name of the cookie that says that somebody signed in in this browser before; it opens nothing."""
    return "__Host-known-browser" if secure() else "known-browser"


def origin() -> Origin:
    """Where whoever wants to sign in comes from."""
    return Origin(address=request.remote_addr or "", browser=request.cookies.get(browser_cookie(), ""))


def session() -> Session | None:
    """The session that the cookie of this request opens. Raises ``Unavailable``."""
    if "session_looked_up" not in g:
        token = request.cookies.get(cookie())
        g.session_looked_up = _found(token) if token else None
    found: Session | None = g.session_looked_up
    return found


def _found(token: str) -> Session | None:
    means: Means = current_app.extensions["lab_alerts"]
    return signing_in.session_of(means.database, token, limits=limits(), now=datetime.now(UTC))


def sent_by_our_page(found: Session) -> bool:
    """Does the request carry the token of its session?"""
    sent = request.headers.get(HEADER) or (request.form.get(FIELD, "") if _is_form() else "")
    return secrets.compare_digest(sent.encode(), found.csrf.encode())


def _is_form() -> bool:
    return request.mimetype == "application/x-www-form-urlencoded"


def from_our_page() -> bool:
    """Does the browser say that a page of ours sent this form? Every browser says one of the two, and no page can.

    Fetch Metadata goes over https and to this machine only; elsewhere ``Origin`` has to do.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    return request.headers.get("Origin") in {request.host_url.rstrip("/"), _public_origin()}


def _public_origin() -> str:
    parts = urlsplit(str(current_app.config["PUBLIC_URL"] or ""))
    return f"{parts.scheme}://{parts.netloc}"


def let_in(response: Response, opened: Opened) -> Response:
    """Give the browser its token. The audit says who it is."""
    g.audit_person = opened.session.person.id
    response.set_cookie(cookie(), opened.token, httponly=True, samesite="Lax", secure=secure(), path="/")
    if opened.browser is not None:
        age, kept_to = signing_in.BROWSER_KNOWN, secure()
        response.set_cookie(
            browser_cookie(), opened.browser, max_age=age, httponly=True, samesite="Strict", secure=kept_to, path="/"
        )
    return response


def let_out(response: Response) -> Response:
    """Take the token from the browser."""
    response.delete_cookie(cookie(), httponly=True, samesite="Lax", secure=secure(), path="/")
    return response
