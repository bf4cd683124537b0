"""Health: is the process alive, and can it do its work?

Law: "ready" is only said after every part was asked; the answer names the part that failed, and nothing of why. Whoever
shows no key is told no name of a source.
"""

from collections.abc import Callable
from http import HTTPStatus

from flask import Response, jsonify

from service import __version__
from service.api import guard
from service.api.answers import Data, instant, present
from service.api.description import Door
from service.api.guard import means, now
from service.api.shapes import HealthShape
from service.domain.errors import Unavailable
from service.domain.feeds import Feed
from service.flows import feeds
from service.storage import schema

MEDIA_TYPE = "application/health+json"
_PASS, _WARN = "pass", "warn"

door = Door("health", __name__, url_prefix="/health", description="Health of the service")


@door.route("/live")
@door.response(200, HealthShape, content_type=MEDIA_TYPE)
def live() -> Response:
    """Alive

    The process answers. Nothing else is asked.
    """
    return _answer({"status": "pass", "version": __version__}, 200)


@door.route("/ready")
@door.doc(security=[{}, {"key": []}])
@door.alt_response(503, schema=HealthShape, content_type=MEDIA_TYPE, description="A part failed.")
@door.response(200, HealthShape, content_type=MEDIA_TYPE)
def ready() -> Response:
    """Ready

    The database answers, its schema is the one this program was written for, and a rule set is loaded. A source that is
    expected to send and does not is a warning: `feeds` says how many are silent. Which, and since when, is told to
    a key with the scope `metrics:read` or `flags:read` (`feed:…`).
    """
    checks = {name: _passes(check) for name, check in _CHECKS.items()}
    told: dict[str, list[Data]] = {name: [{"status": _PASS if passed else "fail"}] for name, passed in checks.items()}
    if not all(checks.values()):
        return _answer({"status": "fail", "version": __version__, "checks": told}, 503)
    told |= _feeds()
    well = all(one["status"] == _PASS for (one,) in told.values())
    return _answer({"status": _PASS if well else _WARN, "version": __version__, "checks": told}, 200)


def _feeds() -> dict[str, list[Data]]:
    """How the feeds are: a silent one is a warning, for this service can do its work."""
    try:
        found = feeds.listed(means())
        named = found if found and guard.may(*_WHERE_ELSE) else []
    except Unavailable:
        return {}
    silent = sum(one.is_late(now()) for one in found)
    told = {"status": _WARN if silent else _PASS, "time": instant(now()), "observedValue": silent}
    counted = {"feeds": [told | {"observedUnit": "silent"}]} if found else {}
    return counted | {f"feed:{one.source}": [_feed(one)] for one in named}


# The same is told to these by GET /metrics and GET /v1/feeds.
_WHERE_ELSE = ("metrics:read", "flags:read")


def _feed(one: Feed) -> Data:
    heard = present(observedValue=one.last_result_at and instant(one.last_result_at))
    return {"status": _WARN if one.is_late(now()) else _PASS, "time": instant(now())} | heard


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
