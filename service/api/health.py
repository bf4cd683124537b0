"""Health: is the process alive, and can it do its work?

Law: "ready" is only said after every part was asked; the answer names the part that failed, and nothing of why.
"""

from collections.abc import Callable
from http import HTTPStatus

from flask import Response, jsonify

from service import __version__
from service.api.description import Door
from service.api.guard import means
from service.api.shapes import HealthShape
from service.domain.errors import Unavailable
from service.storage import schema

MEDIA_TYPE = "application/health+json"

door = Door("health", __name__, url_prefix="/health", description="Health of the service")


@door.route("/live")
@door.response(200, HealthShape, content_type=MEDIA_TYPE)
def live() -> Response:
    """Alive

    The process answers. Nothing else is asked.
    """
    return _answer({"status": "pass", "version": __version__}, 200)


@door.route("/ready")
@door.alt_response(503, schema=HealthShape, content_type=MEDIA_TYPE, description="A part failed.")
@door.response(200, HealthShape, content_type=MEDIA_TYPE)
def ready() -> Response:
    """Ready

    The database answers, its schema is the one this program was written for, and a rule set is loaded.
    """
    checks = {name: _passes(check) for name, check in _CHECKS.items()}
    well = all(checks.values())
    told = {name: [{"status": "pass" if passed else "fail"}] for name, passed in checks.items()}
    return _answer({"status": "pass" if well else "fail", "version": __version__, "checks": told}, 200 if well else 503)


def _answer(body: dict[str, object], status: int) -> Response:
    response = jsonify(body)
    response.status_code, response.content_type = status, MEDIA_TYPE
    if status != HTTPStatus.OK:
        response.headers["Retry-After"] = "5"
    return response


def _passes(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Unavailable:
        return False


def _database() -> bool:
    means().database.check()
    return True


def _migrations() -> bool:
    return schema.present(means().database) == schema.newest()


def _ruleset() -> bool:
    rulebook = means().catalogue.rulebook
    return rulebook.current in rulebook.rulesets


_CHECKS = {"database": _database, "migrations": _migrations, "ruleset": _ruleset}
