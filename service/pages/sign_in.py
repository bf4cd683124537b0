"""The pages on which people sign in, sign out, and change their password.

Law: they work without script, lead nowhere but to pages of ours, and never say whether a login exists.
"""

from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, current_app, make_response, redirect, render_template, request, url_for

from service import __version__
from service.api import auditing, guard, people
from service.api.guard import SignInFirst, means, scope
from service.domain.errors import BadInput, Unavailable
from service.flows import signing_in
from service.flows.signing_in import Wrong
from service.flows.throttle import TooMany
from service.pages.oidc import NotVouchedFor, Provider
from service.storage.sessions import Session

page = Blueprint("sign_in", __name__, template_folder="templates")

_WRONG = "The login or the password is not right."
_ELSEWHERE = "The form was sent by another page. Sign in here."
_LONGEST_FIELD, _LONGEST_PLACE = 4_000, 500


def register(app: Flask) -> None:
    """Send whoever has to sign in first to the page for it."""
    app.register_blueprint(page)
    app.context_processor(lambda: {"signed_in": guard.session()})
    app.register_error_handler(SignInFirst, _first)


def _first(_error: SignInFirst) -> Response:
    found = people.session()
    if found is not None and found.person.must_change:
        return _to(url_for("sign_in.account"))
    after = request.script_root + request.full_path.rstrip("?") if request.method in ("GET", "HEAD") else "/"
    return _to(url_for("sign_in.show", next=after))


def _to(place: str) -> Response:
    return make_response(redirect(place, 303))


def _provider() -> Provider | None:
    found: Provider | None = current_app.extensions["lab_alerts_oidc"]
    return found


def local(place: str) -> str:
    """A path of ours; the first page where it is anything else (``//host``, ``/\\host`` and their like)."""
    first, parts = f"{request.script_root}/", urlsplit(place)
    plain = place.startswith(first) and not place.startswith("//") and place.isprintable() and "\\" not in place
    return place if plain and not parts.scheme and not parts.netloc and len(place) <= _LONGEST_PLACE else first


@page.get("/sign-in")
def show() -> Response:
    """The form to sign in."""
    return _form(after=local(request.args.get("next", "/")))


def _form(*, after: str, said: str = "", status: int = 200, wait: int = 0) -> Response:
    provider = _provider()
    text = render_template(
        "sign_in.html", after=after, said=said, provider=provider and provider.name, version=__version__
    )
    response = make_response(text, status)
    # Told nothing at all of where a form comes from, browsers send no origin either, and nobody could sign in.
    response.headers["Referrer-Policy"] = "same-origin"
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


@page.post("/sign-in")
def enter() -> Response:
    """Sign in with a login and a password."""
    after = local(request.form.get("next", "/"))
    if not people.from_our_page():
        return _form(after=after, said=_ELSEWHERE, status=403)
    login, password = request.form.get("login", ""), request.form.get("password", "")
    try:
        opened = signing_in.sign_in(
            means().database,
            login[:_LONGEST_FIELD],
            password[:_LONGEST_FIELD],
            origin=people.origin(),
            limits=people.limits(),
            now=guard.now(),
        )
    except Wrong as error:
        _tried(error)
        return _form(after=after, said=_WRONG, status=401)
    except TooMany as error:
        said = _too_often(error)
        return _form(after=after, said=said, status=429, wait=error.seconds)
    _end_former()
    return people.let_in(_to(after), opened)


def _tried(error: Wrong) -> None:
    """Whose login was tried is for the audit; whoever tried it is not told."""
    if error.person is not None:
        auditing.beside(tried=error.person.id)


def _too_often(error: TooMany) -> str:
    return f"That has failed too often. Try again in {error.seconds} s."


def _end_former() -> None:
    """What this browser had before ends: nobody goes on in a session that somebody else may know."""
    token = request.cookies.get(people.cookie())
    if token:
        signing_in.sign_out(means().database, token)


@page.post("/sign-out")
@scope("flags:read")
def leave() -> Response:
    """Sign out."""
    signing_in.sign_out(means().database, request.cookies.get(people.cookie(), ""))
    return people.let_out(_to(url_for("sign_in.show")))


@page.get("/account")
@scope("flags:read")
def account() -> Response:
    """Who is signed in, and how to change the password."""
    return _account()


def _account(*, faults: tuple[str, ...] = (), status: int = 200) -> Response:
    found = _own()
    others = signing_in.others_of(means().database, found, limits=people.limits(), now=guard.now())
    text = render_template("account.html", session=found, others=others, faults=faults, version=__version__)
    return make_response(text, status)


def _own() -> Session:
    found = guard.session()
    if found is None:  # a key has no account
        raise SignInFirst
    return found


@page.post("/account")
@scope("flags:read")
def change() -> Response:
    """Change the password. Every other session ends."""
    found = _own()
    sent = {name: request.form.get(name, "")[:_LONGEST_FIELD] for name in ("old", "password", "again")}
    if sent["password"] != sent["again"]:
        return _account(faults=("The two new passwords differ.",), status=422)
    try:
        opened = signing_in.change_password(
            means().database, found, old=sent["old"], new=sent["password"], limits=people.limits(), now=guard.now()
        )
    except BadInput as error:
        told = tuple(f"The {_NAMES[fault.pointer]} {fault.detail}." for fault in error.faults)
        return _account(faults=told, status=422)
    except TooMany as error:
        refused = _account(faults=(_too_often(error),), status=429)
        refused.headers["Retry-After"] = str(error.seconds)
        return refused
    except Wrong:
        raise SignInFirst from None
    return people.let_in(_to(url_for("sign_in.account")), opened)


_NAMES = {"old": "password that you gave as the present one", "password": "new password"}


# ------------------------------------------------------------------------------------------------------------- OpenID
@page.get("/sign-in/elsewhere")
def elsewhere() -> Response:
    """Begin to sign in at the provider."""
    provider = _provider()
    if provider is None:
        return _form(after="/", said="There is no other place to sign in.", status=404)
    try:
        begun = provider.set_out(means(), after=local(request.args.get("next", "/")), now=guard.now())
    except Unavailable:
        return _form(after="/", said=f"{provider.name} does not answer. Try again later.", status=503, wait=30)
    response = _to(begun.address)
    secure = people.secure()
    response.set_cookie(_cookie(), begun.browser, httponly=True, samesite="Lax", secure=secure, max_age=600)
    return response


def _cookie() -> str:
    """What only the browser has that began to sign in. Over https no other host can set it."""
    return "__Host-oidc-browser" if people.secure() else "oidc-browser"


@page.get("/sign-in/back")
def back() -> Response:
    """Come back from the provider."""
    provider = _provider()
    if provider is None:
        return _form(after="/", said="There is no other place to sign in.", status=404)
    sent = {name: request.args.get(name, "") for name in ("state", "code", "iss", "error")}
    try:
        person, after = provider.come_back(means(), sent, browser=request.cookies.get(_cookie(), ""), now=guard.now())
        opened = signing_in.open_for(means().database, person, limits=people.limits(), now=guard.now())
    except (NotVouchedFor, Wrong) as error:
        said = str(error) or "You may not sign in here. Ask the administrator to add you."
        return _form(after="/", said=said, status=403)
    except Unavailable:
        return _form(after="/", said=f"{provider.name} does not answer. Try again later.", status=503, wait=30)
    _end_former()
    response = people.let_in(_to(local(after)), opened)
    response.delete_cookie(_cookie(), secure=people.secure())
    return response
