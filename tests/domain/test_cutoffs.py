"""Every cut-off at, just below and just above, in every unit that is accepted."""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from tests.domain.build import BOOK, held, verdict_on, who
from tests.domain.published import LADDERS, UNITS, WHO, Step, begins, expected

DIGITS = 9  # after the point: far finer than any laboratory reports

_RULES = BOOK.rulesets[BOOK.current].graded


def around(cut: Fraction) -> list[Fraction]:
    """The cut itself where it has an end as a decimal number, and the nearest numbers on both sides."""
    step = Fraction(1, 10**DIGITS)
    floor = cut // step * step
    return [cut - step, cut, cut + step] if floor == cut else [floor, floor + step]


def written(value: Fraction) -> str:
    text = f"{Decimal(value.numerator) / Decimal(value.denominator):.{DIGITS}f}"
    assert Fraction(text) == value
    return text


def cuts() -> Iterator[Any]:
    for analyte, ladder in LADDERS.items():
        for unit in UNITS[analyte]:
            for step in ladder.steps:
                yield pytest.param(analyte, unit, step, id=f"{analyte} {unit} {step.severity} {step.grade}")


@pytest.mark.parametrize(("analyte", "unit", "step"), [*cuts()])
def test_a_step_begins_beyond_its_number(analyte: str, unit: str, step: Step) -> None:
    facts, _ = who("woman 40 y")
    cut = begins(analyte, unit, step)

    for value in around(cut):
        verdict = verdict_on(held(analyte, written(value), unit), facts)

        want = expected(analyte, unit, value)
        came = (verdict.severity, verdict.grade) if verdict.severity else None
        assert came == (want and (want[0], f"CTCAE v5.0 grade {want[1]}")), written(value)
        assert verdict.outcome == ("flagged" if want else "clear")


def test_the_steps_differ_on_both_sides_of_each_number() -> None:
    for analyte, ladder in LADDERS.items():
        for unit in UNITS[analyte]:
            for step in ladder.steps:
                values = around(begins(analyte, unit, step))
                beyond, within = (values[-1], values[0]) if ladder.high else (values[0], values[-1])
                assert expected(analyte, unit, beyond) == (step.severity, step.grade)
                assert expected(analyte, unit, within) != (step.severity, step.grade)


def test_every_unit_and_every_row_is_covered() -> None:
    assert {analyte.key: set(analyte.units.codes) for analyte in BOOK.analytes.all} == {
        analyte: set(units) for analyte, units in UNITS.items()
    }
    for rule in _RULES:
        for analyte in rule.analytes:
            rows = [(row.severity.value, row.grade) for row in rule.rows]
            assert rows == [(step.severity, step.grade) for step in LADDERS[analyte].steps]


@pytest.mark.parametrize("analyte", [*UNITS])
def test_every_spelling_means_the_unit_it_stands_under(analyte: str) -> None:
    table = next(one.units for one in BOOK.analytes.all if one.key == analyte)
    for unit in table.units:
        for spelling in (unit.code, *unit.spellings, *unit.exact, f" {unit.code} "):
            found = table.find(spelling)
            assert found is not None, spelling
            assert Fraction(found.factor) == UNITS[analyte][unit.code], spelling


@pytest.mark.parametrize("unit", [*UNITS["hemoglobin"]])
@pytest.mark.parametrize(("words", "mild", "moderate", "severe"), WHO)
def test_the_classes_of_who_begin_below_their_number(
    *, words: str, mild: int, moderate: int, severe: int, unit: str
) -> None:
    facts, at = who(words)
    size = UNITS["hemoglobin"][unit] * 10  # in g/L

    for cut in (mild, moderate, severe):
        for value in around(Fraction(cut) / size):
            verdict = verdict_on(held("hemoglobin", written(value), unit, **at), facts)

            grams = value * size
            reached = [
                name for name, begin in (("mild", mild), ("moderate", moderate), ("severe", severe)) if grams < begin
            ]
            assert verdict.classification == (f"WHO 2024 {reached[-1]}" if reached else None), written(value)
