"""Rows of cards and of the feedback on them.

Law: feedback is only ever added to, and the same statement twice is one. A card that nobody knows is an orphan, and
its feedback is kept as well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, insert, select

from service.storage.rows import upsert
from service.storage.tables_cds import cds_cards, cds_feedback

_C, _F = cds_cards.c, cds_feedback.c
Rows = Sequence[Row[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCard:
    """A card as it was shown: to which client, by which service, for which call, and what it told."""

    id: str
    shown_at: datetime
    client: str
    service: str
    instance: str
    indicator: str
    finding: str | None = None
    severity: str | None = None
    ruleset: str | None = None
    rule: str | None = None
    flag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement about a card, as it is kept."""

    card: str
    outcome: str
    at: datetime
    suggestion: str = ""
    reason_system: str | None = None
    reason_code: str | None = None
    listed: bool | None = None
    comment: str | None = field(default=None, repr=False)


def keep_cards(connection: Connection, cards: Iterable[ShownCard]) -> None:
    """Keep what was shown: one card or more."""
    rows = [
        {
            "id": one.id,
            "shown_at": one.shown_at,
            "client": one.client,
            "service": one.service,
            "instance": one.instance,
            "indicator": one.indicator,
            "finding": one.finding,
            "severity": one.severity,
            "ruleset": one.ruleset,
            "rule": one.rule,
            "flag_id": one.flag,
        }
        for one in cards
    ]
    connection.execute(insert(cds_cards), rows)


def known(connection: Connection, cards: Iterable[str]) -> frozenset[str]:
    """Those of some cards that were shown."""
    found = connection.execute(select(_C.id).where(_C.id.in_(sorted(set(cards)))))
    return frozenset(found.scalars())


def add(
    connection: Connection, statements: Sequence[Statement], *, client: str, service: str, now: datetime
) -> frozenset[str]:
    """Keep statements that are not kept yet; answers the cards among them that nobody knows."""
    shown = known(connection, (one.card for one in statements))
    rows = [
        {
            "card": one.card,
            "outcome": one.outcome,
            "outcome_at": one.at,
            "suggestion": one.suggestion,
            "received_at": now,
            "client": client,
            "service": service,
            "orphan": one.card not in shown,
            "reason_system": one.reason_system,
            "reason_code": one.reason_code,
            "listed": one.listed,
            "comment": one.comment,
        }
        for one in statements
    ]
    if rows:
        connection.execute(upsert(connection.dialect.name, cds_feedback).on_conflict_do_nothing(), rows)
    return frozenset(one.card for one in statements) - shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Which cards are counted: those shown from ``since`` on, and before ``until``."""

    since: datetime | None = None
    until: datetime | None = None


def shown(connection: Connection, period: Period) -> Rows:
    """Cards by what they told and what became of them last: ``outcome`` is None where nobody answered."""
    newest = _newest()
    columns = (_C.finding, _C.ruleset, _C.rule, newest.c.outcome)
    return _all(
        connection,
        select(*columns, func.count().label("cards"), func.count(newest.c.comment).label("comments"))
        .select_from(cds_cards.outerjoin(newest, newest.c.card == _C.id))
        .where(*_within(period))
        .group_by(*columns),
    )


def reasons(connection: Connection, period: Period) -> Rows:
    """Why cards were overridden, by what they told: of each card the reason that was given last."""
    newest = _newest()
    columns = (_C.finding, _C.ruleset, _C.rule, newest.c.reason_system, newest.c.reason_code, newest.c.listed)
    return _all(
        connection,
        select(*columns, func.count().label("cards"))
        .join_from(cds_cards, newest, newest.c.card == _C.id)
        .where(newest.c.outcome == "overridden", *_within(period))
        .group_by(*columns),
    )


def orphans(connection: Connection, period: Period) -> int:
    """How many cards that nobody knows were answered; the period is that of the answers."""
    wanted = and_(_F.orphan, *_span(_F.received_at, period))
    found: int = connection.execute(select(func.count(_F.card.distinct())).where(wanted)).scalar_one()
    return found


def _all(connection: Connection, statement: Select[Any]) -> Rows:
    return connection.execute(statement).all()


def _newest() -> Any:
    """The newest statement about each card."""
    order = func.row_number().over(
        partition_by=_F.card, order_by=(_F.outcome_at.desc(), _F.received_at.desc(), _F.outcome, _F.suggestion)
    )
    ranked = select(cds_feedback, order.label("place")).subquery()
    return select(ranked).where(ranked.c.place == 1).subquery()


def _within(period: Period) -> list[ColumnElement[bool]]:
    return _span(_C.shown_at, period)


def _span(column: Any, period: Period) -> list[ColumnElement[bool]]:
    since = [] if period.since is None else [column >= period.since]
    return since if period.until is None else [*since, column < period.until]
