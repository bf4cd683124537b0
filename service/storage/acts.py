"""Rows of acts, and the episode that they are attached to.

Law: an act is added and never changed; who adds one holds the patient. The acts of an episode that was merged into
another are shown with the one as part of which it goes on.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, case, insert, select, tuple_, update

from service.domain.actors import Actor, ActorKind
from service.domain.acts import Act, ActKind, Attention, Reason, Until, holding
from service.domain.errors import NotFound
from service.domain.rules import Severity
from service.storage.tables import episodes
from service.storage.tables_acts import acts

_A, _E = acts.c, episodes.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """An episode with what holds of what people did about it. ``names``: it and those merged into it."""

    row: Row[Any] = field(repr=False)
    names: tuple[str, ...]
    holds: Attention


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Some acts about an episode, in order. ``undone_by``: of those that were undone, by which. ``more``: not all."""

    acts: tuple[Act, ...]
    undone_by: Mapping[str, str]
    more: bool


def patient_of(connection: Connection, episode_id: str) -> str:
    """Whose episode this is. Raises ``NotFound``."""
    found: str | None = connection.execute(select(_E.patient_id).where(_E.id == episode_id)).scalar_one_or_none()
    if found is None:
        raise NotFound("episode")
    return found


def attended(connection: Connection, patient_id: str, episode_id: str, *, now: datetime) -> Attended:
    """An episode of a patient."""
    own = (_E.patient_id == patient_id) & (_E.id == episode_id)
    row = connection.execute(select(episodes).where(own)).one()
    names = family(connection, patient_id, episode_id)
    return Attended(row=row, names=names, holds=_holds(connection, row, names, now=now))


def attention(
    connection: Connection, patient_id: str, names: Sequence[str], *, now: datetime
) -> Mapping[str, Attention]:
    """What holds of some episodes of a patient: is one acknowledged, snoozed, assigned? Of the others, nothing does."""
    rows = connection.execute(select(episodes).where(_E.patient_id == patient_id, _E.id.in_(names))).all()
    families = _families(connection, patient_id, names)
    return {row.id: _holds(connection, row, families[row.id], now=now) for row in rows}


def _holds(connection: Connection, row: Row[Any], names: Sequence[str], *, now: datetime) -> Attention:
    """Of all the acts of an episode, however many there are, only those that can hold are read."""
    borne = {one for one in (row.acknowledged_by, row.snoozed_by) if one is not None}
    own = (_A.patient_id == row.patient_id) & _A.episode_id.in_(names) & _A.id.in_(borne)
    found = [_act(one) for one in connection.execute(select(acts).where(own))] if borne else []
    assigned = newest(connection, row.patient_id, names, kinds=[ActKind.ASSIGN])
    found += [assigned] if assigned else []
    return holding(
        found, acknowledged_by=row.acknowledged_by, snoozed_by=row.snoozed_by, last_flag=row.last_flag_id, now=now
    )


def family(connection: Connection, patient_id: str, name: str) -> tuple[str, ...]:
    """An episode and those that were merged into it, and into these; itself first."""
    return _families(connection, patient_id, [name])[name]


def lives_on(connection: Connection, patient_id: str, row: Row[Any]) -> str | None:
    """The episode as part of which one goes on that was merged; None where it was not."""
    if row.merged_into is None:
        return None
    into = {one.id: one.merged_into for one in connection.execute(_merged(patient_id))}
    name, passed = row.merged_into, {row.id}
    while name in into and name not in passed:
        passed.add(name)
        name = into[name]
    return str(name)


def _families(connection: Connection, patient_id: str, names: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Each of some episodes with those that were merged into it, and into these."""
    merged: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(_merged(patient_id)):
        merged[row.merged_into].append(row.id)
    return {name: _with_merged(name, merged) for name in names}


def _merged(patient_id: str) -> Select[Any]:
    return select(_E.id, _E.merged_into).where(_E.patient_id == patient_id, _E.merged_into.is_not(None))


def _with_merged(name: str, merged: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    found, left = [name], [name]
    while left:
        below = [one for one in merged.get(left.pop(), ()) if one not in found]
        found += below
        left += below
    return tuple(found)


# Where an act stands among those of an episode and of those merged into it.
Standing = tuple[str, int]


def newest(connection: Connection, patient_id: str, names: Sequence[str], *, kinds: Iterable[ActKind]) -> Act | None:
    """The act of some kinds that was done last about an episode and those merged into it."""
    wanted = _of(patient_id, names).where(_A.kind.in_([one.value for one in kinds]))
    row = connection.execute(wanted.order_by(_place(names).desc(), _A.version.desc()).limit(1)).first()
    return None if row is None else _act(row)


def latest(connection: Connection, patient_id: str, names: Sequence[str], *, limit: int) -> Listed:
    """The last acts about an episode and those merged into it."""
    wanted = _of(patient_id, names).order_by(_place(names).desc(), _A.version.desc())
    rows = connection.execute(wanted.limit(limit + 1)).all()
    return _listed(connection, patient_id, rows[:limit][::-1], more=len(rows) > limit)


def page(
    connection: Connection, patient_id: str, names: Sequence[str], *, after: Standing | None, limit: int
) -> Listed:
    """Up to ``limit`` acts about an episode and those merged into it, the first one first, beginning after one."""
    place = _place(names)
    wanted = _of(patient_id, names).order_by(place, _A.version)
    if after is not None:
        wanted = wanted.where(tuple_(place, _A.version) > tuple_(*_standing(names, after)))
    rows = connection.execute(wanted.limit(limit + 1)).all()
    return _listed(connection, patient_id, rows[:limit], more=len(rows) > limit)


def _standing(names: Sequence[str], after: Standing) -> tuple[int, int]:
    """Where an act stands. What was merged and is so no longer stands before everything."""
    name, version = after
    return (-names.index(name), version) if name in names else (-len(names), 0)


def _of(patient_id: str, names: Sequence[str]) -> Select[Any]:
    return select(acts).where(_A.patient_id == patient_id, _A.episode_id.in_(names))


def _place(names: Sequence[str]) -> Any:
    """The order in which acts were done is that of the versions that they made, as clocks differ.

    Those of an episode that was merged come before those of the one that it goes on in, which is named before it.
    """
    return case({name: -at for at, name in enumerate(names)}, value=_A.episode_id)


def _listed(connection: Connection, patient_id: str, rows: Sequence[Row[Any]], *, more: bool) -> Listed:
    undone = select(_A.undoes, _A.id).where(_A.patient_id == patient_id, _A.undoes.in_([row.id for row in rows]))
    undone_by = {one.undoes: one.id for one in connection.execute(undone)} if rows else {}
    return Listed(acts=tuple(map(_act, rows)), undone_by=undone_by, more=more)


def acknowledging(connection: Connection, names: Iterable[tuple[str, str]]) -> Mapping[str, Act]:
    """The acknowledgements that hold of some episodes, which are asked for by patient and name."""
    asked = list(names)
    if not asked:
        return {}
    whose, which = {patient for patient, _ in asked}, {name for _, name in asked}
    held = (_A.patient_id == _E.patient_id) & (_A.id == _E.acknowledged_by)
    wanted = _E.patient_id.in_(whose) & _E.id.in_(which)
    columns = [_E.id.label("of_episode"), *acts.c]
    rows = connection.execute(select(*columns).select_from(episodes.join(acts, held)).where(wanted))
    return {row.of_episode: _act(row) for row in rows}


def keep(connection: Connection, patient_id: str, act: Act) -> None:
    """Keep an act; the episode gets its version, and bears its name or that of the act it undoes no longer.

    An act that changes nothing of the judgement leaves ``changed_at`` of the episode as it is.
    """
    connection.execute(insert(acts).values(_values(patient_id, act)))
    own = (_E.patient_id == patient_id) & (_E.id == act.episode)
    connection.execute(update(episodes).where(own).values(version=act.version, **_borne(act)))


def _borne(act: Act) -> dict[str, Any]:
    match act.kind:
        case ActKind.ACKNOWLEDGE | ActKind.UNDO:
            return {"acknowledged_by": None if act.undoes else act.id, "changed_at": act.at}
        case ActKind.SNOOZE | ActKind.UNSNOOZE:
            return {"snoozed_by": None if act.undoes else act.id}
        case _:
            return {}


def count_on(connection: Connection, patient_id: str, episode_id: str, *, version: int) -> None:
    """Something was added to an episode that is no act."""
    own = (_E.patient_id == patient_id) & (_E.id == episode_id)
    connection.execute(update(episodes).where(own).values(version=version))


def _values(patient_id: str, act: Act) -> dict[str, Any]:
    own = {name: value for name, value in asdict(act).items() if name not in ("actor", "episode", "flag")}
    return {
        **own,
        "patient_id": patient_id,
        "episode_id": act.episode,
        "flag_id": act.flag,
        **actor_values(act.actor),
    }


def actor_values(actor: Actor) -> dict[str, str]:
    """Who did something, as it is kept."""
    return {"actor_kind": actor.kind.value, "actor_id": actor.id, "actor_name": actor.name}


def actor_of(row: Row[Any]) -> Actor:
    """Who did what a row holds."""
    return Actor(kind=ActorKind(row.actor_kind), id=row.actor_id, name=row.actor_name)


def _act(row: Row[Any]) -> Act:
    return Act(
        id=row.id,
        episode=row.episode_id,
        kind=ActKind(row.kind),
        at=row.at,
        actor=actor_of(row),
        reason=row.reason and Reason(row.reason),
        note=row.note,
        assignee=row.assignee,
        until_kind=row.until_kind and Until(row.until_kind),
        until=row.until,
        undoes=row.undoes,
        severity=Severity(row.severity),
        flag=row.flag_id,
        version=row.version,
    )
