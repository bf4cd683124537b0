"""The OpenAPI document, made from the very routes and schemas that answer.

Law: a route is described where it is written; what all routes have in common is added here.
"""

import re
from collections.abc import Callable
from typing import Any

from flask import Flask
from flask_smorest import Api, Blueprint
from marshmallow import RAISE
from marshmallow.fields import Field

from service import __version__
from service.api import guard, preconditions
from service.api.etags import TAGGED
from service.api.problems import MEDIA_TYPE
from service.api.reading import QueryParser
from service.api.shapes import ProblemShape

Describe = Callable[[Any], Any]


def _only_noted(describe: Describe) -> Describe:
    """The note that a decorator of flask-smorest makes on a view, without the function that it puts around the view."""

    def note(view: Any) -> Any:
        view._apidoc = describe(view)._apidoc  # noqa: SLF001  where flask-smorest keeps its notes; guard reads them, too
        return view

    return note


class Door(Blueprint):
    """A blueprint whose views answer in full themselves, and whose queries are refused in our own way."""

    ARGUMENTS_PARSER = QueryParser(unknown=RAISE)

    def response(self, *arguments: Any, **options: Any) -> Describe:
        """Describe how a view answers."""
        return _only_noted(super().response(*arguments, **options))

    def alt_response(self, *arguments: Any, **options: Any) -> Describe:
        """Describe how else a view answers."""
        return _only_noted(super().alt_response(*arguments, **options))

    @staticmethod
    def doc(**told: Any) -> Describe:
        """Describe a view in the words of OpenAPI."""
        return _only_noted(Blueprint.doc(**told))


class Description(Api):
    """flask-smorest's part that describes; errors are answered by ``problems``."""

    def _register_error_handlers(self) -> None:
        """Leave errors alone."""


def refuses(*statuses: int) -> Callable[[Any], Any]:
    """Describe the problems with which a route can answer."""

    def describe(view: Any) -> Any:
        for status in statuses:
            view = _BLANK.alt_response(
                status, schema=ProblemShape, content_type=MEDIA_TYPE, description="A problem (RFC 9457)."
            )(view)
        return view

    return describe


_BLANK = Door("blank", __name__)


def described(_converter: Any, field: Field[Any], **_: Any) -> dict[str, Any]:
    """What a field of ours says of itself."""
    told: dict[str, Any] = dict(getattr(field, "described", {}))
    if field.allow_none and "oneOf" in told:
        told["oneOf"] = [*told["oneOf"], {"type": "null"}]
    if field.allow_none and "enum" in told:
        told["enum"] = [*told["enum"], None]
    return told


def register(app: Flask, doors: list[Blueprint]) -> dict[str, Any]:
    """Register the doors of the app, and answer the OpenAPI document that describes them."""
    app.config.update(
        API_TITLE="lab-alerts", API_VERSION=__version__, OPENAPI_VERSION="3.1.0", API_SPEC_OPTIONS=_options()
    )
    api = Description(app)
    converter = api.ma_plugin.converter
    converter.attribute_functions.insert(1, described.__get__(converter))
    api.spec.components.security_scheme("key", {"type": "http", "scheme": "bearer", "description": _KEY})
    for door in doors:
        api.register_blueprint(door)
    return _document(app, api)


_KEY = "An API key, made with `lab-alerts keys add`."


def _options() -> dict[str, Any]:
    return {
        "info": {
            "description": (
                "Receives laboratory panels, flags possible hypercalcemia, raised ALP, anemia and thrombocytopenia "
                "by published limits, explains every flag, and answers with the flag history. Educational decision "
                "support, not a diagnosis."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        }
    }


def _document(app: Flask, api: Api) -> dict[str, Any]:
    """The document, with the scope of each route, which the guard knows, and without answers that nobody gives."""
    told: dict[str, Any] = api.spec.to_dict()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method, operation in told["paths"].get(path, {}).items():
            if method.upper() in (rule.methods or ()):
                _complete(operation, guard.scope_of(app, rule.endpoint))
                if path.startswith(TAGGED) and method == "get":
                    operation["responses"]["304"] = {"description": "The answer that has the ETag in If-None-Match."}
    for described_path in told["paths"].values():
        _leave_reads_out(described_path)
    told["components"].pop("responses", None)
    for unused in ("Error", "PaginationMetadata"):
        told["components"]["schemas"].pop(unused, None)
    return told


def _leave_reads_out(described_path: dict[str, Any]) -> None:
    """Say of the methods that write, and of no others, by which version they may be asked."""
    shared = described_path.get("parameters", [])
    conditions = [one for one in shared if one in preconditions.BOTH]
    for method in _WRITING & set(described_path):
        described_path[method].setdefault("parameters", []).extend(conditions)
    if conditions:
        described_path["parameters"] = [one for one in shared if one not in conditions]


_WRITING = frozenset({"delete", "patch", "post", "put"})


def _complete(operation: dict[str, Any], scope: str | None) -> None:
    if scope:
        operation["security"] = [{"key": []}]
        operation["x-scope"] = scope
    answers = operation["responses"]
    given = {status: answer for status, answer in sorted(answers.items()) if "content" in answer or status == _EMPTY}
    operation["responses"] = given


_EMPTY = "204"
