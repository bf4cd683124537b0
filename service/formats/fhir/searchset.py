"""The Bundles that answer a search and a history, and how FHIR is written as bytes.

Law: a page says which search it is of and where the next one begins; there is no next one on the last page.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from service.formats.fhir.ours import Json, said
from service.formats.strict_json import Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Where a page stands: its own address, that of the next one, and the address of this server."""

    here: str
    following: str | None
    base: str


def searchset(found: Iterable[Json], page: Page) -> Json:
    """What a search found. How many there are in all is not counted."""
    entries = [{**_entry(one, page.base), "search": {"mode": "match"}} for one in found]
    return said(resourceType="Bundle", type="searchset", link=_links(page), entry=entries)


def history(found: Iterable[Json], page: Page) -> Json:
    """Every version of one resource, the newest first."""
    entries = [
        {
            **_entry(one, page.base),
            "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
            "response": {"status": "200 OK", "etag": f'W/"{one["meta"]["versionId"]}"', "lastModified": _updated(one)},
        }
        for one in found
    ]
    return said(resourceType="Bundle", type="history", total=len(entries), link=_links(page), entry=entries)


def _updated(one: Json) -> str:
    at: str = one["meta"]["lastUpdated"]
    return at


def _entry(one: Json, base: str) -> Json:
    return {"fullUrl": f"{base}/{one['resourceType']}/{one['id']}", "resource": one}


def _links(page: Page) -> list[Json]:
    links = [{"relation": "self", "url": page.here}]
    return links if page.following is None else [*links, {"relation": "next", "url": page.following}]


def written(resource: Json) -> bytes:
    """A resource as bytes. Numbers that were read from a message are written to the letter."""
    return orjson.dumps(resource, default=_plain, option=orjson.OPT_PASSTHROUGH_SUBCLASS)


def _plain(value: Any) -> Any:
    if isinstance(value, Number):
        return orjson.Fragment(str(value))
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, dict):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
