"""The maps of sources: made use of where something comes in, shown and set.

    a panel ─► does the catalogue know all of it? ─► if not: the map of its source ─► the panel, as the map reads it

Law: where the catalogue knows everything, no map is looked at. A map that was set is in force within a second.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from service.domain.errors import NotFound, Stale, Unavailable
from service.domain.panels import Panel
from service.domain.source_maps import SourceMap, check, read_by, strange
from service.flows.arrivals import known
from service.flows.means import Means
from service.storage import source_maps
from service.storage.source_maps import KeptMap, KnownSource

# How long a map is not looked up again: thousands of panels with a strange code come in meanwhile.
LATELY = 1.0
_MANY = 1_000
_TRIES = 5


def as_mapped(panel: Panel, source: str, means: Means) -> Panel:
    """The panel, as the map of its source reads what the catalogue does not know. Raises ``Unavailable``."""
    analytes = means.catalogue.rulebook.analytes
    made = tuple([known(result, analytes) for result in panel.results])
    if not any(map(strange, panel.results, made)):
        return panel
    found = in_force(source, means)
    return read_by(found, panel, made, analytes=analytes) if found.codes or found.units else panel


def in_force(source: str, means: Means) -> SourceMap:
    """The map of a source, as far as the catalogue allows; the empty one where nobody made any.

    Raises ``Unavailable``.
    """
    at, found = means.maps.get(source, (0.0, None))
    now = time.monotonic()
    if found is not None and now - at < LATELY:
        return found
    with means.database.reading() as connection:
        kept = source_maps.find(connection, source)
    found = kept.map.within(means.catalogue.rulebook.analytes) if kept else SourceMap(name=source)
    if len(means.maps) >= _MANY:
        means.maps.clear()
    means.maps[source] = now, found
    return found


def zone_of(source: str, means: Means) -> tzinfo | None:
    """The time zone of a source, where its map names one. Raises ``Unavailable``."""
    name = in_force(source, means).zone
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Unavailable("the time zone of the source is not known on this machine") from None


# ------------------------------------------------------------------------------------------------------ shown and set
def listed(means: Means, *, now: datetime) -> list[KnownSource]:
    """Every source, by name, with the panels of the last day."""
    with means.database.reading() as connection:
        return source_maps.known(connection, since=now - timedelta(days=1))


def shown(name: str, means: Means, *, version: int | None = None) -> KeptMap:
    """A version of the map of a source, the newest if none is named. Raises ``NotFound``."""
    with means.database.reading() as connection:
        return kept_map(connection, name, version=version)


def kept_map(connection: Connection, name: str, *, version: int | None = None) -> KeptMap:
    """The same, within a transaction."""
    kept = source_maps.find(connection, name, version or None)
    if kept is not None and version != 0:
        return kept
    if version:
        raise NotFound("version of this map")
    if kept is None and not source_maps.is_known(connection, name):
        raise NotFound("source")
    return KeptMap(map=SourceMap(name=name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The map that is in force; ``new``: in a version that was kept just now."""

    kept: KeptMap
    new: bool


def set_map(
    wanted: SourceMap,
    means: Means,
    *,
    now: datetime,
    key_id: str | None = None,
    wish: Callable[[int], bool] = lambda _: True,
) -> Done:
    """Set the map of a source, as a new version unless it says the same.

    Raises ``BadInput`` with every fault, ``Stale`` when the newest version is not one that is wished for, and
    ``Unavailable``.
    """
    check(wanted, means.catalogue.rulebook.analytes)
    kept = KeptMap(map=wanted, created_at=now, key_id=key_id)
    for _ in range(_TRIES):
        # Who sets it at the same moment as somebody else looks again at what is wished for, beside theirs.
        with suppress(IntegrityError):
            done = _set(kept, means, wish)
            means.maps.pop(wanted.name, None)
            return done
    raise Unavailable("others are setting the map of this source")


def _set(wanted: KeptMap, means: Means, wish: Callable[[int], bool]) -> Done:
    with means.database.transaction() as connection:
        newest = source_maps.find(connection, wanted.map.name)
        version = newest.map.version if newest else 0
        if not wish(version):
            raise Stale(version)
        if newest is not None and wanted.map.meaning == newest.map.meaning:
            return Done(kept=newest, new=False)
        kept = replace(wanted, map=replace(wanted.map, version=version + 1))
        source_maps.keep(connection, kept)
    return Done(kept=kept, new=True)
