"""The published numbers and the sizes of the units, written down once more, by hand and as fractions.

Law: nothing here is read from the catalogue, so that a slip there cannot hide itself.
Sources: CTCAE v5.0 (NCI 2017); WHO 2024 (ISBN 978-92-4-008854-2); the critical limits of DESIGN section 6; molar masses
Ca 40.078 g/mol, Hb(Fe) 16,114.5 g/mol, albumin 66.44 kg/mol; 1 kat = 60,000,000 U.
"""

from dataclasses import dataclass
from fractions import Fraction

F = Fraction

# How much one of each unit is, in the first unit of its analyte.
CALCIUM = {"mg/dL": F(1), "mmol/L": F("4.0078"), "meq/L": F("4.0078") / 2, "mg/L": F(1, 10)}
UNITS = {
    "calcium": CALCIUM,
    "calcium_corrected": CALCIUM,
    "calcium_ionized": CALCIUM,
    "albumin": {"g/L": F(1), "g/dL": F(10), "umol/L": F("66.44") / 1000},
    "alkaline_phosphatase": {"U/L": F(1), "[IU]/L": F(1), "ukat/L": F(60), "nkat/L": F(60, 1000)},
    "hemoglobin": {"g/dL": F(1), "g/L": F(1, 10), "mmol/L": F("16.1145") / 10},
    "platelets": {
        "10*9/L": F(1), "10*3/uL": F(1), "10*3/mm3": F(1), "10*6/mL": F(1), "/uL": F(1, 1000), "/mm3": F(1, 1000),
        "10*6/L": F(1, 1000), "10*5/uL": F(100), "10*12/L": F(1000), "10*6/uL": F(1000),
    },
}  # fmt: skip
MOLAR = {"mmol/L", "meq/L"}


@dataclass(frozen=True, kw_only=True)
class Step:
    """Beyond this number a value has this severity and grade; ``mass`` and ``molar`` as published for each."""

    severity: str
    grade: str
    mass: Fraction | None = None
    molar: Fraction | None = None
    times: Fraction | None = None


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The limit of a grown woman who is not pregnant, and the steps beyond it, in the first unit or in mmol/L."""

    high: bool
    mass: Fraction
    molar: Fraction | None = None
    steps: tuple[Step, ...]


TOTAL_CALCIUM = Ladder(
    high=True,
    mass=F("10.4"),
    molar=F("2.60"),
    steps=(
        Step(severity="mild", grade="1"),
        Step(severity="moderate", grade="2", mass=F("11.5"), molar=F("2.9")),
        Step(severity="severe", grade="3", mass=F("12.5"), molar=F("3.1")),
        Step(severity="critical", grade="3", mass=F("13.0"), molar=F("3.25")),
        Step(severity="critical", grade="4", mass=F("13.5"), molar=F("3.4")),
    ),
)
LADDERS = {
    "calcium": TOTAL_CALCIUM,
    "calcium_corrected": TOTAL_CALCIUM,
    "calcium_ionized": Ladder(
        high=True,
        mass=F("5.43"),
        molar=F("1.35"),
        steps=(
            Step(severity="mild", grade="1"),
            Step(severity="moderate", grade="2", molar=F("1.5")),
            Step(severity="critical", grade="3", molar=F("1.6")),
            Step(severity="critical", grade="4", molar=F("1.8")),
        ),
    ),
    "alkaline_phosphatase": Ladder(
        high=True,
        mass=F(104),
        steps=(
            Step(severity="mild", grade="1"),
            Step(severity="moderate", grade="2", times=F("2.5")),
            Step(severity="severe", grade="3", times=F(5)),
            Step(severity="severe", grade="4", times=F(20)),
        ),
    ),
    "hemoglobin": Ladder(
        high=False,
        mass=F(12),
        steps=(
            Step(severity="mild", grade="1"),
            Step(severity="moderate", grade="2", mass=F(10), molar=F("6.2")),
            Step(severity="severe", grade="3", mass=F(8), molar=F("4.9")),
            Step(severity="critical", grade="3", mass=F(7)),
        ),
    ),
    "platelets": Ladder(
        high=False,
        mass=F(150),
        steps=(
            Step(severity="mild", grade="1"),
            Step(severity="moderate", grade="2", mass=F(75)),
            Step(severity="severe", grade="3", mass=F(50)),
            Step(severity="critical", grade="4", mass=F(25)),
        ),
    ),
}


def in_unit(analyte: str, unit: str, *, mass: Fraction | None, molar: Fraction | None) -> Fraction:
    """A published number in a unit: the one of the unit's own kind, else the other one converted exactly."""
    sizes = UNITS[analyte]
    if mass is None or (unit in MOLAR and molar is not None):
        if molar is None:
            raise ValueError("no number is published")
        return molar * sizes["mmol/L"] / sizes[unit]
    return mass / sizes[unit]


def begins(analyte: str, unit: str, step: Step) -> Fraction:
    """Where a step begins, in a unit."""
    ladder = LADDERS[analyte]
    limit = in_unit(analyte, unit, mass=ladder.mass, molar=ladder.molar)
    if step.times is not None:
        return limit * step.times
    return (
        limit if step.mass is None and step.molar is None else in_unit(analyte, unit, mass=step.mass, molar=step.molar)
    )


def expected(analyte: str, unit: str, value: Fraction) -> tuple[str, str] | None:
    """Severity and grade of a value, or None within the limit."""
    ladder = LADDERS[analyte]
    found = None
    for step in ladder.steps:
        cut = begins(analyte, unit, step)
        if (value > cut) if ladder.high else (value < cut):
            found = step.severity, step.grade
    return found


# WHO 2024, g/L: population in words, then below which it is mild, moderate, severe.
WHO = (
    ("girl 6 mo", 105, 95, 70),
    ("boy 23 mo", 105, 95, 70),
    ("girl 2 y", 110, 100, 70),
    ("boy just under 5 y", 110, 100, 70),
    ("girl 5 y", 115, 110, 80),
    ("boy just under 12 y", 115, 110, 80),
    ("girl 12 y", 120, 110, 80),
    ("boy just under 15 y", 120, 110, 80),
    ("woman 15 y", 120, 110, 80),
    ("woman 65 y", 120, 110, 80),
    ("man 15 y", 130, 110, 80),
    ("man 65 y", 130, 110, 80),
    ("woman 30 y, pregnant, trimester 1", 110, 100, 70),
    ("woman 30 y, pregnant, trimester 2", 105, 95, 70),
    ("woman 30 y, pregnant, trimester 3", 110, 100, 70),
)
