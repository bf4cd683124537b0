"""Panels as laboratories send them, of people who do not exist: made from a seed, the same every time.

Law: believable where it costs time. Values have the usual decimals and spread, twenty laboratories have ranges, units
and codes of their own, and a panel of four results raises about 0.9 flags.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson

SEED = 20261122
RESULTS = 4
FIRST = datetime(2024, 1, 2, 6, 0, tzinfo=UTC)

Data = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyte:
    """How an analyte is sent: ``well`` is where most values lie, ``ill`` where a finding raises its flag."""

    name: str
    loinc: str
    unit: str
    decimals: int
    well: tuple[float, float]
    ill: tuple[float, float]
    low: float | None
    high: float


ANALYTES = (
    Analyte(
        name="calcium",
        loinc="17861-6",
        unit="mg/dL",
        decimals=1,
        well=(8.9, 10.1),
        ill=(10.7, 13.9),
        low=8.7,
        high=10.3,
    ),
    Analyte(
        name="alkaline_phosphatase",
        loinc="6768-6",
        unit="U/L",
        decimals=0,
        well=(45, 98),
        ill=(140, 720),
        low=40,
        high=120,
    ),
    Analyte(
        name="hemoglobin",
        loinc="718-7",
        unit="g/dL",
        decimals=1,
        well=(13.2, 15.1),
        ill=(6.1, 11.5),
        low=12.4,
        high=16.5,
    ),
    Analyte(
        name="platelets", loinc="777-3", unit="10*9/L", decimals=0, well=(165, 390), ill=(12, 138), low=150, high=420
    ),
)
# Of four results that are each ill in this share, 0.74 raise a flag, and 0.16 panels the pattern: 0.9 together.
ILL = 0.185
LABORATORIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Laboratory:
    """How one laboratory sends: by name or by LOINC code, numbers bare or in quotes, with ranges or without."""

    number: int
    by_code: bool
    bare: bool
    ranges: tuple[Data | None, ...]


def _laboratory(number: int) -> Laboratory:
    chance = random.Random(f"laboratory {number}")
    ranges = tuple(None if number % 5 == 4 else _range(analyte, chance) for analyte in ANALYTES)
    return Laboratory(number=number, by_code=number % 2 == 1, bare=number % 4 < 2, ranges=ranges)


def _range(analyte: Analyte, chance: random.Random) -> Data:
    # Within two percent of the middle, so that what is well and what is ill stays so.
    shift = 1 + chance.uniform(-0.02, 0.02)
    return {"low": _text(analyte, (analyte.low or 0) * shift), "high": _text(analyte, analyte.high * shift)}


def _text(analyte: Analyte, value: float) -> str:
    return f"{value:.{analyte.decimals}f}"


_LABORATORIES = tuple(_laboratory(number) for number in range(LABORATORIES))


def panels(count: int, *, seed: int = SEED, per_patient: int = 1, first: int = 0) -> Iterator[Data]:
    """Panels as JSON values; the patients are numbered from ``first``, each with ``per_patient`` panels in a row.

    Every panel is told apart by its accession, and those of a patient are a day apart or more, oldest first.
    """
    for number in range(count):
        patient, turn = divmod(number, per_patient)
        yield _panel(first + patient, turn, seed=seed)


def bodies(count: int, *, seed: int = SEED, per_patient: int = 1, first: int = 0) -> list[bytes]:
    """The same panels as the bytes of requests."""
    return [orjson.dumps(panel) for panel in panels(count, seed=seed, per_patient=per_patient, first=first)]


def identifier(patient: int, seed: int = SEED) -> str:
    """A patient's identifier, which grows with the patient's number."""
    return f"{seed % 1000:03d}-{patient:08d}"


def _panel(patient: int, turn: int, *, seed: int) -> Data:
    person = random.Random(f"{seed} {patient}")
    laboratory = _LABORATORIES[person.randrange(LABORATORIES)]
    who = {
        "id": identifier(patient, seed),
        "authority": f"hospital-{laboratory.number}",
        "sex": person.choice(("female", "male")),
        "birth_date": (date(1932, 1, 1) + timedelta(days=person.randrange(74 * 365))).isoformat(),
    }
    begun = FIRST + timedelta(minutes=person.randrange(300 * 24 * 60))
    chance = random.Random(f"{seed} {patient} {turn}")
    collected = begun + timedelta(days=turn, minutes=chance.randrange(600))
    return {
        "patient": who,
        "accession": f"A-{patient:08d}-{turn}",
        "collected_at": collected.isoformat(),
        "results": [_result(place, laboratory, chance) for place in range(RESULTS)],
    }


def _result(place: int, laboratory: Laboratory, chance: random.Random) -> Data:
    analyte = ANALYTES[place]
    low, high = analyte.ill if chance.random() < ILL else analyte.well
    text = _text(analyte, chance.uniform(low, high))
    named: Data = {"code": analyte.loinc} if laboratory.by_code else {"analyte": analyte.name}
    value = orjson.Fragment(text) if laboratory.bare else text
    range_ = laboratory.ranges[place]
    sent = {**named, "value": value, "unit": analyte.unit}
    return sent if range_ is None else {**sent, "reference_range": range_}
