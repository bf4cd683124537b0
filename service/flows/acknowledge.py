"""What people do about an episode: acknowledged, undone, commented on, assigned, snoozed.

    asked ─► hold the patient ─► done already? ─► as wished? ─► allowed as it stands? ─► act, flags, event in one commit

Law: who acts holds the patient, as who brings results does, so that nobody acknowledges what has become worse
meanwhile. The same thing sent again is answered as it was the first time, and is not done twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from service.domain.actors import Actor
from service.domain.acts import Act, ActKind, Until, longest_snooze, needs_note
from service.domain.episodes import ACKNOWLEDGED, EpisodeState
from service.domain.errors import BadInput, Conflict, Fault, Stale
from service.domain.events import Event
from service.domain.rules import Severity
from service.domain.texts import says_something
from service.flows.means import Means
from service.formats.act_asked import KIND, Asked
from service.storage import acts, episodes, judgements, outbox, patients
from service.storage.acts import Attended
from service.storage.episodes import EpisodeView
from service.storage.ids import new_id
from service.storage.panels import is_trial
from service.storage.patients import KeptPatient
from service.storage.writes import Writes

# Is this version one that is wished for?
Wish = Callable[[int], bool]
# Is told whose episode it is, before anything can be refused: by our own name of the patient.
Whose = Callable[[str], object]


def any_version(_version: int) -> bool:
    """The wish of somebody who has none."""
    return True


def untold(_patient: str) -> None:
    """For whoever need not know whose episode it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An episode after something was done about it; not ``new`` where it had been done before."""

    view: EpisodeView = field(repr=False)
    new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stand:
    """An episode of a patient whom nobody else writes about now."""

    connection: Connection
    patient: KeptPatient
    episode: Attended
    now: datetime

    @property
    def worst(self) -> Severity:
        return Severity(self.episode.row.peak)

    @property
    def open(self) -> bool:
        return bool(self.episode.row.state == EpisodeState.OPEN.value)


def show(name: str, means: Means, *, now: datetime) -> EpisodeView:
    """An episode with everything about it. Raises ``NotFound``."""
    with means.database.reading() as connection:
        return episodes.view(connection, acts.patient_of(connection, name), name, now=now)


def do(
    name: str,
    asked: Asked,
    means: Means,
    *,
    by: Actor,
    now: datetime,
    wish: Wish = any_version,
    whose: Whose = untold,
    in_bulk: bool = False,
) -> Done:
    """Do something about an episode.

    ``in_bulk``: it is done to several at once. Raises ``NotFound``; ``Stale`` when the version is not one that is
    wished for; ``Conflict`` when it cannot be done as things stand; ``BadInput`` when it lacks something; and
    ``Unavailable``.
    """
    with means.database.transaction() as connection:
        on = _held(connection, name, now=now, whose=whose)
        act = _drafted(asked, on, by=by)
        done = _done_before(act, on)
        if not done:
            if not wish(on.episode.row.version):
                raise Stale(on.episode.row.version)
            _check(act, on, in_bulk=in_bulk)
            _keep(act, on)
        view = episodes.view(connection, on.patient.id, name, now=now)
    return Done(view=view, new=not done)


def _held(connection: Connection, name: str, *, now: datetime, whose: Whose) -> _Stand:
    whose(found := acts.patient_of(connection, name))
    patient = patients.hold(connection, found)
    # Only now nobody else can change it any more.
    return _Stand(
        connection=connection,
        patient=patient,
        episode=acts.attended(connection, patient.id, name, now=now),
        now=now,
    )


def _drafted(asked: Asked, on: _Stand, *, by: Actor) -> Act:
    row, until = on.episode.row, asked.until
    if asked.kind is ActKind.SNOOZE and until is None:
        until = on.now + longest_snooze(on.worst)
    return Act(
        id=new_id("act"),
        episode=row.id,
        kind=asked.kind,
        at=on.now,
        actor=by,
        reason=asked.reason,
        note=asked.note,
        assignee=asked.assignee,
        until_kind=asked.until_kind,
        until=until,
        undoes=_undone(asked.kind, on),
        severity=Severity(row.level),
        flag=row.last_flag_id,
        version=row.version + 1,
    )


def _undone(kind: ActKind, on: _Stand) -> str | None:
    holds = {ActKind.UNDO: on.episode.holds.acknowledged, ActKind.UNSNOOZE: on.episode.holds.snoozed}.get(kind)
    return None if holds is None else holds.id


# What an act is an answer to: of these the newest one says whether it was done before.
_BESIDE = {
    ActKind.ACKNOWLEDGE: (ActKind.ACKNOWLEDGE, ActKind.UNDO),
    ActKind.UNDO: (ActKind.ACKNOWLEDGE, ActKind.UNDO),
    ActKind.SNOOZE: (ActKind.SNOOZE, ActKind.UNSNOOZE),
    ActKind.UNSNOOZE: (ActKind.SNOOZE, ActKind.UNSNOOZE),
    ActKind.ASSIGN: (ActKind.ASSIGN,),
    ActKind.COMMENT: tuple(ActKind),
}


def _done_before(act: Act, on: _Stand) -> bool:
    """Was the very same done last, by the same one, and does it still hold?"""
    newest = acts.newest(on.connection, on.patient.id, on.episode.names, kinds=_BESIDE[act.kind])
    if newest is None or not newest.says_the_same(act):
        return False
    holds = on.episode.holds
    lasting = {ActKind.ACKNOWLEDGE: holds.acknowledged, ActKind.SNOOZE: holds.snoozed}
    return act.kind not in lasting or lasting[act.kind] == newest


# ------------------------------------------------------------------------------------------------- what may be done
def _check(act: Act, on: _Stand, *, in_bulk: bool) -> None:
    if act.kind in (ActKind.UNDO, ActKind.UNSNOOZE) and act.undoes is None:
        raise Conflict("nothing-to-undo", _NOTHING[act.kind])
    if act.kind in _ONLY_OPEN and not on.open:
        raise Conflict("episode-not-open", _ended(on))
    if act.kind is ActKind.ACKNOWLEDGE:
        _check_acknowledgement(act, on, in_bulk=in_bulk)
    if act.kind is ActKind.SNOOZE:
        _check_snooze(act, on)


def _ended(on: _Stand) -> str:
    """Of one that was merged it is said where to look. What is there may be graver: nothing is done to it unseen."""
    into = acts.lives_on(on.connection, on.patient.id, on.episode.row)
    return f"the episode goes on in {into}" if into else f"the episode is {on.episode.row.state}"


_NOTHING = {
    ActKind.UNDO: "the episode is not acknowledged, or is so no longer",
    ActKind.UNSNOOZE: "the episode is not snoozed, or is so no longer",
}
_ONLY_OPEN = (ActKind.ACKNOWLEDGE, ActKind.ASSIGN, ActKind.SNOOZE)


def _check_acknowledgement(act: Act, on: _Stand, *, in_bulk: bool) -> None:
    if on.episode.holds.acknowledged is not None:
        raise Conflict("already-acknowledged", f"by the act {on.episode.holds.acknowledged.id}")
    if in_bulk and on.worst is Severity.CRITICAL:
        raise Conflict("one-by-one", "the episode is critical, or was")
    if needs_note(on.worst, act.reason) and not says_something(act.note or ""):
        detail = "is required where the episode is or was severe or critical, and for the reason other"
        raise BadInput([Fault(pointer="/note", code="required", detail=detail)], kind=KIND)


def _check_snooze(act: Act, on: _Stand) -> None:
    faults = []
    if on.worst is Severity.CRITICAL and act.until_kind is not Until.TIME:
        faults.append(
            Fault(pointer="/until", code="not-when-critical", detail="what is or was critical is snoozed until a time")
        )
    if on.worst is Severity.CRITICAL and not says_something(act.note or ""):
        faults.append(
            Fault(pointer="/note", code="required", detail="is required where the episode is or was critical")
        )
    longest = longest_snooze(on.worst)
    if act.until is None or act.until <= on.now:
        faults.append(Fault(pointer="/time", code="time-in-past", detail="is not in the future"))
    elif act.until > on.now + longest:
        hours = int(longest.total_seconds() // 3600)
        faults.append(Fault(pointer="/time", code="too-long", detail=f"is more than {hours} hours from now"))
    if faults:
        raise BadInput(faults, kind=KIND)


# -------------------------------------------------------------------------------------------------------------- kept
def _keep(act: Act, on: _Stand) -> None:
    acts.keep(on.connection, on.patient.id, act)
    if act.kind not in _STATES:
        return
    writes = Writes()
    judgements.follow_episode(writes, on.patient.id, act.episode, state=_STATES[act.kind], now=on.now)
    outbox.keep(writes, [_event(act, on)])
    writes.flush(on.connection)


# How the flags of an episode are after an act.
_STATES = {ActKind.ACKNOWLEDGE: ACKNOWLEDGED, ActKind.UNDO: EpisodeState.OPEN.value}
_TYPES = {ActKind.ACKNOWLEDGE: "lab.flag.acknowledged", ActKind.UNDO: "lab.flag.unacknowledged"}


def _event(act: Act, on: _Stand) -> Event:
    row = on.episode.row
    source = episodes.source_of(on.connection, on.patient.id, act.flag)
    data = {
        "finding": row.finding,
        "severity": row.level,
        "flag": act.flag,
        "episode": act.episode,
        "by": None,
        "late": False,
        "source": source,
        "collected_at": row.last_at.isoformat(),
        "act": act.id,
        "actor": act.actor.id,
    }
    if is_trial(on.patient.authority, source):
        data["test"] = True
    return Event(
        id=new_id("evt"),
        type=_TYPES[act.kind],
        at=on.now,
        patient=on.patient.id,
        episode=act.episode,
        flag=act.flag,
        data=data,
    )
