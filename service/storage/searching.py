"""Reading for doors with criteria of their own: flags, episodes and current results, by patients and spans of time.

Law: reading changes nothing, and a page begins where the one before it ended (keyset by row values, no OFFSET).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, and_, false, or_, select, tuple_

from service.storage.history import Place
from service.storage.tables import STANDING_FLAG_STATES, episodes, flags, inbox, panels, patients, results, verdicts

Rows = Sequence[Row[Any]]
# How a flag is: it stands, or it stands on a preliminary result, or it does so no longer.
STANDING, PROVISIONAL = "standing", "provisional"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A span of time: from ``since``, which belongs to it, to ``until``, which does not. None is no end."""

    since: datetime | None = None
    until: datetime | None = None


ALWAYS = Span()


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSearch:
    """Which flags are wanted. None or an empty list of anything but patients wants all."""

    patients: tuple[str, ...] | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()
    finding: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    collected: Span = ALWAYS
    raised: Span = ALWAYS
    changed: Span = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeSearch:
    """Which episodes of some patients are wanted; ``during``: those that were open at any time of a span."""

    patients: tuple[str, ...] | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()
    finding: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    during: Span = ALWAYS
    changed: Span = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultSearch:
    """Which current results of some patients are wanted; ``code``: those of one of these, as system and code."""

    patients: tuple[str, ...] | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()
    code: tuple[tuple[str, str], ...] = ()
    analyte: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    collected: Span = ALWAYS
    received: Span = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """The message that brought a version of a result, if its bytes are kept, and the place of the version in it."""

    message: str
    content_type: str
    body: bytes = field(repr=False)
    place: str


def flag_rows(connection: Connection, wanted: FlagSearch, *, after: Place | None, limit: int) -> Rows:
    """Up to ``limit`` flags from the newest collection backward, beginning after a place."""
    c = flags.c
    conditions = [
        *_of(c.patient_id, wanted.patients),
        *_in(c.id, wanted.names),
        *_in(c.finding, wanted.finding),
        *_within(c.collected_at, wanted.collected),
        *_within(c.raised_at, wanted.raised),
        *_within(c.changed_at, wanted.changed),
        *([or_(*map(_state, wanted.state))] if wanted.state else ()),
    ]
    return _page(connection, select(flags).where(*conditions), (c.collected_at, c.id), after=after, limit=limit)


def _state(name: str) -> ColumnElement[bool]:
    c = flags.c
    if name in (STANDING, PROVISIONAL):
        return and_(c.state.in_(STANDING_FLAG_STATES), c.provisional == (name == PROVISIONAL))
    return c.state == name


def episode_rows(connection: Connection, wanted: EpisodeSearch, *, after: Place | None, limit: int) -> Rows:
    """Up to ``limit`` episodes, the one opened last first, beginning after a place."""
    c = episodes.c
    conditions = [
        *_of(c.patient_id, wanted.patients),
        *_in(c.id, wanted.names),
        *_in(c.finding, wanted.finding),
        *_in(c.state, wanted.state),
        *_within(c.changed_at, wanted.changed),
        *_during(wanted.during),
    ]
    return _page(connection, select(episodes).where(*conditions), (c.opened_at, c.id), after=after, limit=limit)


def _during(span: Span) -> Iterable[ColumnElement[bool]]:
    c = episodes.c
    if span.since is not None:
        yield or_(c.resolved_at.is_(None), c.resolved_at >= span.since)
    if span.until is not None:
        yield c.opened_at < span.until


def result_rows(connection: Connection, wanted: ResultSearch, *, after: Place | None, limit: int) -> Rows:
    """Up to ``limit`` current results from the newest collection backward, beginning after a place."""
    c = results.c
    codes = [_coded(system, code) for system, code in wanted.code]
    named = [*codes, *_in(c.analyte, wanted.analyte)]
    conditions = [
        *_of(c.patient_id, wanted.patients),
        *_in(c.id, wanted.names),
        c.current,
        *([or_(*named)] if named else ()),
        *_in(c.status, wanted.status),
        *_within(c.collected_at, wanted.collected),
        *_within(c.received_at, wanted.received),
    ]
    return _page(connection, select(results).where(*conditions), (c.collected_at, c.id), after=after, limit=limit)


def _coded(system: str, code: str) -> ColumnElement[bool]:
    c = results.c
    return and_(c.code == code, c.code_system == system) if system else c.code == code


def _of(patient: Column[Any], whose: tuple[str, ...] | None) -> Iterable[ColumnElement[bool]]:
    if whose is not None:
        yield patient.in_(whose) if whose else false()


def _in(column: Column[Any], values: Sequence[str]) -> Iterable[ColumnElement[bool]]:
    return (column.in_(values),) if values else ()


def _within(column: Column[Any], span: Span) -> Iterable[ColumnElement[bool]]:
    if span.since is not None:
        yield column >= span.since
    if span.until is not None:
        yield column < span.until


def _page(
    connection: Connection, found: Select[Any], order: Sequence[Column[Any]], *, after: Place | None, limit: int
) -> Rows:
    if after is not None:
        found = found.where(tuple_(*order) < tuple_(*after))
    return list(connection.execute(found.order_by(*(one.desc() for one in order)).limit(limit)))


def patient_rows(connection: Connection, names: Iterable[str]) -> Mapping[str, Row[Any]]:
    """Some patients by our own names for them."""
    found = connection.execute(select(patients).where(patients.c.id.in_(set(names))))
    return {row.id: row for row in found}


def current_verdicts(connection: Connection, names: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Row[Any]]:
    """The current verdicts on some results, by patient and result."""
    c = verdicts.c
    pairs = list(names)
    whose, which = {patient for patient, _ in pairs}, {result for _, result in pairs}
    found = connection.execute(select(verdicts).where(c.patient_id.in_(whose), c.result_id.in_(which), c.current))
    return {(row.patient_id, row.result_id): row for row in found}


def brought(
    connection: Connection, rows: Iterable[Row[Any]], media_types: Sequence[str]
) -> Mapping[tuple[str, int], Brought]:
    """The messages of some media types that brought versions of results, by result and version."""
    rows = list(rows)
    places = _places(connection, rows)
    names = {message for message, _ in places.values()}
    kept = connection.execute(select(inbox).where(inbox.c.id.in_(names), inbox.c.content_type.in_(media_types)))
    messages = {row.id: row for row in kept}
    return {
        version: Brought(
            message=message, content_type=messages[message].content_type, body=messages[message].body, place=place
        )
        for version, (message, place) in places.items()
        if message in messages
    }


def _places(connection: Connection, rows: Sequence[Row[Any]]) -> Mapping[tuple[str, int], tuple[str, str]]:
    """The message and the place of some versions."""
    c = panels.c
    wanted = c.patient_id.in_({row.patient_id for row in rows}) & c.id.in_({row.panel_id for row in rows})
    columns: list[Any] = [c.inbox_id, c["items"].label("places")]
    found = connection.execute(select(*columns).where(wanted))
    return {
        (item["result"], item["version"]): (row.inbox_id, item["pointer"])
        for row in found
        for item in row.places
        if not item["duplicate"]
    }
