"""Rows of calls about flags: who was told by whom, when and how; and how long it took.

Law: a call is added and never changed, also one that reached nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, literal_column, select

from service.domain.acts import Called, How, Reached
from service.domain.errors import NotFound
from service.storage.acts import actor_of, actor_values
from service.storage.panels import TRIAL, TRIALS
from service.storage.tables import STANDING_FLAG_STATES, flags, patients
from service.storage.tables_acts import callbacks

_C, _F = callbacks.c, flags.c

CANDIDATES = 10


def keep(connection: Connection, patient_id: str, call: Called) -> None:
    """Keep a call."""
    row = {
        "patient_id": patient_id,
        "id": call.id,
        "episode_id": call.episode,
        "flag_id": call.flag,
        "value": call.value,
        "result_version": call.result_version,
        **actor_values(call.told_by),
        "told_to": call.told_to,
        "at": call.at,
        "recorded_at": call.recorded_at,
        "how": call.how,
        "outcome": call.outcome,
        "read_back": call.read_back,
        "no_read_back": call.no_read_back,
        "note": call.note,
    }
    connection.execute(insert(callbacks).values(row))


def latest(connection: Connection, patient_id: str, names: Sequence[str], *, limit: int) -> list[Called]:
    """The last calls about some episodes of a patient, in the order in which they were recorded."""
    statement = _of_episodes(patient_id, names).order_by(_C.id.desc()).limit(limit)
    return [_call(row) for row in connection.execute(statement)][::-1]


def page(
    connection: Connection, patient_id: str, names: Sequence[str], *, after: str | None, limit: int
) -> list[Called]:
    """Up to ``limit`` calls about some episodes, in the order in which they were recorded, beginning after one."""
    statement = _of_episodes(patient_id, names).order_by(_C.id).limit(limit)
    statement = statement if after is None else statement.where(_C.id > after)
    return [_call(row) for row in connection.execute(statement)]


def _of_episodes(patient_id: str, names: Sequence[str]) -> Select[Any]:
    return select(callbacks).where(_C.patient_id == patient_id, _C.episode_id.in_(names))


def alike(connection: Connection, patient_id: str, call: Called) -> list[Called]:
    """The calls about the same flag and episode to the same one, among which it may stand already."""
    own = _of_episodes(patient_id, [call.episode])
    return [_call(row) for row in connection.execute(own.where(_C.flag_id == call.flag, _C.told_to == call.told_to))]


def flag_of(
    connection: Connection, patient_id: str, flag_id: str, *, episodes: Sequence[str] | None = None
) -> Row[Any]:
    """A flag that was ever raised, perhaps only in one of some episodes. Raises ``NotFound``."""
    wanted = (_F.patient_id == patient_id) & (_F.id == flag_id)
    wanted = wanted if episodes is None else wanted & _F.episode_id.in_(episodes)
    row = connection.execute(select(flags).where(wanted)).one_or_none()
    if row is None:
        raise NotFound("flag in this episode")
    return row


def stood(connection: Connection, patient_id: str, episodes: Sequence[str], *, at: datetime) -> list[Row[Any]]:
    """The flags of some episodes that stood at a time, the one raised last first; at most ``CANDIDATES``."""
    standing = _F.state.in_(STANDING_FLAG_STATES) | (_F.changed_at > at)
    return _last_raised(
        connection, (_F.patient_id == patient_id, _F.episode_id.in_(episodes), _F.raised_at <= at, standing)
    )


def came_after(connection: Connection, patient_id: str, episodes: Sequence[str], *, at: datetime) -> list[Row[Any]]:
    """The flags of some episodes whose specimen was collected by a time and whose message came after it, as above."""
    there = (_F.collected_at <= at) & (_F.raised_at > at)
    return _last_raised(connection, (_F.patient_id == patient_id, _F.episode_id.in_(episodes), there))


def _last_raised(connection: Connection, wanted: Sequence[ColumnElement[bool]]) -> list[Row[Any]]:
    found = select(flags).where(*wanted).order_by(_F.raised_at.desc(), _F.id.desc()).limit(CANDIDATES)
    return list(connection.execute(found))


def _call(row: Row[Any]) -> Called:
    return Called(
        id=row.id,
        episode=row.episode_id,
        flag=row.flag_id,
        value=row.value,
        result_version=row.result_version,
        told_by=actor_of(row),
        told_to=row.told_to,
        at=row.at,
        recorded_at=row.recorded_at,
        how=How(row.how),
        outcome=Reached(row.outcome),
        read_back=row.read_back,
        no_read_back=row.no_read_back,
        note=row.note,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """A critical flag that was raised, and when somebody was first reached about it.

    ``by``: what took its place. ``ended_at``: when it was taken back, if it was.
    """

    flag: str
    source: str
    state: str
    by: str | None
    raised_at: datetime
    ended_at: datetime | None
    told_at: datetime | None


def critical(connection: Connection, *, since: datetime, until: datetime, source: str | None) -> Sequence[Raised]:
    """The critical flags of each patient of whom one was raised from a time on and before another, the oldest first.

    None of a trial. Those raised at other times are among them, as one may have taken the place of another.
    """
    reached = (
        select(func.min(_C.at))
        .where(_C.patient_id == _F.patient_id, _C.flag_id == _F.id, _C.outcome == literal_column("'reached'"))
        .scalar_subquery()
    )
    critical: ColumnElement[str] = literal_column("'critical'")  # as it stands in the partial index
    then = flags.alias("then")
    period = [then.c.severity == critical, then.c.raised_at >= since, then.c.raised_at < until]
    if source is not None:
        period.append(then.c.source == source)
    wanted = [
        _F.severity == critical,
        _F.patient_id.in_(select(then.c.patient_id).where(*period)),
        _F.source != TRIALS,
        ~patients.c.authority.startswith(TRIAL, autoescape=True),
    ]
    plain = [_F.id, _F.source, _F.state, _F.superseded_by, _F.raised_at, _F.changed_at]
    columns: list[Any] = [*plain, reached.label("told_at")]
    joined = flags.join(patients, patients.c.id == _F.patient_id)
    rows = connection.execute(select(*columns).select_from(joined).where(*wanted).order_by(_F.raised_at, _F.id))
    return [_raised(row) for row in rows]


def _raised(row: Row[Any]) -> Raised:
    told: Mapping[str, Any] = row._asdict()
    return Raised(
        flag=told["id"],
        source=told["source"],
        state=told["state"],
        by=told["superseded_by"],
        raised_at=told["raised_at"],
        ended_at=None if told["state"] in STANDING_FLAG_STATES else told["changed_at"],
        told_at=told["told_at"],
    )
