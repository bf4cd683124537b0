"""Calls about critical values: recorded one by one, and how long it took until somebody knew.

Law: what was told is what was known then: the value is copied from the flag, and stays whatever becomes of it.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from service.domain.actors import Actor
from service.domain.acts import Called
from service.domain.errors import BadInput, Fault, Stale
from service.flows.acknowledge import Done, Whose, Wish, any_version, untold
from service.flows.means import Means
from service.formats.act_asked import KIND, AskedCall
from service.storage import acts, callbacks, episodes, patients
from service.storage.acts import Attended
from service.storage.callbacks import Raised
from service.storage.ids import new_id
from service.storage.tables import STANDING_FLAG_STATES


def record(
    name: str,
    asked: AskedCall,
    means: Means,
    *,
    by: Actor,
    now: datetime,
    wish: Wish = any_version,
    whose: Whose = untold,
) -> Done:
    """Record a call about a flag of an episode, whatever has become of both since; the very same one only once.

    Of an episode that was merged the flags are in the one that it goes on in; the call stays with the one it was about.
    Raises ``NotFound``; ``Stale`` when the version is not one that is wished for; ``BadInput`` when it cannot have been
    so; and ``Unavailable``.
    """
    with means.database.transaction() as connection:
        whose(patient := acts.patient_of(connection, name))
        patients.hold(connection, patient)
        episode = acts.attended(connection, patient, name, now=now)
        call = _called(name, asked, flag := _flag(connection, episode, asked, now=now), by=by, now=now)
        new = not any(one.says_the_same(call) for one in callbacks.alike(connection, patient, call))
        if new:
            if not wish(episode.row.version):
                raise Stale(episode.row.version)
            _check(call, flag)
            callbacks.keep(connection, patient, call)
            acts.count_on(connection, patient, name, version=episode.row.version + 1)
        return Done(view=episodes.view(connection, patient, name, now=now), new=new)


def _flag(connection: Connection, episode: Attended, asked: AskedCall, *, now: datetime) -> Row[Any]:
    """The flag that a call is about: the one that is named, else the only one that stood when it was made.

    The flags of an episode may be in the one by now as part of which it goes on: what was its newest is meant there.
    Who calls before the message comes is about what it will bring; after everything was taken back, about the newest.
    """
    patient, named = episode.row.patient_id, asked.flag
    into = acts.lives_on(connection, patient, episode.row)
    names = acts.family(connection, patient, into) if into else episode.names
    if named is not None:
        return callbacks.flag_of(connection, patient, named, episodes=names)
    found = [] if into else _possible(connection, patient, names, at=asked.at or now)
    if len(found) > 1:
        raise BadInput([_ambiguous(found)], kind=KIND)
    return found[0] if found else callbacks.flag_of(connection, patient, episode.row.last_flag_id)


def _possible(connection: Connection, patient: str, names: Sequence[str], *, at: datetime) -> list[Row[Any]]:
    return callbacks.stood(connection, patient, names, at=at) or callbacks.came_after(connection, patient, names, at=at)


def _ambiguous(found: Sequence[Row[Any]]) -> Fault:
    """Which value was told decides what is known of it: nobody may guess."""
    listed = ", ".join(f"{one.id} ({one.severity}, collected {one.collected_at:%Y-%m-%d %H:%M}Z)" for one in found)
    some = "the newest are " if len(found) == callbacks.CANDIDATES else ""
    return Fault(
        pointer="/flag",
        code="flag-ambiguous",
        detail="is needed, for the call may be about several flags of the episode",
        hint=f"{some}{listed}",
    )


def _check(call: Called, flag: Row[Any]) -> None:
    """A laboratory may well call before its message comes, but not before the blood was drawn.

    Where the clock of the laboratory is ahead of ours, a call after the flag was raised is late enough.
    """
    if call.at > call.recorded_at:
        raise BadInput([Fault(pointer="/at", code="time-in-future", detail="is in the future")], kind=KIND)
    if call.at < min(flag.collected_at, flag.raised_at):
        detail = "is before the specimen of the flag was collected"
        raise BadInput([Fault(pointer="/at", code="before-flag", detail=detail)], kind=KIND)


def _called(name: str, asked: AskedCall, flag: Row[Any], *, by: Actor, now: datetime) -> Called:
    value = flag.explanation.get("value") or {"findings": flag.explanation.get("findings", [])}
    return Called(
        id=new_id("cal"),
        episode=name,
        flag=flag.id,
        value=value,
        result_version=flag.version,
        told_by=by,
        told_to=asked.told_to,
        at=asked.at or now,
        recorded_at=now,
        how=asked.how,
        outcome=asked.outcome,
        read_back=asked.read_back,
        no_read_back=asked.no_read_back,
        note=asked.note,
    )


# ------------------------------------------------------------------------------------------------------------- report
@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A critical flag that stands, and of which nobody is known to have been told."""

    flag: str
    raised_at: datetime
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeliness:
    """How it went with the critical flags of one source: each was told, or taken back first, or still waits.

    ``median`` and ``ninetieth`` are of the minutes from raised to told: the smallest of them that at least half, or
    nine tenths, do not exceed (nearest rank). None where nobody was told of any.
    """

    source: str
    raised: int
    told: int
    taken_back: int
    median: int | None
    ninetieth: int | None
    waiting: tuple[Waiting, ...] = field(repr=False)


def timeliness(
    means: Means, *, since: datetime, until: datetime, now: datetime, source: str | None = None
) -> tuple[Timeliness, ...]:
    """How it went with the critical flags raised from a time on and before another, by source."""
    with means.database.reading() as connection:
        found = list(_news(callbacks.critical(connection, since=since, until=until, source=source)))
    by_source: dict[str, list[Raised]] = defaultdict(list)
    for one in found:
        if since <= one.raised_at < until and source in (None, one.source):
            by_source[one.source].append(one)
    return tuple(_timeliness(name, by_source[name], now) for name in sorted(by_source))


def _news(found: Sequence[Raised]) -> Iterator[Raised]:
    """A critical flag that another critical one took the place of is the same news: it counts once, from the first.

    A correction that stays critical neither begins the time anew nor undoes that somebody was told.
    """
    named = {one.flag: one for one in found}
    following = {one.by for one in found}
    for first in (one for one in found if one.flag not in following):
        line = [first]
        while line[-1].by in named:
            line.append(named[str(line[-1].by)])
        # What was said after everything was taken back is that it was: nobody was told of a critical value in time.
        end = line[-1].ended_at
        told = [one.told_at for one in line if one.told_at is not None and (end is None or one.told_at <= end)]
        yield replace(line[-1], source=first.source, raised_at=first.raised_at, told_at=min(told, default=None))


def _timeliness(source: str, found: Sequence[Raised], now: datetime) -> Timeliness:
    took = sorted(_minutes(one.told_at - one.raised_at) for one in found if one.told_at is not None)
    untold = [one for one in found if one.told_at is None]
    waiting = [one for one in untold if one.state in STANDING_FLAG_STATES]
    return Timeliness(
        source=source,
        raised=len(found),
        told=len(took),
        taken_back=len(untold) - len(waiting),
        median=nearest_rank(took, 50),
        ninetieth=nearest_rank(took, 90),
        waiting=tuple(
            Waiting(flag=one.flag, raised_at=one.raised_at, minutes=_minutes(now - one.raised_at)) for one in waiting
        ),
    )


def _minutes(time: timedelta) -> int:
    """Whole minutes; none where the call came before the message."""
    return max(0, int(time.total_seconds() // 60))


def nearest_rank(ordered: Sequence[int], percent: int) -> int | None:
    """The smallest of some values, in their order, that at least so many percent of them do not exceed."""
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None
