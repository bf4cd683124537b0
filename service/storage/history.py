"""Reading what was kept: flags by page, one flag with everything about it, one panel with its verdicts.

Law: reading changes nothing, and a page costs the same at any depth (keyset by row values, no OFFSET).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, or_, select, tuple_

from service.domain.acts import Act
from service.domain.errors import NotFound
from service.storage import acts
from service.storage.tables import episodes, flags, notes, outbox, patients, results, verdicts

Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagFilter:
    """Which flags are wanted. An empty list wants all; times are times of collection, both ends inclusive.

    ``as_known_at``: as they were known at that moment; how they stand is not in their rows then (``flows/as_known``).
    """

    patient: str | None = field(default=None, repr=False)
    finding: Sequence[str] = ()
    severity: Sequence[str] = ()
    state: Sequence[str] = ()
    source: Sequence[str] = ()
    collected_from: datetime | None = None
    collected_to: datetime | None = None
    as_known_at: datetime | None = None


def flag_page(connection: Connection, wanted: FlagFilter, *, after: Place | None, limit: int) -> list[Row[Any]]:
    """Up to ``limit`` flags from the newest collection backward, beginning after a place."""
    statement = _flags_with_patient().where(*_conditions(wanted))
    if after is not None:
        statement = statement.where(tuple_(flags.c.collected_at, flags.c.id) < tuple_(*after))
    ordered = statement.order_by(flags.c.collected_at.desc(), flags.c.id.desc()).limit(limit)
    return list(connection.execute(ordered))


def some_flags(connection: Connection, names: Sequence[str]) -> Mapping[str, Row[Any]]:
    """Some flags with their patients, by name."""
    return {row.id: row for row in connection.execute(_flags_with_patient().where(flags.c.id.in_(names)))}


def _flags_with_patient() -> Select[Any]:
    joined = flags.join(patients, patients.c.id == flags.c.patient_id)
    who = (patients.c.identifier.label("patient_identifier"), patients.c.authority.label("patient_authority"))
    return select(flags, *who).select_from(joined)


def _conditions(wanted: FlagFilter) -> list[ColumnElement[bool]]:
    c = flags.c
    lists = {c.finding: wanted.finding, c.severity: wanted.severity, c.state: wanted.state, c.source: wanted.source}
    found: list[ColumnElement[bool]] = [column.in_(values) for column, values in lists.items() if values]
    if wanted.patient is not None:
        found.append(c.patient_id == wanted.patient)
    if wanted.collected_from is not None:
        found.append(c.collected_at >= wanted.collected_from)
    if wanted.collected_to is not None:
        found.append(c.collected_at <= wanted.collected_to)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagView:
    """One flag with its episode, its note as it was shown, and everything that was told of it.

    ``acknowledged``: the acknowledgement that holds of the episode.
    """

    flag: Row[Any] = field(repr=False)
    episode: Row[Any]
    acknowledged: Act | None
    note: Mapping[str, Any]
    context: Mapping[str, Any] | None = field(repr=False)
    events: Sequence[Row[Any]]


def flag_view(connection: Connection, flag_id: str) -> FlagView:
    """The flag with this id. Raises ``NotFound``."""
    row = connection.execute(_flags_with_patient().where(flags.c.id == flag_id)).one_or_none()
    if row is None:
        raise NotFound("flag")
    own = (episodes.c.patient_id == row.patient_id) & (episodes.c.id == row.episode_id)
    return FlagView(
        flag=row,
        episode=connection.execute(select(episodes).where(own)).one(),
        acknowledged=acts.acknowledging(connection, [(row.patient_id, row.episode_id)]).get(row.episode_id),
        note=connection.execute(select(notes.c.body).where(notes.c.id == row.note_id)).scalar_one(),
        context=_context(connection, row),
        events=_events(connection, row),
    )


def _context(connection: Connection, row: Row[Any]) -> Mapping[str, Any] | None:
    """What was shown beside the very version of the result that raised the flag."""
    c = verdicts.c
    wanted = (c.patient_id == row.patient_id) & (c.result_id == row.subject) & (c.result_version == row.version)
    newest = select(c.context).where(wanted).order_by(c.judged_at.desc(), c.id.desc()).limit(1)
    found: Mapping[str, Any] | None = connection.execute(newest).scalar_one_or_none()
    return found


def _events(connection: Connection, row: Row[Any]) -> Sequence[Row[Any]]:
    c = outbox.c
    about = or_(c.flag_id == row.id, (c.episode_id == row.episode_id) & c.type.in_(_OF_EPISODES))
    statement = select(c.seq, c.id, c.type, c.at, c.flag_id, c.data).where(c.patient_id == row.patient_id, about)
    return list(connection.execute(statement.order_by(c.seq)))


_OF_EPISODES = ("lab.flag.resolved", "lab.flag.reopened", "lab.flag.acknowledged", "lab.flag.unacknowledged")


def panel_rows(
    connection: Connection, patient_id: str, wanted: Sequence[tuple[str, int]]
) -> Mapping[tuple[str, int], tuple[Row[Any], Row[Any]]]:
    """Some versions of results, each with the newest verdict on it, by result and version."""
    c, v = results.c, verdicts.c
    on = (v.patient_id == c.patient_id) & (v.result_id == c.id) & (v.result_version == c.version)
    names = [result for result, _ in wanted]
    rows = connection.execute(
        select(results).where(c.patient_id == patient_id, c.id.in_(names)).order_by(c.id, c.version)
    )
    judged = connection.execute(
        select(verdicts)
        .select_from(verdicts.join(results, on))
        .where(v.patient_id == patient_id, v.result_id.in_(names))
        .order_by(v.judged_at, v.id)
    )
    newest = {(row.result_id, row.result_version): row for row in judged}
    return {(row.id, row.version): (row, newest[row.id, row.version]) for row in rows}


def standing_flags(connection: Connection, patient_id: str, subjects: Sequence[str]) -> Mapping[str, str]:
    """The ids of the standing flags on some results, by result."""
    c = flags.c
    wanted = (c.patient_id == patient_id) & c.subject.in_(subjects) & c.state.not_in(("superseded", "withdrawn"))
    return {row.subject: row.id for row in connection.execute(select(c.subject, c.id).where(wanted))}
