"""Rows of calls about flags: who was told by whom, when and how; and how long it took.

Law: a call is added and never changed, also one that reached nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, literal_column, select

from service.domain.acts import Called, How, Reached
from service.domain.errors import NotFound
from service.storage.acts import actor_of, actor_values
from service.storage.panels import TRIAL, TRIALS
from service.storage.tables import flags, patients
from service.storage.tables_acts import callbacks

_C, _F = callbacks.c, flags.c


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


def of_episodes(connection: Connection, patient_id: str, names: Sequence[str]) -> list[Called]:
    """The calls about some episodes of a patient, in the order in which they were recorded."""
    wanted = (_C.patient_id == patient_id) & _C.episode_id.in_(names)
    return [_call(row) for row in connection.execute(select(callbacks).where(wanted).order_by(_C.id))]


def flag_of(connection: Connection, patient_id: str, flag_id: str, *, episodes: Sequence[str]) -> Row[Any]:
    """A flag that was ever raised in one of some episodes. Raises ``NotFound``."""
    wanted = (_F.patient_id == patient_id) & (_F.id == flag_id) & _F.episode_id.in_(episodes)
    row = connection.execute(select(flags).where(wanted)).one_or_none()
    if row is None:
        raise NotFound("flag in this episode")
    return row


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
    """A critical flag that was raised, and when somebody was first reached about it. ``by``: what took its place."""

    flag: str
    source: str
    state: str
    by: str | None
    raised_at: datetime
    told_at: datetime | None


def critical(connection: Connection, *, since: datetime, until: datetime, source: str | None) -> Sequence[Raised]:
    """Every critical flag that was raised from a time on and before another, the oldest first; none of a trial."""
    reached = (
        select(func.min(_C.at))
        .where(_C.patient_id == _F.patient_id, _C.flag_id == _F.id, _C.outcome == literal_column("'reached'"))
        .scalar_subquery()
    )
    wanted = [
        _F.severity == literal_column("'critical'"),  # as it stands in the partial index
        _F.raised_at >= since,
        _F.raised_at < until,
        _F.source != TRIALS,
        ~patients.c.authority.startswith(TRIAL, autoescape=True),
    ]
    if source is not None:
        wanted.append(_F.source == source)
    columns: list[Any] = [_F.id, _F.source, _F.state, _F.superseded_by, _F.raised_at, reached.label("told_at")]
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
        told_at=told["told_at"],
    )
