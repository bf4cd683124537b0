"""The tables of ``tests/spec``: what a laboratory doctor expects of one result, or of one collection.

Law: the expectations are written from the published sources, never from what the code answers.
"""

import csv
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from service.domain.panels import Status
from service.domain.people import Sex
from service.domain.rules import Finding
from service.domain.timeline import Facts
from tests.domain.build import BOOK, NOON, born_at, held, judged, verdict_on, who

SPEC = Path(__file__).parent.parent / "spec"
SINGLE = (
    "hypercalcemia", "alp", "anemia", "thrombocytopenia", "comparators", "unknown", "pregnancy", "children",
    "implausible", "units", "own_limits", "outside_scope", "status",
)  # fmt: skip
Line = dict[str, str]


def lines(table: str) -> list[Line]:
    with (SPEC / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def named(line: Line, *columns: str) -> str:
    return " ".join(filter(None, (line[column] for column in columns)))


def singles() -> Iterator[Any]:
    for table in SINGLE:
        for number, line in enumerate(lines(table), start=2):
            name = named(line, "who", "analyte", "value", "unit", "range")
            yield pytest.param(line, id=f"{table}:{number} {name}")


def cases(table: str) -> Iterator[Any]:
    for case, group in groupby(lines(table), key=lambda line: line["case"]):
        yield pytest.param(list(group), id=f"{table}: {case}")


def test_every_table_is_run() -> None:
    assert {path.stem for path in SPEC.iterdir()} == {*SINGLE, "precedence", "pattern", "intervals"}


@pytest.mark.parametrize("line", [*singles()])
def test_a_single_result(line: Line) -> None:
    facts, at_collection = who(line["who"])
    status = Status(line.get("status") or "final")
    one = held(
        line["analyte"] or None, line["value"], line["unit"], range_=line["range"], status=status, **at_collection
    )

    verdict = verdict_on(one, facts)

    came = (verdict.outcome.value, verdict.severity, verdict.grade, verdict.classification, verdict.reason)
    grade = f"CTCAE v5.0 grade {line['grade']}" if line["grade"] else None
    class_ = f"WHO 2024 {line['class']}" if line["class"] else None
    assert came == (line["outcome"], line["severity"] or None, grade, class_, line["reason"] or None)
    assert verdict.provisional is (status is Status.PRELIMINARY)
    assert verdict.why


def collection(group: Sequence[Line]) -> tuple[Facts, list[Any]]:
    facts, at_collection = who(group[0]["who"])
    results = [
        held(line["analyte"], line["value"], line["unit"], status=Status(line["status"]), **at_collection)
        for line in group
    ]
    return facts, results


@pytest.mark.parametrize("group", [*cases("precedence")])
def test_of_several_calciums_the_best_one_decides(group: Sequence[Line]) -> None:
    facts, results = collection(group)

    verdicts = judged(*results, facts=facts).verdicts

    for line, one in zip(group, results, strict=True):
        verdict = verdicts[one.key]
        came = (verdict.outcome.value, verdict.severity, verdict.reason)
        assert came == (line["outcome"], line["severity"] or None, line["reason"] or None), line["analyte"]


@pytest.mark.parametrize("group", [*cases("pattern")])
def test_two_findings_in_one_collection_are_the_pattern(group: Sequence[Line]) -> None:
    facts, results = collection(group)

    flags = judged(*results, facts=facts).flags.values()

    patterns = [flag.explanation["findings"] for flag in flags if flag.finding is Finding.PATTERN]
    assert patterns == ([group[0]["pattern"].split(" ")] if group[0]["pattern"] else [])
    assert all(flag.severity == "info" for flag in flags if flag.finding is Finding.PATTERN)


def people_of(line: Line) -> Iterator[tuple[Facts, dict[str, Any]]]:
    """On the first and the last day of the age range, of each sex that it is for."""
    first, _, unit = line["from"].partition(" ")
    end, _, end_unit = line["to"].partition(" ")
    births = born_at(int(first), unit), born_at(int(end), end_unit) + timedelta(days=1)
    pregnant = line["pregnant"]
    at: dict[str, Any] = {"pregnant": True} if pregnant else {}
    if pregnant.startswith("trimester"):
        at["trimester"] = int(pregnant.removeprefix("trimester "))
    sexes = {"girl": [Sex.FEMALE], "boy": [Sex.MALE], "any": [Sex.FEMALE, Sex.MALE, Sex.UNKNOWN]}[line["sex"]]
    for born in births:
        yield from ((Facts(sex=sex, born=born), at) for sex in sexes)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, id=named(line, "analyte", "sex", "from", "to", "pregnant", "unit"))
        for line in lines("intervals")
    ],
)
def test_the_published_intervals_hold_from_their_first_to_their_last_day(line: Line) -> None:
    rule = BOOK.rulesets[BOOK.current].rule_for(line["analyte"])
    for side, step in (("low", Decimal("-0.001")), ("high", Decimal("0.001"))):
        if not line[side]:
            continue
        beyond = "flagged" if rule is not None and rule.direction == side else "not_judged"
        for facts, at in people_of(line):
            limit = held(line["analyte"], line[side], line["unit"], **at)
            outside = held(line["analyte"], str(Decimal(line[side]) + step), line["unit"], **at)

            assert verdict_on(limit, facts).outcome == "clear", (facts.born, side)
            assert verdict_on(outside, facts).outcome == beyond, (facts.born, side)


def test_every_published_interval_is_in_the_table() -> None:
    told = {
        (line["analyte"], Decimal(line[side]), line["unit"], side)
        for line in lines("intervals")
        for side in ("low", "high")
        if line[side]
    }
    untold = [
        (analyte.key, interval.population.label, side)
        for analyte in BOOK.analytes.all
        if analyte.key not in {"albumin", "calcium_corrected"}  # judged by nothing; shares the rows of total calcium
        for interval in analyte.intervals
        for side, cut in (("low", interval.low), ("high", interval.high))
        if cut is not None
        and not any(
            (analyte.key, cut[unit.family] / unit.factor, unit.code, side) in told for unit in analyte.units.units
        )
    ]
    assert untold == []


def test_the_age_words_of_the_tables() -> None:
    assert who("girl just under 18 y")[0].born == date(2008, 3, 16)
    assert who("boy 31 d")[0].born == NOON.date() - timedelta(days=31)
