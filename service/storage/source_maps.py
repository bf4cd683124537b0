"""Rows of source maps, and what the sources have sent that nobody has mapped.

Law: a version of a map is never changed once kept. What is counted is counted over panels that are named, so that it
takes no longer the more is kept.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from service.domain.source_maps import MappedCode, MappedUnit, SourceMap
from service.storage import gauges
from service.storage.tables import api_keys, panels, results, source_maps

_M, _P, _R = source_maps.c, panels.c, results.c


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMap:
    """A version of a map as kept; ``created_at`` is None for the empty map that nobody made."""

    map: SourceMap
    created_at: datetime | None = None
    key_id: str | None = None


def find(connection: Connection, name: str, version: int | None = None) -> KeptMap | None:
    """A version of the map of a source, the newest if none is named."""
    wanted = select(source_maps).where(_M.name == name).order_by(_M.version.desc()).limit(1)
    if version is not None:
        wanted = wanted.where(_M.version == version)
    row = connection.execute(wanted).one_or_none()
    return None if row is None else _kept(row)


def keep(connection: Connection, found: KeptMap) -> None:
    """Keep a new version."""
    own = found.map
    row = {"name": own.name, "version": own.version, "created_at": found.created_at, "key_id": found.key_id}
    connection.execute(insert(source_maps).values(**row, body=as_data(own)))


def as_data(found: SourceMap) -> dict[str, Any]:
    """What a map says, as plain data."""
    codes = [{"system": one.system, "code": one.code, "analyte": one.analyte} for one in found.codes]
    units = [{"analyte": one.analyte, "spelling": one.spelling, "unit": one.unit} for one in found.units]
    return {"zone": found.zone, "codes": codes, "units": units}


def _kept(row: Row[Any]) -> KeptMap:
    found = SourceMap(
        name=row.name,
        version=row.version,
        zone=row.body["zone"],
        codes=tuple(MappedCode(**one) for one in row.body["codes"]),
        units=tuple(MappedUnit(**one) for one in row.body["units"]),
    )
    return KeptMap(map=found, created_at=row.created_at, key_id=row.key_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSource:
    """A source that sends, has a key or a map. ``panels`` counts those received since a time that is asked for."""

    name: str
    last_seen_at: datetime | None
    panels: int
    version: int


def known(connection: Connection, *, since: datetime) -> list[KnownSource]:
    """Every source, by name."""
    seen = {row.source: row.last for row in connection.execute(gauges.LAST)}
    named = set(connection.execute(select(api_keys.c.source).distinct()).scalars())
    versions = {
        row.name: row.newest
        for row in connection.execute(select(_M.name, func.max(_M.version).label("newest")).group_by(_M.name))
    }
    counted = _counted(connection, [name for name, last in seen.items() if last >= since], since)
    return [
        KnownSource(name=name, last_seen_at=seen.get(name), panels=counted.get(name, 0), version=versions.get(name, 0))
        for name in sorted({*seen, *named, *versions})
    ]


def _counted(connection: Connection, names: Sequence[str], since: datetime) -> Mapping[str, int]:
    wanted = (
        select(_P.source, func.count().label("held"))
        .where(_P.source.in_(names), _P.received_at >= since)
        .group_by(_P.source)
    )
    return {row.source: row.held for row in connection.execute(wanted)}


def is_known(connection: Connection, name: str) -> bool:
    """Has the source a key, or has it sent a panel? Whether it has a map is for ``find`` to say."""
    key = select(api_keys.c.id).where(api_keys.c.source == name).limit(1)
    panel = select(_P.id).where(_P.source == name).limit(1)
    return any(connection.execute(one).first() is not None for one in (key, panel))


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The newest panels of a source that are looked through: how many, and the oldest of them was received when."""

    panels: int
    since: datetime | None


def window(connection: Connection, source: str, *, since: datetime, most: int) -> Window:
    """The newest panels of a source, at most so many, and none that was received before a time."""
    newest = (
        select(_P.received_at)
        .where(_P.source == source, _P.received_at >= since)
        .order_by(_P.received_at.desc())
        .limit(most)
    ).subquery()
    row = connection.execute(select(func.count().label("held"), func.min(newest.c.received_at).label("first"))).one()
    return Window(panels=row.held, since=row.first)


def sent_as(connection: Connection, source: str, *, since: datetime) -> Sequence[Any]:
    """How a source names things and spells units in what counts: each way, how often, first and last, and where.

    ``panel_id`` is the newest panel: names of panels sort by time.
    """
    # Results lie together by patient, and not by panel: each patient is looked through once, however many panels came.
    lately = select(_P.patient_id).where(_P.source == source, _P.received_at >= since).distinct().subquery()
    statement = (
        select(
            *_WAYS,
            func.count().label("held"),
            func.min(_R.received_at).label("first"),
            func.max(_R.received_at).label("last"),
            func.max(_R.panel_id).label("panel_id"),
        )
        .join_from(lately, results, _R.patient_id == lately.c.patient_id)
        .join(panels, (_R.patient_id == _P.patient_id) & (_R.panel_id == _P.id))
        .where(_P.source == source, _R.received_at >= since, _R.current)
        .group_by(*_WAYS)
    )
    rows: Sequence[Any] = connection.execute(statement).all()
    return rows


_WAYS: tuple[Any, ...] = (_R.analyte, _R.analyte_sent, _R.code_system, _R.code, _R.unit)


def examples(connection: Connection, names: Sequence[str]) -> Mapping[str, Sequence[Row[Any]]]:
    """The results that some panels brought, with the ``places`` of the panel, by panel."""
    ways = (_R.id, _R.version, *_WAYS)
    statement = (
        select(_P.id.label("panel_id"), _P["items"].label("places"), *ways)
        .join_from(panels, results, (_R.patient_id == _P.patient_id) & (_R.panel_id == _P.id))
        .where(_P.id.in_(names))
    )
    rows: Sequence[Row[Any]] = connection.execute(statement).all()
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        found[row.panel_id].append(row)
    return found
