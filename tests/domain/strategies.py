"""What may come in, as Hypothesis strategies: sensible results around the cut-offs, and anything at all.

Law: a strategy knows what may be sent, never what should come of it.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from service.domain.panels import Result, SentRange, Status
from service.domain.people import Sex
from service.domain.timeline import Facts, Held
from tests.domain.build import BOOK, NOON, RULESET, held

COMPARATORS = ("<", "<=", ">=", ">")
UNITS = {analyte.key: analyte.units.codes for analyte in BOOK.analytes.all}
# Clear and flagged at each level, in the first unit, for grown people and children.
VALUES = {
    "calcium": ("9.5", "10.5", "11.2", "12", "12.8", "13.2", "14", "8"),
    "calcium_ionized": ("5", "5.5", "6.2", "7", "7.5", "4.4"),
    "alkaline_phosphatase": ("80", "120", "300", "500", "700", "3000", "30"),
    "hemoglobin": ("14", "12.5", "11", "9.5", "7.5", "6"),
    "platelets": ("250", "140", "70", "40", "20", "500"),
}
FINALS = (Status.FINAL,) * 6 + (Status.PRELIMINARY, Status.CORRECTED, Status.ENTERED_IN_ERROR, Status.REGISTERED)

births = st.integers(0, 40_000).map(lambda days: NOON.date() - timedelta(days=days))
sexes = st.sampled_from(list(Sex))
facts = st.builds(Facts, sex=sexes, born=st.one_of(st.none(), births))
known_facts = st.builds(Facts, sex=st.sampled_from([Sex.FEMALE, Sex.MALE]), born=births)


@st.composite
def sensible(draw: st.DrawFn, *, days: int = 6) -> Held:
    """A result that can be judged, on one of a few days."""
    analyte = draw(st.sampled_from(list(VALUES)))
    value = draw(st.sampled_from(VALUES[analyte]))
    status = draw(st.sampled_from(FINALS))
    day, copy = draw(st.integers(0, days)), draw(st.integers(0, 1))
    unit = UNITS[analyte][0]
    return held(analyte, value, unit, day=day, status=status, key=f"{analyte}@{day}/{copy}")


def timelines(**options: Any) -> st.SearchStrategy[tuple[Held, ...]]:
    """Results with different keys."""
    return st.lists(sensible(**options), max_size=12, unique_by=lambda one: one.key).map(tuple)


numbers = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=30, places=3),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=2),
    st.sampled_from(
        [Decimal(text) for text in ("0", "-0", "1e30", "1e-30", "-1e30", "999999999999999999999999999999")]
    ),
)
units = st.one_of(
    st.sampled_from(sorted({code for codes in UNITS.values() for code in codes})),
    st.sampled_from(["", " ", "furlong", "10^3/mL", "µ", "\u0000", "mg/dl", "K/UL", "L/L" * 400]),
)
ranges = st.one_of(
    st.none(), st.builds(SentRange, low=st.none() | numbers, high=st.none() | numbers, unit=st.none() | units)
)


@st.composite
def anything(draw: st.DrawFn) -> Held:
    """Anything that the doors may let through."""
    number = draw(st.none() | numbers)
    result = Result(
        pointer="/results/0",
        analyte=draw(st.none() | st.text(max_size=12)),
        text=str(number),
        number=number,
        comparator=draw(st.sampled_from(["", "", *COMPARATORS, "~", "ad", "="])),
        unit=draw(units),
        range=draw(ranges),
    )
    return Held(
        key=f"r{draw(st.integers(0, 10**6))}",
        version=1,
        result=result,
        analyte=draw(st.sampled_from([None, *UNITS])),
        status=draw(st.sampled_from(list(Status))),
        collected_at=NOON + timedelta(days=draw(st.integers(-3, 3))),
        pregnant=draw(st.none() | st.booleans()),
        trimester=draw(st.none() | st.integers(1, 3)),
        age_years=draw(st.none() | st.integers(0, 130)),
        ruleset=RULESET,
    )


@st.composite
def plausible_value(draw: st.DrawFn) -> tuple[str, str, Decimal]:
    """An analyte, a unit of it and a value within what can be."""
    analyte = BOOK.analytes[draw(st.sampled_from(list(VALUES)))]
    unit = draw(st.sampled_from(analyte.units.units))
    low, high = (float(bound / unit.factor) for bound in (analyte.plausible.low, analyte.plausible.high))
    value = draw(st.floats(low, max(2 * low, high / draw(st.sampled_from([1, 4, 20])))))
    return analyte.key, unit.code, Decimal(f"{max(value, low):.4f}")
