"""Reading one patient's history in depth: the current results in order of collection, and the episodes.

Law: reading changes nothing, and a page begins where the one before it ended (keyset by row values, no OFFSET), so that
what is added meanwhile neither repeats nor hides what was there.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, tuple_

from service.domain.acts import Act
from service.domain.verdicts import Verdict
from service.storage import acts
from service.storage.history import Place
from service.storage.tables import STANDING_FLAG_STATES, episodes, flags, results, verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineFilter:
    """Which results of a patient are wanted, and in which order. Both ends of the time are inclusive.

    ``as_known_at``: in the versions that counted at that moment (``flows/as_known``).
    """

    patient: str = field(repr=False)
    analyte: Sequence[str] = ()
    collected_from: datetime | None = None
    collected_to: datetime | None = None
    as_known_at: datetime | None = None
    oldest_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeFilter:
    """Which episodes of a patient are wanted."""

    patient: str = field(repr=False)
    finding: Sequence[str] = ()
    state: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingFlag:
    """The flag that stands on a result."""

    id: str
    state: str
    episode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One current result with the verdict on it, the flag that stands on it, and how many versions of it are kept."""

    result: Row[Any] = field(repr=False)
    verdict: Row[Any] | Verdict = field(repr=False)
    flag: StandingFlag | None
    versions: int


def timeline_page(
    connection: Connection, wanted: TimelineFilter, *, after: Place | None, limit: int
) -> tuple[Entry, ...]:
    """Up to ``limit`` current results in order of collection, beginning after a place."""
    rows = list(connection.execute(_results(wanted, after).limit(limit)))
    names = [row.id for row in rows]
    judged, raised = _verdicts(connection, wanted.patient, names), _flags(connection, wanted.patient, names)
    counted = _versions(connection, wanted.patient, names)
    return tuple(
        Entry(result=row, verdict=judged[row.id], flag=raised.get(row.id), versions=counted[row.id]) for row in rows
    )


def _results(wanted: TimelineFilter, after: Place | None) -> Select[Any]:
    c = results.c
    statement = select(results).where(c.patient_id == wanted.patient, c.current)
    if wanted.analyte:
        statement = statement.where(c.analyte.in_(wanted.analyte))
    if wanted.collected_from is not None:
        statement = statement.where(c.collected_at >= wanted.collected_from)
    if wanted.collected_to is not None:
        statement = statement.where(c.collected_at <= wanted.collected_to)
    place = tuple_(c.collected_at, c.id)
    if after is not None:
        statement = statement.where(place > tuple_(*after) if wanted.oldest_first else place < tuple_(*after))
    order = (c.collected_at, c.id) if wanted.oldest_first else (c.collected_at.desc(), c.id.desc())
    return statement.order_by(*order)


def _verdicts(connection: Connection, patient_id: str, names: Sequence[str]) -> Mapping[str, Row[Any]]:
    c = verdicts.c
    rows = connection.execute(select(verdicts).where(c.patient_id == patient_id, c.result_id.in_(names), c.current))
    return {row.result_id: row for row in rows}


def _flags(connection: Connection, patient_id: str, names: Sequence[str]) -> Mapping[str, StandingFlag]:
    c = flags.c
    wanted = (c.patient_id == patient_id) & c.subject.in_(names) & c.state.in_(STANDING_FLAG_STATES)
    columns: list[Any] = [c.id, c.subject, c.state, c.episode_id]
    rows = connection.execute(select(*columns).where(wanted))
    return {row.subject: StandingFlag(id=row.id, state=row.state, episode=row.episode_id) for row in rows}


def _versions(connection: Connection, patient_id: str, names: Sequence[str]) -> Mapping[str, int]:
    c = results.c
    counted = select(c.id, func.count()).where(c.patient_id == patient_id, c.id.in_(names)).group_by(c.id)
    return {row[0]: row[1] for row in connection.execute(counted)}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEpisode:
    """An episode with every flag ever raised in it, oldest collection first, and the acknowledgement that holds."""

    episode: Row[Any] = field(repr=False)
    flags: Sequence[Row[Any]] = field(repr=False)
    acknowledged: Act | None


def episode_page(
    connection: Connection, wanted: EpisodeFilter, *, after: Place | None, limit: int
) -> tuple[KeptEpisode, ...]:
    """Up to ``limit`` episodes, the one opened last first, beginning after a place."""
    rows = list(connection.execute(_episodes(wanted, after).limit(limit)))
    members = _members(connection, wanted.patient, [row.id for row in rows])
    seen = acts.acknowledging(connection, [(wanted.patient, row.id) for row in rows if row.acknowledged_by])
    return tuple(KeptEpisode(episode=row, flags=members[row.id], acknowledged=seen.get(row.id)) for row in rows)


def _episodes(wanted: EpisodeFilter, after: Place | None) -> Select[Any]:
    c = episodes.c
    statement = select(episodes).where(c.patient_id == wanted.patient)
    for column, values in ((c.finding, wanted.finding), (c.state, wanted.state)):
        statement = statement.where(column.in_(values)) if values else statement
    if after is not None:
        statement = statement.where(tuple_(c.opened_at, c.id) < tuple_(*after))
    return statement.order_by(c.opened_at.desc(), c.id.desc())


def _members(connection: Connection, patient_id: str, names: Sequence[str]) -> Mapping[str, Sequence[Row[Any]]]:
    c = flags.c
    columns: list[Any] = [c.id, c.episode_id, c.severity, c.state, c.collected_at]
    statement = select(*columns).where(c.patient_id == patient_id, c.episode_id.in_(names))
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(statement.order_by(c.collected_at, c.raised_at, c.id)):
        found[row.episode_id].append(row)
    return found
