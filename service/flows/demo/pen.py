"""What the stories of the demo are written with: courses of values over two years, and panels in the native format.

Law: pure. The same seed, patient and day give the same panels, to the letter.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

AUTHORITY = "demo"
LAST = 728  # days from the first collection to the last: two years in weeks

# How far a value strays from its course, in thousandths. Within-person variation: hemoglobin 2.8%, platelets 6.7% (men)
# and 8.6% (women), Arch Pathol Lab Med 1992;116:825-6. Calcium, ALP and albumin: about 2, 5 to 6 and 3%, not confirmed
# at the source; ionized calcium: judgement.
_STRAYS = {
    "hemoglobin": 28,
    "platelets": 75,
    "calcium": 20,
    "alkaline_phosphatase": 55,
    "albumin": 30,
    "calcium_ionized": 10,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How an analyte goes: straight from each point ``(day, value)`` to the next."""

    analyte: str
    unit: str
    points: Sequence[tuple[int, str]] = field(repr=False)

    def at(self, day: int) -> Decimal:
        """The value on a day, with as many decimals as the first point has."""
        places = Decimal(self.points[0][1])
        before = max((one for one in self.points if one[0] <= day), default=self.points[0])
        after = min((one for one in self.points if one[0] >= day), default=self.points[-1])
        start, end = Decimal(before[1]), Decimal(after[1])
        way = Decimal(day - before[0]) / max(after[0] - before[0], 1)
        return (start + (end - start) * way).quantize(places)


def course(analyte: str, unit: str, *points: tuple[int, str]) -> Course:
    """A course through points."""
    return Course(analyte=analyte, unit=unit, points=points)


def said(analyte: str, value: str, unit: str, **more: Any) -> dict[str, Any]:
    """A result with exactly this value."""
    return {"analyte": analyte, "value": value, "unit": unit, **more}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A panel as it will be sent, and when it arrives."""

    panel: dict[str, Any] = field(repr=False)
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """Writes the panels of one patient. ``last`` is the time of the last collection; days count up to it."""

    seed: int
    number: int
    last: datetime
    chance: Random = field(repr=False)

    @classmethod
    def of(cls, seed: int, number: int, last: datetime) -> "Pen":
        # Made-up values, not secrets: they have to come again. A text seeds alike in every version of Python.
        chance = Random(f"{seed}/{number}")  # noqa: S311  not for secrets
        return cls(seed=seed, number=number, last=last, chance=chance)

    def born(self, years: int) -> str:
        """The birth date of somebody who was so many years and some weeks old at the first collection."""
        days = years * 365.25 + self.chance.randrange(20, 60)
        return (self.last - timedelta(days=LAST + days)).date().isoformat()

    def person(self, *, sex: str | None, years: int) -> dict[str, Any]:
        """Who the panels are of; without a sex where none is known."""
        known = {} if sex is None else {"sex": sex}
        return {"id": name_of(self.number), "authority": AUTHORITY, **known, "birth_date": self.born(years)}

    def follow(self, course: Course, day: int) -> dict[str, Any]:
        """The result of a day: its course, and what it strays from it."""
        value = course.at(day)
        strayed = value * (1000 + self.chance.randint(-_STRAYS[course.analyte], _STRAYS[course.analyte])) / 1000
        return said(course.analyte, str(strayed.quantize(value)), course.unit)

    def panel(
        self, person: dict[str, Any], day: int, results: Sequence[dict[str, Any]], *, hours: int = 4, **more: Any
    ) -> Sending:
        """The panel of a day, which arrives ``hours`` after its collection."""
        collected = self.last - timedelta(days=LAST - day)
        issued = collected + timedelta(hours=hours)
        panel = {
            "patient": person,
            "accession": accession(self.seed, self.last, f"{self.number:02}-{day:03}"),
            "collected_at": collected.isoformat(),
            "issued_at": issued.isoformat(),
            "results": list(results),
            "note": "synthetic: from lab-alerts demo",
            **more,
        }
        return Sending(panel=panel, received_at=issued)

    def history(self, person: dict[str, Any], days: Sequence[int], *courses: Course) -> Iterator[Sending]:
        """A panel of all courses on each of the days."""
        for day in days:
            yield self.panel(person, day, [self.follow(one, day) for one in courses])


def name_of(number: int) -> str:
    """The identifier of a patient, counted from 1."""
    return f"demo-{number:02}"


def accession(seed: int, last: datetime, rest: str) -> str:
    """An accession that says of which demo it is."""
    return f"DEMO-{seed}-{last:%Y%m%d}-{rest}"


def demo_of(accession: str) -> tuple[int, datetime] | None:
    """The seed and the last collection of the demo that an accession is of."""
    found = _ACCESSION.fullmatch(accession)
    return None if found is None else (int(found[1]), eight_o_clock(datetime.strptime(found[2] + "Z", "%Y%m%d%z")))


_ACCESSION = re.compile(r"DEMO-(\d{1,9})-(\d{8})-\d{2,3}-\d{3}")


def eight_o_clock(day: datetime) -> datetime:
    """The time of collection on a day."""
    return day.replace(hour=8, minute=0, second=0, microsecond=0)
