"""Feedback on cards: kept, and counted by rule.

Law: overriding a card changes no flag. Both are facts of their own, linked by the card.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from service.flows.means import Means
from service.formats.cds_hooks.feedback import ACCEPTED, OVERRIDDEN, Entry
from service.storage import feedback
from service.storage.feedback import Period, Statement

# What a card told: the finding, and the rule with its version; all None for what could not be judged.
About = tuple[str | None, str | None, str | None]


def take(entries: Sequence[Entry], means: Means, *, client: str, service: str, now: datetime) -> tuple[Entry, ...]:
    """Keep statements about cards; answers those about cards that nobody knows. Raises ``Unavailable``."""
    statements = [_statement(one) for one in entries]
    with means.database.transaction() as connection:
        unknown = feedback.add(connection, statements, client=client, service=service, now=now)
    return tuple(one for one in entries if one.card in unknown)


def _statement(entry: Entry) -> Statement:
    reason = entry.reason
    return Statement(
        card=entry.card,
        outcome=entry.outcome,
        at=entry.at,
        suggestion=entry.suggestion,
        reason_system=reason.system if reason else None,
        reason_code=reason.code if reason else None,
        listed=reason.listed if reason else None,
        comment=entry.comment,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why cards were overridden, and how many. ``code`` is None where no code was given."""

    system: str | None
    code: str | None
    listed: bool
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OfRule:
    """What became of the cards of one rule: each is accepted, overridden or unanswered, by what was said last."""

    about: About
    accepted: int = 0
    overridden: int = 0
    unanswered: int = 0
    comments: int = 0
    reasons: tuple[Why, ...] = ()

    @property
    def shown(self) -> int:
        return self.accepted + self.overridden + self.unanswered


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of the cards of a period, by rule; ``orphans``: answers to cards that nobody knows."""

    rules: tuple[OfRule, ...] = field(default=())
    orphans: int = 0


def report(means: Means, period: Period) -> Report:
    """Count what became of cards. Raises ``Unavailable``."""
    with means.database.reading() as connection:
        counted = feedback.shown(connection, period)
        why = feedback.reasons(connection, period)
        orphans = feedback.orphans(connection, period)
    return Report(rules=_by_rule(counted, why), orphans=orphans)


def _by_rule(counted: Sequence[Row[Any]], why: Sequence[Row[Any]]) -> tuple[OfRule, ...]:
    cards: dict[About, dict[str | None, int]] = {}
    comments: dict[About, int] = {}
    for row in counted:
        about = _about(row)
        cards.setdefault(about, {})[row.outcome] = row.cards
        comments[about] = comments.get(about, 0) + row.comments
    ordered = sorted(cards, key=lambda about: [part or "~" for part in about])
    return tuple(
        OfRule(
            about=about,
            accepted=cards[about].get(ACCEPTED, 0),
            overridden=cards[about].get(OVERRIDDEN, 0),
            unanswered=cards[about].get(None, 0),
            comments=comments[about],
            reasons=_reasons(about, why),
        )
        for about in ordered
    )


def _about(row: Row[Any]) -> About:
    return row.finding, row.ruleset, row.rule


def _reasons(about: About, rows: Sequence[Row[Any]]) -> tuple[Why, ...]:
    found = [
        Why(system=row.reason_system, code=row.reason_code, listed=bool(row.listed), count=row.cards)
        for row in rows
        if _about(row) == about
    ]
    return tuple(sorted(found, key=lambda one: (-one.count, one.code or "", one.system or "")))
