"""Sources: what their codes and units are in the catalogue, and what nobody has mapped yet.

Law: a map is replaced as a whole, and only by somebody who says which version it was made from, if they say anything.
"""

from typing import Any
from urllib.parse import quote

from flask import Response, jsonify
from marshmallow import fields
from marshmallow.validate import Range

from service.api import guard, preconditions
from service.api.answers import instant, present
from service.api.description import Door, refuses
from service.api.guard import means, scope
from service.api.reading import Query, body, media_type
from service.api.shapes_sources import KeptMapShape, SourcesShape, UnmappedPageShape
from service.flows import source_maps, unmapped
from service.flows.unmapped import Lacking
from service.formats import source_map
from service.storage.source_maps import KeptMap, KnownSource, as_data

door = Door("sources", __name__, url_prefix="/v1", description="Sources, and what they call things")

Data = dict[str, Any]


class MapQuery(Query):
    """Parameters of asking for a map."""

    version = fields.Integer(
        validate=Range(0, 2**31 - 1), metadata={"description": "This version; the newest if left out."}
    )


class UnmappedQuery(Query):
    """Parameters of asking for what is not mapped."""

    days = fields.Integer(
        load_default=unmapped.DAYS,
        validate=Range(1, unmapped.MOST_DAYS),
        metadata={"description": "Look through the panels of so many days."},
    )
    limit = fields.Integer(
        load_default=100, validate=Range(1, unmapped.MOST), metadata={"description": "List at most so many."}
    )


@door.route("/sources")
@scope("flags:read")
@refuses(400, 401, 403, 503)
@door.response(200, SourcesShape)
def index() -> Response:
    """Sources

    Every source that has sent a panel, has a key or has a map.
    """
    return jsonify({"items": [_source(one) for one in source_maps.listed(means(), now=guard.now())]})


def _source(one: KnownSource) -> Data:
    return {
        "name": one.name,
        "last_seen_at": one.last_seen_at and instant(one.last_seen_at),
        "panels_last_day": one.panels,
        "version": one.version,
        "href": _href(one.name),
    }


def _href(name: str) -> str:
    return f"/v1/sources/{quote(name)}"


@door.route("/sources/<path:name>/unmapped")
@scope("flags:read")
@door.arguments(UnmappedQuery(), location="query")
@refuses(400, 401, 403, 404, 503)
@door.response(200, UnmappedPageShape)
def lacking(query: Data, name: str) -> Response:
    """What is not mapped

    Codes, names and units of the source that neither the catalogue nor its map knows, the most frequent first: in the
    results that count of its newest panels, 10,000 at most.
    """
    found = unmapped.lack(name, means(), now=guard.now(), days=query["days"], limit=query["limit"])
    since = found.window.since
    told = {"source": name, "version": found.version, "panels": found.window.panels, "since": since and instant(since)}
    return jsonify(told | {"items": [_lacking(one) for one in found.items], "more": found.more})


def _lacking(one: Lacking) -> Data:
    example = {"panel": one.panel, "href": f"/v1/panels/{one.panel}"}
    return {name: said for name in ("system", "code", "analyte") if (said := getattr(one, name)) is not None} | {
        "units": [{"unit": unit, "count": count} for unit, count in one.units.items()],
        "count": one.count,
        "first_seen_at": instant(one.first_seen_at),
        "last_seen_at": instant(one.last_seen_at),
        "example": example | present(pointer=one.pointer),
    }


@door.route("/sources/<path:name>")
@scope("flags:read")
@door.arguments(MapQuery(), location="query")
@refuses(400, 401, 403, 404, 503)
@door.response(200, KeptMapShape)
def show(query: Data, name: str) -> Response:
    """The map of a source

    What its local codes, names and units are in the catalogue. The ETag is the version.
    """
    return _answer(source_maps.shown(name, means(), version=query.get("version")))


def _answer(kept: KeptMap, status: int = 200) -> Response:
    found = kept.map
    set_at = kept.created_at and instant(kept.created_at)
    response = jsonify({"name": found.name, "version": found.version, "set_at": set_at, "map": as_data(found)})
    response.status_code = status
    response.set_etag(str(found.version))
    return response


_BODIES = {source_map.MEDIA_TYPE: {"schema": source_map.SourceMapShape}}


@door.route("/sources/<path:name>", methods=["PUT"], parameters=[preconditions.IF_MATCH, preconditions.IF_NONE_MATCH])
@scope("sources:write")
@door.doc(requestBody={"required": True, "content": _BODIES})
@refuses(400, 401, 403, 408, 412, 413, 415, 422, 503)
@door.alt_response(201, schema=KeptMapShape, description="The first version.")
@door.response(200, KeptMapShape, description="A new version, or the one that said the same already.")
def replace(name: str) -> Response:
    """Set the map of a source

    Replaces the whole map. It is refused when it contradicts the catalogue. What comes in from now on is read by it;
    what is held stays as it was judged until it is sent again.
    """
    media_type((source_map.MEDIA_TYPE,))
    wanted = source_map.read(body(), name=name)
    done = source_maps.set_map(wanted, means(), now=guard.now(), key_id=guard.key().id, wish=preconditions.hold)
    return _answer(done.kept, 201 if done.new and done.kept.map.version == 1 else 200)
