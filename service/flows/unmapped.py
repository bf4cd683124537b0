"""What a source has sent that neither the catalogue nor its map knows, so that somebody can map it.

Law: only what counts now is looked at, and only so many of the newest panels; the answer says how many.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from service.domain.analytes import Analytes
from service.domain.source_maps import NAME, SourceMap, in_catalogue, place
from service.flows.means import Means
from service.flows.source_maps import kept_map
from service.storage import source_maps
from service.storage.source_maps import Window

# Enough to see every test of a laboratory, little enough to wait for.
MOST_PANELS = 10_000
DAYS, MOST_DAYS = 30, 366
MOST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """A code or a name that nobody knows, or an ``analyte`` of which some units are not known.

    ``units``: the spellings seen, the most frequent first; of an analyte those only that are not known.
    """

    system: str | None = None
    code: str | None = None
    analyte: str | None = None
    units: Mapping[str, int] = field(repr=False)
    count: int
    first_seen_at: datetime
    last_seen_at: datetime
    panel: str
    pointer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """What a source has sent that neither the catalogue nor its map knows, the most frequent first.

    ``window`` says what was looked through; ``more`` things are left out.
    """

    source: str
    version: int
    window: Window
    items: tuple[Lacking, ...]
    more: int = 0


def lack(name: str, means: Means, *, now: datetime, days: int = DAYS, limit: int = MOST) -> Lack:
    """What the map of a source lacks, in the results that count of its newest panels. Raises ``NotFound``."""
    analytes = means.catalogue.rulebook.analytes
    with means.database.reading() as connection:
        kept = kept_map(connection, name)
        since = now - timedelta(days=days)
        window = source_maps.window(connection, name, since=since, most=MOST_PANELS)
        rows = source_maps.sent_as(connection, name, since=window.since) if window.since else ()
        ways = _sorted(_lacking(rows, kept.map.within(analytes), analytes))
        items = _with_places(connection, ways[:limit])
    return Lack(source=name, version=kept.map.version, window=window, items=items, more=len(ways) - len(items))


Way = tuple[str | None, str, str]


def _way(row: Row[Any]) -> Way:
    """The analyte of a row, or the name or code by which nobody knows one."""
    if row.analyte is not None:
        return row.analyte, "", ""
    if row.analyte_sent is not None:
        return None, *place(NAME, row.analyte_sent)
    return None, *place(row.code_system or "", row.code or "")


def _lacking(rows: Sequence[Row[Any]], own: SourceMap, analytes: Analytes) -> Iterator[Lacking]:
    ways: dict[Way, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        if not _is_known(row, own, analytes):
            ways[_way(row)].append(row)
    for (analyte, *_), alike in ways.items():
        yield _together(analyte, sorted(alike, key=lambda row: -row.held))


def _is_known(row: Row[Any], own: SourceMap, analytes: Analytes) -> bool:
    """Is a way to name things and to spell units known by now?"""
    analyte = analytes.get(row.analyte) if row.analyte is not None else None
    if analyte is not None:
        unit = row.unit
        return not unit or analyte.units.find(unit) is not None or own.unit_of(analyte.key, unit) is not None
    named = [] if row.analyte_sent is None else [(NAME, row.analyte_sent)]
    coded = [] if row.code is None else [(row.code_system, row.code)]
    # A name that nobody knows is not made good by a code that the catalogue knows; one that is mapped is.
    system, code = (named or coded or [("", "")])[0]
    return in_catalogue(system, code, analytes) is not None or any(own.knows(*one) for one in (*named, *coded))


def _together(analyte: str | None, alike: Sequence[Row[Any]]) -> Lacking:
    first, units = alike[0], {row.unit: 0 for row in alike if row.unit}
    for row in alike:
        if row.unit:
            units[row.unit] += row.held
    named = first.analyte_sent is not None
    return Lacking(
        system=None if analyte else NAME if named else first.code_system,
        code=None if analyte else (first.analyte_sent if named else first.code or "").strip(),
        analyte=analyte,
        units=units,
        count=sum(row.held for row in alike),
        first_seen_at=min(row.first for row in alike),
        last_seen_at=max(row.last for row in alike),
        panel=max(row.panel_id for row in alike),
    )


def _sorted(found: Iterator[Lacking]) -> list[Lacking]:
    """The most frequent first; of those as frequent, the one that was seen last."""
    by_name = sorted(found, key=lambda one: (one.system or "", one.code or "", one.analyte or ""))
    return sorted(by_name, key=lambda one: (one.count, one.last_seen_at), reverse=True)


def _with_places(connection: Connection, found: Sequence[Lacking]) -> tuple[Lacking, ...]:
    """Each with the place in its newest panel at which it stands."""
    brought = source_maps.examples(connection, [one.panel for one in found])
    return tuple(replace(one, pointer=_pointer(one, brought.get(one.panel, ()))) for one in found)


def _pointer(one: Lacking, rows: Sequence[Row[Any]]) -> str | None:
    about = one.analyte, *(place(one.system or "", one.code or "") if one.analyte is None else ("", ""))
    for row in rows:
        if _way(row) == about and (one.analyte is None or row.unit in one.units):
            places = {(item["result"], item["version"]): str(item["pointer"]) for item in row.places}
            return places.get((row.id, row.version))
    return None
