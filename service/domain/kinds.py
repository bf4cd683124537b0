"""People of one kind: those whom nothing in the rule book can tell apart.

Law: whatever a verdict may say of a person is part of the kind. Of an age only the bounds that it has reached count,
because no rule and no sentence knows more of it.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from service.domain.people import Person, born_late, completed, person
from service.domain.rulesets import Rulebook
from service.domain.timeline import Facts, Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One of these people stands for all of them. ``grounds``: on what their results are judged, found before."""

    who: Person
    grounds: dict[Hashable, Any] = field(init=False, default_factory=dict, repr=False, compare=False)


def kind_of(held: Held, facts: Facts, *, on: date, rulebook: Rulebook) -> Kind:
    """The kind of person whose result was collected ``on`` a day (UTC)."""
    age = _age(held.age_years, facts.born, on=on, rulebook=rulebook)
    key = facts.sex, held.pregnant, held.trimester, age
    kind: Kind | None = rulebook.memory.kinds.get(key)
    return _met(key, held, facts, on=on, rulebook=rulebook) if kind is None else kind


def _age(years: int | None, born: date | None, *, on: date, rulebook: Rulebook) -> Hashable:
    """The cell of the age; or the years alone, beside them whether the birth date lies after the collection."""
    if born is None:
        return None, years
    days, months = completed(born, on)
    if days == 0 and born_late(born, on):
        return "late", years
    return rulebook.ages.cell(days, months)


def _met(key: Hashable, held: Held, facts: Facts, *, on: date, rulebook: Rulebook) -> Kind:
    who = person(
        sex=facts.sex,
        born=facts.born,
        age_years=held.age_years,
        pregnant=held.pregnant,
        trimester=held.trimester,
        on=on,
    )
    rulebook.memory.take(1)
    kind: Kind = rulebook.memory.kinds.setdefault(key, Kind(who=who))
    return kind
