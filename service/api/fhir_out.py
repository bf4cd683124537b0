"""FHIR out: flags as DetectedIssues, episodes as Flags, results as Observations, and what this server can do.

Law: what no longer stands is shown with a status that says so; it is never left out.
"""

from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from flask import Response, request
from sqlalchemy import Connection, Row

from service import __version__
from service.api import fhir_shown, guard
from service.api.fhir_door import answered, base, door
from service.api.fhir_query import Asked
from service.api.guard import means, scope
from service.api.reading import Filter, cursor_after, cursor_for
from service.domain.errors import NotFound
from service.formats.fhir.answers import etag
from service.formats.fhir.capability import Server, statement
from service.formats.fhir.flag_resource import STATUSES as EPISODE_STATUSES
from service.formats.fhir.ours import ANALYTES, Json, flag_name, parted
from service.formats.fhir.searchset import Page, history, searchset
from service.storage import searching
from service.storage.history import Place
from service.storage.searching import PROVISIONAL, STANDING, EpisodeSearch, FlagSearch, ResultSearch, Rows

_FLAG_STATES = {
    "final": STANDING,
    "preliminary": PROVISIONAL,
    "amended": "superseded",
    "entered-in-error": "withdrawn",
}
_NOTHING = "nothing"
_begun = guard.now()


@door.get("/metadata")
def metadata() -> Response:
    """What this server can do. Anybody may read it: it holds nothing of anybody."""
    server = Server(base=base(), version=__version__, since=_begun, intended_use=means().catalogue.intended_use)
    return answered(statement(server))


@door.get("/DetectedIssue")
@scope("flags:read")
def search_detected_issues() -> Response:
    """Search flags."""
    asked = Asked(kind="DetectedIssue", sent=request.args)
    with means().database.reading() as connection:
        wanted = FlagSearch(
            patients=asked.patients(connection),
            names=tuple(flag_name(id_) or _NOTHING for id_ in asked.codes("_id")),
            finding=asked.codes("code"),
            state=tuple(_FLAG_STATES.get(one, _NOTHING) for one in asked.codes("status")),
            collected=asked.span("date"),
            raised=asked.span("identified"),
            changed=asked.span("_lastUpdated"),
        )
        return _searched(connection, asked, wanted, find=searching.flag_rows, show=fhir_shown.detected_issues)


@door.get("/Flag")
@scope("flags:read")
def search_flags() -> Response:
    """Search episodes."""
    asked = Asked(kind="Flag", sent=request.args)
    with means().database.reading() as connection:
        whose, names = _named(asked, connection, "eps")
        said = asked.codes("status")
        states = tuple(state for state, status in EPISODE_STATUSES.items() if status in said)
        wanted = EpisodeSearch(
            patients=whose,
            names=names,
            finding=asked.codes("code"),
            state=states if states or not said else (_NOTHING,),
            during=asked.span("date"),
            changed=asked.span("_lastUpdated"),
        )
        return _searched(connection, asked, wanted, find=searching.episode_rows, show=fhir_shown.flags)


@door.get("/Observation")
@scope("flags:read")
def search_observations() -> Response:
    """Search current results."""
    asked = Asked(kind="Observation", sent=request.args)
    with means().database.reading() as connection:
        whose, names = _named(asked, connection, "res")
        codes, statuses = asked.tokens("code"), asked.codes("status")
        wanted = ResultSearch(
            patients=whose,
            names=names,
            code=tuple(one for one in codes if one[0] != ANALYTES),
            analyte=tuple(code for system, code in codes if system == ANALYTES),
            status=(*statuses, *(("appended",) if "final" in statuses else ())),
            collected=asked.span("date"),
            received=asked.span("_lastUpdated"),
        )
        return _searched(connection, asked, wanted, find=searching.result_rows, show=fhir_shown.current)


def _named(asked: Asked, connection: Connection, prefix: str) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """The patients who are meant, and the names under which their things are kept."""
    whose, ids = asked.patients(connection), asked.codes("_id")
    if not ids:
        return whose, ()
    found = [name for name in (parted(id_, prefix) for id_ in ids) if name is not None]
    mine = {patient for patient, _ in found}
    return tuple(sorted(mine if whose is None else mine & set(whose))), tuple(name for _, name in found) or (_NOTHING,)


def _searched(
    connection: Connection,
    asked: Asked,
    wanted: Any,
    *,
    find: Callable[..., Rows],
    show: Callable[[Connection, Rows], list[Json]],
) -> Response:
    """A page of what is wanted."""
    count = asked.count()
    after = cursor_after({"cursor": asked.sent.get("_cursor")}, wanted)
    rows = find(connection, wanted, after=after, limit=count + 1)
    last = rows[count - 1] if len(rows) > count else None
    return answered(searchset(show(connection, rows[:count]), _page(asked, wanted, last)))


def _page(asked: Asked, wanted: Filter, last: Row[Any] | None) -> Page:
    here = f"{base()}/{asked.kind}"
    own = [(name, value) for name, value in asked.sent.items(multi=True) if name != "_cursor"]
    following = None
    if last is not None:
        cursor = cursor_for(_place(last), wanted)
        following = f"{here}?{urlencode([*own, ('_cursor', cursor)])}"
    query = urlencode(list(asked.sent.items(multi=True)))
    return Page(here=f"{here}?{query}" if query else here, following=following, base=base())


def _place(row: Row[Any]) -> Place:
    at: datetime = row.opened_at if "opened_at" in row._fields else row.collected_at
    return at, row.id


@door.get("/DetectedIssue/<string:issue_id>")
@scope("flags:read")
def detected_issue(issue_id: str) -> Response:
    """One flag."""
    with means().database.reading() as connection:
        wanted = FlagSearch(names=(flag_name(issue_id) or _NOTHING,))
        rows = searching.flag_rows(connection, wanted, after=None, limit=1)
        return _shown(fhir_shown.detected_issues(connection, rows), "DetectedIssue")


@door.get("/Flag/<string:flag_id>")
@scope("flags:read")
def flag(flag_id: str) -> Response:
    """One episode."""
    patient, name = parted(flag_id, "eps") or (_NOTHING, _NOTHING)
    with means().database.reading() as connection:
        wanted = EpisodeSearch(patients=(patient,), names=(name,))
        rows = searching.episode_rows(connection, wanted, after=None, limit=1)
        return _shown(fhir_shown.flags(connection, rows), "Flag")


@door.get("/Observation/<string:observation_id>")
@scope("flags:read")
def observation(observation_id: str) -> Response:
    """The version of a result that counts."""
    patient, name = parted(observation_id, "res") or (_NOTHING, _NOTHING)
    with means().database.reading() as connection:
        rows = searching.result_rows(connection, ResultSearch(patients=(patient,), names=(name,)), after=None, limit=1)
        return _shown(fhir_shown.current(connection, rows), "Observation")


@door.get("/Observation/<string:observation_id>/_history/<string:version>")
@scope("flags:read")
def observation_version(observation_id: str, version: str) -> Response:
    """One version of a result."""
    with means().database.reading() as connection:
        found = fhir_shown.versions(connection, observation_id)
    return _shown([one for one in found if one["meta"]["versionId"] == version], "version")


@door.get("/Observation/<string:observation_id>/_history")
@scope("flags:read")
def observation_history(observation_id: str) -> Response:
    """Every version of a result."""
    with means().database.reading() as connection:
        found = fhir_shown.versions(connection, observation_id)
    here = f"{base()}/Observation/{observation_id}/_history"
    return answered(history(found, Page(here=here, following=None, base=base())))


def _shown(found: list[Json], thing: str) -> Response:
    """The one that was found, with its version and when that came."""
    if not found:
        raise NotFound(thing)
    meta = found[0]["meta"]
    modified = format_datetime(datetime.fromisoformat(meta["lastUpdated"]), usegmt=True)
    return answered(found[0], 200, {"ETag": etag(meta["versionId"]), "Last-Modified": modified})
