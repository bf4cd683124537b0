"""Rows of verdicts, flags, episodes and notes: the judgement of a patient as it is kept.

Law: what was once told is kept. A verdict, a flag or an episode that no longer holds changes its state, never its
content, and is never deleted.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Row, bindparam, insert, select, update

from service.domain.episodes import Episode, EpisodeState, Flag, FlagKey
from service.domain.judge import Judgement
from service.domain.rules import Direction, Finding, Severity, Standing
from service.domain.verdicts import Outcome, Reason, Verdict
from service.storage.ids import new_id
from service.storage.rows import upsert, values_of
from service.storage.tables import STANDING_FLAG_STATES, episodes, flags, notes, verdicts

# Statements of the hot path are made once: making one costs as much as running it.
_KEEP_VERDICT, _KEEP_EPISODE, _KEEP_FLAG = insert(verdicts), insert(episodes), insert(flags)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFlag:
    """A flag to be kept, with where it came from and the note that is shown with it."""

    flag: Flag
    state: str
    episode: str
    panel: str
    source: str
    note: str
    raised_at: datetime


def keep_notes(connection: Connection, new: Iterable[Mapping[str, Any]]) -> None:
    """Keep notes that are not kept yet; each has its ``id`` in it."""
    # In one order: two transactions that keep the same notes wait for each other, but never in a circle.
    values = sorted(({"id": note["id"], "body": dict(note)} for note in new), key=lambda one: str(one["id"]))
    if values:
        connection.execute(_keep_note(connection.dialect.name), values)


@cache
def _keep_note(dialect: str) -> Insert:
    return upsert(dialect, notes).on_conflict_do_nothing(index_elements=[notes.c.id])


_OPEN_EPISODES = select(episodes).where(
    episodes.c.patient_id == bindparam("of_patient"), episodes.c.state == EpisodeState.OPEN.value
)


def open_episodes(connection: Connection, patient_id: str) -> Judgement:
    """The open episodes of a patient, without their flags: where a newer collection carries on."""
    rows = connection.execute(_OPEN_EPISODES, {"of_patient": patient_id})
    return Judgement(episodes=tuple(sorted((_episode(row, ()) for row in rows), key=_by_time)))


def standing(connection: Connection, patient_id: str) -> Judgement:
    """Everything of a patient that stands: current verdicts, flags, and the episodes with the keys of their flags."""
    found, members = _standing_flags(connection, patient_id)
    c = episodes.c
    alive = (EpisodeState.OPEN.value, EpisodeState.RESOLVED.value)
    rows = connection.execute(select(episodes).where(c.patient_id == patient_id, c.state.in_(alive)))
    kept = sorted((_episode(row, tuple(members[row.id])) for row in rows), key=_by_time)
    return Judgement(verdicts=current_verdicts(connection, patient_id), flags=found, episodes=tuple(kept))


def _by_time(episode: Episode) -> tuple[datetime, datetime]:
    return episode.opened_at, episode.last_at


def _standing_flags(connection: Connection, patient_id: str) -> tuple[dict[FlagKey, Flag], Mapping[str, list[FlagKey]]]:
    c = flags.c
    statement = (
        select(flags)
        .where(c.patient_id == patient_id, c.state.in_(STANDING_FLAG_STATES))
        .order_by(c.collected_at, c.subject)
    )
    found: dict[FlagKey, Flag] = {}
    members: dict[str, list[FlagKey]] = defaultdict(list)
    for row in connection.execute(statement):
        one = flag(row)
        found[one.key] = one
        members[row.episode_id].append(one.key)
    return found, members


def current_verdicts(
    connection: Connection, patient_id: str, results: Sequence[str] | None = None
) -> dict[str, Verdict]:
    """The current verdicts of a patient by result; of all results, or of some."""
    c = verdicts.c
    statement = select(verdicts).where(c.patient_id == patient_id, c.current)
    if results is not None:
        statement = statement.where(c.result_id.in_(results))
    return {row.result_id: _verdict(row) for row in connection.execute(statement)}


_VERDICT_COLUMNS = (
    "outcome", "standing", "why", "analyte", "reason", "hint", "finding", "severity", "grade",
    "classification", "direction", "at_least", "provisional", "context", "ruleset",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVerdict:
    """A verdict to be kept, on a version of a result."""

    result: str
    version: int
    verdict: Verdict
    current: bool = True


def keep_verdicts(
    connection: Connection, patient_id: str, new: Sequence[NewVerdict], *, now: datetime, replacing: Sequence[str]
) -> None:
    """Keep verdicts. The current ones on the results in ``replacing`` are so no longer."""
    if replacing:
        c = verdicts.c
        statement = update(verdicts).where(c.patient_id == patient_id, c.result_id.in_(replacing), c.current)
        connection.execute(statement.values(current=False))
    if new:
        connection.execute(_KEEP_VERDICT, [_verdict_values(patient_id, one, now) for one in new])


def _verdict_values(patient_id: str, new: NewVerdict, now: datetime) -> dict[str, Any]:
    return {
        "patient_id": patient_id,
        "id": new_id("vrd"),
        "result_id": new.result,
        "result_version": new.version,
        "current": new.current,
        "judged_at": now,
        **values_of(new.verdict, _VERDICT_COLUMNS),
    }


def _verdict(row: Row[Any]) -> Verdict:
    return Verdict(
        outcome=Outcome(row.outcome),
        ruleset=row.ruleset,
        why=row.why,
        analyte=row.analyte,
        reason=row.reason and Reason(row.reason),
        hint=row.hint,
        finding=row.finding and Finding(row.finding),
        standing=Standing(row.standing),
        severity=row.severity and Severity(row.severity),
        grade=row.grade,
        classification=row.classification,
        direction=row.direction and Direction(row.direction),
        at_least=row.at_least,
        provisional=row.provisional,
        context=row.context,
    )


def keep_episodes(
    connection: Connection, patient_id: str, *, changed: Sequence[Episode], new: Sequence[Episode], now: datetime
) -> None:
    """Keep the episodes that changed and those that are new. Each has its ``id`` and ``last_flag``."""
    if changed:
        # Those that end make room first: of each finding only one may be open.
        ordered = sorted(changed, key=lambda one: one.open)
        rows = [
            {"changed_at": now, "of_patient": patient_id, "of_id": one.id, **_episode_values(one)} for one in ordered
        ]
        connection.execute(_CHANGE_EPISODE, rows)
    if new:
        own = [{"patient_id": patient_id, "id": one.id, "changed_at": now, **_episode_values(one)} for one in new]
        connection.execute(_KEEP_EPISODE, own)


_EPISODE_COLUMNS = ("finding", "state", "level", "peak", "opened_at", "last_at", "resolved_at")


_CHANGE_EPISODE = (
    update(episodes)
    .where(episodes.c.patient_id == bindparam("of_patient"), episodes.c.id == bindparam("of_id"))
    .values({name: bindparam(name) for name in (*_EPISODE_COLUMNS, "last_flag_id", "changed_at")})
)


def _episode_values(episode: Episode) -> dict[str, Any]:
    return values_of(episode, _EPISODE_COLUMNS) | {"last_flag_id": episode.last_flag}


def merged(connection: Connection, patient_id: str, episode: str, *, into: str) -> None:
    """Note that an episode goes on as part of another one."""
    wanted = (episodes.c.patient_id == patient_id) & (episodes.c.id == episode)
    connection.execute(update(episodes).where(wanted).values(merged_into=into))


def _episode(row: Row[Any], keys: tuple[FlagKey, ...]) -> Episode:
    return Episode(
        finding=Finding(row.finding),
        state=EpisodeState(row.state),
        level=Severity(row.level),
        peak=Severity(row.peak),
        opened_at=row.opened_at,
        last_at=row.last_at,
        resolved_at=row.resolved_at,
        flags=keys,
        id=row.id,
        last_flag=row.last_flag_id,
    )


_FLAG_COLUMNS = tuple(field.name for field in fields(Flag) if field.name not in {"id", "basis"})


def keep_flags(connection: Connection, patient_id: str, new: Sequence[NewFlag]) -> None:
    """Keep new flags with everything that explains them."""
    if new:
        connection.execute(_KEEP_FLAG, [_flag_values(patient_id, one) for one in new])


def _flag_values(patient_id: str, new: NewFlag) -> dict[str, Any]:
    return {
        "patient_id": patient_id,
        "id": new.flag.id,
        "basis": list(new.flag.basis),
        "state": new.state,
        "episode_id": new.episode,
        "panel_id": new.panel,
        "source": new.source,
        "note_id": new.note,
        "raised_at": new.raised_at,
        "changed_at": new.raised_at,
        **values_of(new.flag, _FLAG_COLUMNS),
    }


def retire_flag(
    connection: Connection, patient_id: str, flag_id: str, *, state: str, by: str | None, now: datetime
) -> None:
    """A flag stands no longer: it is superseded (``by`` another, or by nothing) or withdrawn."""
    wanted = (flags.c.patient_id == patient_id) & (flags.c.id == flag_id)
    connection.execute(update(flags).where(wanted).values(state=state, superseded_by=by, changed_at=now))


def place_flags(
    connection: Connection, patient_id: str, names: Sequence[str], *, episode: str, state: str, now: datetime
) -> None:
    """Standing flags belong to an episode, and are open or resolved with it."""
    c = flags.c
    wanted = (c.patient_id == patient_id) & c.id.in_(names) & ((c.episode_id != episode) | (c.state != state))
    connection.execute(update(flags).where(wanted).values(episode_id=episode, state=state, changed_at=now))


def follow_episode(connection: Connection, patient_id: str, episode: str, *, state: str, now: datetime) -> None:
    """All standing flags of an episode are open or resolved with it."""
    c = flags.c
    wanted = (c.patient_id == patient_id) & (c.episode_id == episode) & c.state.in_(STANDING_FLAG_STATES)
    connection.execute(update(flags).where(wanted, c.state != state).values(state=state, changed_at=now))


def flags_on(connection: Connection, patient_id: str, results: Sequence[str]) -> list[tuple[Flag, str, str]]:
    """The standing flags that rest on some of a patient's results, each with its state and its episode."""
    c = flags.c
    statement = select(flags).where(c.patient_id == patient_id, c.state.in_(STANDING_FLAG_STATES))
    rows = connection.execute(statement.order_by(c.collected_at, c.subject))
    return [(flag(row), row.state, row.episode_id) for row in rows if not set(results).isdisjoint(row.basis)]


def flag(row: Row[Any]) -> Flag:
    """The flag in a row."""
    plain = {"subject", "analyte", "grade", "classification", "at_least", "provisional", "collected_at"}
    plain |= {"version", "ruleset", "why", "explanation"}
    return Flag(
        finding=Finding(row.finding),
        severity=Severity(row.severity),
        direction=row.direction and Direction(row.direction),
        basis=tuple(row.basis),
        id=row.id,
        **{name: getattr(row, name) for name in plain},
    )
