"""What values are measured against: the limits and rows for one analyte in one unit, under one range, of one kind of
person.

Law: nothing here comes from a value, so that one yardstick measures any number of them.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from service.domain.analytes import Analyte
from service.domain.limits import Limit, Limits
from service.domain.people import Person
from service.domain.quantities import Measured, plain
from service.domain.rules import Class, Direction, Graded, GradedLimit
from service.domain.rulesets import RuleSet
from service.domain.units import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """Everything that values are judged by.

    ``spelling`` is the unit as it was sent. ``outer`` and ``inner`` are the limits on the side of the rule, ``beside``
    the inner and the outer one on the other side. ``classes`` are those that may be the person's on the second scale,
    ``assumed`` and ``would_help`` what is said of facts that are not known.
    """

    analyte: Analyte
    unit: Unit
    spelling: str
    rule: GradedLimit
    ruleset: RuleSet
    limits: Limits = field(repr=False)
    outer: Limit = field(repr=False)
    inner: Limit = field(repr=False)
    beside: tuple[Limit, Limit] | None = field(repr=False)
    classes: tuple[Class, ...] = field(repr=False)
    assumed: tuple[str, ...] = field(repr=False)
    would_help: str | None = field(repr=False)
    far: tuple[Decimal | None, ...] = field(init=False, repr=False, compare=False)
    near: tuple[Decimal | None, ...] = field(init=False, repr=False, compare=False)
    # What explanations say of its limits and rows is the same for every value.
    memo: dict[Hashable, Any] = field(init=False, default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        family = self.unit.family
        object.__setattr__(self, "far", self.rule.begins(family, self.outer.value))
        same = self.inner is self.outer
        object.__setattr__(self, "near", self.far if same else self.rule.begins(family, self.inner.value))

    @property
    def told_apart_by(self) -> Hashable:
        """All in which two yardsticks of one rule set can differ."""
        return self.analyte.key, self.spelling, self.limits, self.classes, self.assumed, self.would_help

    @property
    def others(self) -> tuple[Limit, ...]:
        """Every limit on the side of the rule that may be the right one."""
        return self.limits.on(self.rule.direction)

    def measure(self, measured: Measured) -> tuple[Graded, Graded]:
        """Where a value stands by the outermost and by the innermost limit."""
        far = self.rule.place(measured, self.far)
        return far, far if self.near is self.far else self.rule.place(measured, self.near)

    def begins(self, index: int) -> Decimal:
        """Where a row begins, in canonical units."""
        begins = self.far[index]
        return self.outer.value if begins is None else begins

    def classify(self, measured: Measured) -> str | None:
        """The class on the second scale, if it is the same for everybody this may be."""
        scale = self.rule.classification
        return scale.among(self.classes, measured, self.unit.family) if scale and self.classes else None

    def number(self, canonical: Decimal) -> str:
        """A number in the unit that was sent, or in the canonical one where that would need rounding."""
        text = self.unit.express(canonical)
        return f"{plain(canonical)} {self.analyte.canonical_unit}" if text is None else f"{text} {self.spelling}"


def classes_for(rule: GradedLimit, who: Person) -> tuple[Class, ...]:
    """The classes of the rule's second scale that may be this person's; none of somebody who cannot be."""
    scale = rule.classification
    return () if scale is None or who.impossible else scale.candidates(who)


def assumptions(limits: tuple[Limit, ...], outer: Limit, who: Person) -> tuple[str, ...]:
    """What had to be taken as given because nobody said. The laboratory's own limits need no assumption."""
    if outer.origin == "laboratory":
        return ()
    said = []
    if len(limits) > 1:
        unknown = [*(() if who.sex_known else ("sex",)), *(() if who.age_known else ("age",))]
        about = " and ".join(unknown) or "exact age or trimester"
        said.append(f"{about} not known: the value lies beyond the limit of everybody this may be")
    unsaid = not who.pregnancy_stated and "female" in who.sexes and who.could_be_pregnant
    if unsaid and not outer.for_pregnant:
        said.append("pregnancy not stated: limits for people who are not pregnant were used")
    return tuple(said)


def what_would_help(analyte: Analyte, who: Person) -> str | None:
    """Which facts about the patient would settle a case between limits: those in which the candidates differ."""
    populations = [interval.population for interval in analyte.candidates(who)]
    wanted = [
        *(("patient.sex",) if len({one.sexes for one in populations}) > 1 and not who.sex_known else ()),
        *(("patient.birth_date",) if len({(one.start, one.end) for one in populations}) > 1 else ()),
        *(("patient.trimester",) if len(who.states) > 1 else ()),
    ]
    return f"send {' and '.join(wanted)}, or the laboratory's reference_range" if wanted else None


def limits_beside(limits: Limits, deciding: Direction) -> tuple[Limit, Limit] | None:
    """The inner and the outer limit on the side that the rule does not look at, where there are any."""
    side = deciding.other
    inner, outer = limits.inner(side), limits.outer(side)
    return None if inner is None or outer is None else (inner, outer)
