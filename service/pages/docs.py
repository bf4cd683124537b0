"""The API reference, the kinds of problem, and the OpenAPI document itself.

Law: readable by anybody, because there is nothing of anybody in it.
"""

from functools import cache
from importlib.resources import files
from typing import Any

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    jsonify,
    redirect,
    render_template,
    send_from_directory,
    url_for,
)
from werkzeug.wrappers import Response as BaseResponse

from service import __version__
from service.api.problems import PROBLEMS
from service.domain.errors import NotFound
from service.pages.reference import operations

page = Blueprint("docs", __name__, template_folder="templates")

_ASSETS = files("service.pages") / "static"
_EXAMPLES = files("service.pages") / "examples"


def register(app: Flask, document: dict[str, Any]) -> None:
    """Show an OpenAPI document."""
    app.extensions["lab_alerts_description"] = document
    app.register_blueprint(page)


def _document() -> dict[str, Any]:
    found: dict[str, Any] = current_app.extensions["lab_alerts_description"]
    return found


@cache
def _example(name: str) -> str:
    return (_EXAMPLES / name).read_text(encoding="utf-8").strip()


@page.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI document."""
    return jsonify(_document())


@page.get("/")
def home() -> BaseResponse:
    """Whoever comes without a path is shown what there is."""
    return redirect(url_for("docs.index"))


@page.get("/docs")
def index() -> str:
    """The API reference."""
    shown = list(operations(_document()))
    return render_template(
        "reference.html",
        operations=shown,
        problems=sorted(PROBLEMS.values(), key=lambda one: (one.status, one.slug)),
        example=_example("panel.json"),
        answer=_example("answer.json"),
        refusal=_example("refusal.json"),
        version=__version__,
    )


@page.get("/problems/<string:slug>")
def problem(slug: str) -> str:
    """One kind of problem, and what to do about it."""
    if slug not in PROBLEMS:
        raise NotFound("problem")
    return render_template("problem.html", problem=PROBLEMS[slug], version=__version__)


@page.get("/assets/<path:name>")
def asset(name: str) -> Response:
    """A file that the pages use."""
    response = send_from_directory(str(_ASSETS), name)
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response
