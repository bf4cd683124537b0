"""Rows of verdicts, flags, episodes and notes: the judgement of a patient as it is kept.

Law: what was once told is kept. A verdict, a flag or an episode that no longer holds changes its state, never its
content, and is never deleted.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select, update

from service.domain.drafts import drafted
from service.domain.episodes import Episode, EpisodeState, Flag, FlagKey
from service.domain.judge import Judgement
from service.domain.rules import Direction, Finding, Severity, Standing
from service.domain.verdicts import Outcome, Reason, Verdict
from service.storage.ids import new_id
from service.storage.rows import given, listed
from service.storage.tables import STANDING_FLAG_STATES, Instant, episodes, flags, verdicts
from service.storage.writes import Change, Writes


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


def keep_notes(writes: Writes, new: Iterable[Mapping[str, Any]]) -> None:
    """Keep notes that are not kept yet; each has its ``id`` in it."""
    for note in new:
        writes.note({"id": note["id"], "body": dict(note)})


def open_episodes(connection: Connection, patient_ids: Sequence[str]) -> Mapping[str, Judgement]:
    """The open episodes of patients, without their flags: where a newer collection carries on."""
    found: dict[str, list[Episode]] = defaultdict(list)
    if patient_ids:
        dialect = connection.dialect.name
        for row in connection.execute(_open_episodes(dialect), given(dialect, _WHO, [(one,) for one in patient_ids])):
            found[row.patient_id].append(_episode(row, ()))
    return {name: Judgement(episodes=tuple(sorted(own, key=by_time))) for name, own in found.items()}


_WHO = ("of_patient",)


@cache
def _open_episodes(dialect: str) -> Select[Any]:
    c, who = episodes.c, listed(dialect, *_WHO)
    mine = (c.patient_id == who.c.of_patient) & (c.state == EpisodeState.OPEN.value)
    return select(episodes).join_from(who, episodes, mine)


def standing(connection: Connection, patient_id: str) -> Judgement:
    """Everything of a patient that stands: current verdicts, flags, and the episodes with the keys of their flags."""
    found, members = _standing_flags(connection, patient_id)
    c = episodes.c
    alive = (EpisodeState.OPEN.value, EpisodeState.RESOLVED.value)
    rows = connection.execute(select(episodes).where(c.patient_id == patient_id, c.state.in_(alive)))
    kept = sorted((_episode(row, tuple(members[row.id])) for row in rows), key=by_time)
    return Judgement(verdicts=current_verdicts(connection, patient_id), flags=found, episodes=tuple(kept))


def by_time(episode: Episode) -> tuple[datetime, datetime, str]:
    """The order of kept episodes; those of the same times in the order in which they were kept."""
    return episode.opened_at, episode.last_at, episode.id or ""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVerdict:
    """A verdict to be kept, on a version of a result."""

    result: str
    version: int
    verdict: Verdict
    current: bool = True


new_verdict = drafted(NewVerdict)


def keep_verdicts(
    writes: Writes, patient_id: str, new: Sequence[NewVerdict], *, now: datetime, replacing: Sequence[str]
) -> None:
    """Keep verdicts. The current ones on the results in ``replacing`` are so no longer."""
    for result in replacing:
        writes.before(_VERDICT_REPLACED, {"of_patient": patient_id, "of_result": result})
    for one in new:
        writes.add(verdicts, _verdict_values(patient_id, one, now))


_VERDICT_REPLACED = (
    update(verdicts)
    .where(
        verdicts.c.patient_id == bindparam("of_patient"),
        verdicts.c.result_id == bindparam("of_result"),
        verdicts.c.current,
    )
    .values(current=False)
)


def _verdict_values(patient_id: str, new: NewVerdict, now: datetime) -> dict[str, Any]:
    one = new.verdict
    return {
        "patient_id": patient_id,
        "id": new_id("vrd"),
        "result_id": new.result,
        "result_version": new.version,
        "current": new.current,
        "judged_at": now,
        "ruleset": one.ruleset,
        "outcome": str(one.outcome),
        "standing": str(one.standing),
        "why": one.why,
        "analyte": one.analyte,
        "reason": one.reason and str(one.reason),
        "hint": one.hint,
        "finding": one.finding and str(one.finding),
        "severity": one.severity and str(one.severity),
        "grade": one.grade,
        "classification": one.classification,
        "direction": one.direction and str(one.direction),
        "at_least": one.at_least,
        "provisional": one.provisional,
        "context": one.context,
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
    writes: Writes, patient_id: str, *, changed: Sequence[Episode], new: Sequence[Episode], now: datetime
) -> None:
    """Keep the episodes that changed and those that are new. Each has its ``id`` and ``last_flag``."""
    for one in changed:
        values = _episode_values(one, now)
        if not writes.amend(episodes, one.id, values):
            own = {"patient_id": patient_id, "id": one.id}
            # Of each finding only one may be open.
            writes.change(_CHANGE_EPISODE, {**own, **values}, name=one.id, ends=not one.open)
    for one in new:
        row = {"patient_id": patient_id, "id": one.id, "merged_into": None, "version": 1, **_episode_values(one, now)}
        writes.add(episodes, row, name=one.id)


def _episode_values(episode: Episode, now: datetime) -> dict[str, Any]:
    return {
        "finding": str(episode.finding),
        "state": str(episode.state),
        "level": str(episode.level),
        "peak": str(episode.peak),
        "opened_at": episode.opened_at,
        "last_at": episode.last_at,
        "resolved_at": episode.resolved_at,
        "last_flag_id": episode.last_flag,
        "changed_at": now,
        "acknowledged_by": episode.acknowledged_by,
        "snoozed_by": episode.snoozed_by,
    }


_CHANGE_EPISODE = Change(
    table=episodes,
    keys=("patient_id", "id"),
    columns=(
        "state", "level", "peak", "opened_at", "last_at", "resolved_at", "last_flag_id", "changed_at",
        "acknowledged_by", "snoozed_by",
    ),
    counts="version",
)  # fmt: skip


def merged(writes: Writes, patient_id: str, episode: str, *, into: str) -> None:
    """Note that an episode goes on as part of another one."""
    writes.after(_MERGED, {"of_patient": patient_id, "of_id": episode, "merged_into": into})


_MERGED = (
    update(episodes)
    .where(episodes.c.patient_id == bindparam("of_patient"), episodes.c.id == bindparam("of_id"))
    .values(merged_into=bindparam("merged_into"))
)


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
        acknowledged_by=row.acknowledged_by,
        snoozed_by=row.snoozed_by,
    )


def keep_flags(writes: Writes, patient_id: str, new: Sequence[NewFlag]) -> None:
    """Keep new flags with everything that explains them."""
    for one in new:
        writes.add(flags, _flag_values(patient_id, one))


def _flag_values(patient_id: str, new: NewFlag) -> dict[str, Any]:
    one = new.flag
    return {
        "patient_id": patient_id,
        "id": one.id,
        "subject": one.subject,
        "finding": str(one.finding),
        "severity": str(one.severity),
        "state": new.state,
        "analyte": one.analyte,
        "grade": one.grade,
        "classification": one.classification,
        "direction": one.direction and str(one.direction),
        "at_least": one.at_least,
        "provisional": one.provisional,
        "collected_at": one.collected_at,
        "raised_at": new.raised_at,
        "changed_at": new.raised_at,
        "version": one.version,
        "ruleset": one.ruleset,
        "source": new.source,
        "panel_id": new.panel,
        "episode_id": new.episode,
        "superseded_by": None,
        "note_id": new.note,
        "why": one.why,
        "explanation": one.explanation,
        "basis": one.basis,
    }


def retire_flag(writes: Writes, patient_id: str, flag_id: str, *, state: str, by: str | None, now: datetime) -> None:
    """A flag stands no longer: it is superseded (``by`` another, or by nothing) or withdrawn."""
    row = {"of_patient": patient_id, "of_id": flag_id, "state": state, "superseded_by": by, "changed_at": now}
    writes.before(_RETIRE, row)


_F = flags.c
_RETIRE = (
    update(flags)
    .where(_F.patient_id == bindparam("of_patient"), _F.id == bindparam("of_id"))
    .values({name: bindparam(name) for name in ("state", "superseded_by", "changed_at")})
)


def place_flags(
    writes: Writes, patient_id: str, names: Sequence[str], *, episode: str, state: str, now: datetime
) -> None:
    """Standing flags belong to an episode, and are open or resolved with it."""
    place = {"of_patient": patient_id, "to_episode": episode, "to_state": state, "changed": now}
    for name in names:
        writes.after(_PLACE, {**place, "of_id": name})


_PLACE = (
    update(flags)
    .where(
        _F.patient_id == bindparam("of_patient"),
        _F.id == bindparam("of_id"),
        (_F.episode_id != bindparam("to_episode")) | (_F.state != bindparam("to_state")),
    )
    .values(
        episode_id=bindparam("to_episode"), state=bindparam("to_state"), changed_at=bindparam("changed", type_=Instant)
    )
)


def follow_episode(writes: Writes, patient_id: str, episode: str, *, state: str, now: datetime) -> None:
    """All standing flags of an episode are open or resolved with it."""
    row = {"patient_id": patient_id, "episode_id": episode, "state": state, "changed_at": now}
    writes.after(_FOLLOW, row)


_FOLLOW = Change(
    table=flags,
    keys=("patient_id", "episode_id"),
    columns=("state", "changed_at"),
    only="flags.state NOT IN ('superseded', 'withdrawn') AND flags.state <> {state}",
)


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
