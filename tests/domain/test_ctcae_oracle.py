"""The grades of CTCAE v5.0, from our own transcription of its four terms, at every border, in both unit systems.

Law: only the grade is looked at here, given the limit; severity and critical limits are judged elsewhere.
Source: NCI, CTCAE v5.0, 27 November 2017: "Anemia", "Platelet count decreased", "Hypercalcemia", "Alkaline phosphatase
increased" (baseline normal). Grade 4 of "Anemia" is clinical and has no number.
"""

from decimal import Decimal

import pytest

from service.domain.quantities import Measured
from service.domain.rules import GradedLimit, Standing
from tests.domain.build import BOOK

RULES = {rule.key: rule for rule in BOOK.rulesets[BOOK.current].graded}
ANALYTES = {
    "hypercalcemia-total": "calcium",
    "hypercalcemia-ionized": "calcium_ionized",
    "raised-alp": "alkaline_phosphatase",
    "anemia": "hemoglobin",
    "thrombocytopenia": "platelets",
}

# rule, unit, limit, then value and grade ("0": within the limit)
CASES = """
    anemia                 g/dL    14.0   14.0 0  13.9 1  10.0 1  9.9 2  8.0 2  7.9 3  6.9 3  2.0 3
    anemia                 g/L     140    140 0   139 1   100 1   99 2   80 2   79 3   69 3   20 3
    anemia                 mmol/L  8.7    8.7 0   8.6 1   6.2 1   6.1 2  4.9 2  4.8 3  4.0 3
    anemia                 g/dL    9.0    9.5 0   9.0 0   8.9 2   7.9 3
    thrombocytopenia       10*9/L  150    150 0   149 1   75 1    74 2   50 2   49 3   25 3   24 4  9 4
    thrombocytopenia       10*3/uL 140    145 0   139 1   75 1    74 2   50 2   49 3   25 3   24 4
    thrombocytopenia       /mm3    150000 150000 0  149999 1  75000 1  74999 2  50000 2  49999 3  25000 3  24999 4
    hypercalcemia-total    mg/dL   10.2   10.2 0  10.3 1  11.5 1  11.6 2  12.5 2  12.6 3  13.5 3  13.6 4
    hypercalcemia-total    mmol/L  2.6    2.6 0   2.7 1   2.9 1   3.0 2   3.1 2   3.2 3   3.4 3   3.5 4
    hypercalcemia-total    mg/dL   11.8   11.7 0  11.9 2
    hypercalcemia-ionized  mmol/L  1.35   1.35 0  1.4 1   1.5 1   1.55 2  1.6 2   1.7 3   1.8 3   1.9 4
    raised-alp             U/L     120    120 0   121 1   300 1   301 2   600 2   601 3   2400 3  2401 4
    raised-alp             U/L     39     39 0    40 1    97.5 1  97.6 2  195 2   196 3   780 3   781 4
    raised-alp             ukat/L  2      2 0     2.1 1   5 1     5.1 2   10 2    10.1 3  40 3    40.1 4
"""
# A value that is graded whether or not it lies outside a limit: what CTCAE can tell where no limit is known.
WITHOUT_LIMIT = """
    anemia                 g/dL    10.0 -  9.9 2   7.9 3
    thrombocytopenia       10*9/L  75 -    74 2    24 4
    hypercalcemia-total    mg/dL   11.5 -  11.6 2  13.6 4
    hypercalcemia-total    mmol/L  2.9 -   2.91 2  3.41 4
    raised-alp             U/L     900 -
"""


def pairs(words: list[str]) -> list[tuple[str, str]]:
    return list(zip(words[::2], words[1::2], strict=True))


def cases() -> list[tuple[str, str, str | None, str, str]]:
    limited = [line.split() for line in CASES.strip().splitlines()]
    free = [line.split() for line in WITHOUT_LIMIT.strip().splitlines()]
    return [
        *((rule, unit, limit, value, grade) for rule, unit, limit, *rest in limited for value, grade in pairs(rest)),
        *((rule, unit, None, value, grade) for rule, unit, *rest in free for value, grade in pairs(rest)),
    ]


def graded(rule: GradedLimit, unit_code: str, *, limit: str | None, value: str) -> str:
    unit = BOOK.analytes[ANALYTES[rule.key]].units[unit_code]
    answer = rule.assess(
        Measured(number=Decimal(value) * unit.factor),
        family=unit.family,
        limit=None if limit is None else Decimal(limit) * unit.factor,
    )
    if answer.row is None:
        return "0" if answer.standing is Standing.ABSENT else "-"
    return rule.rows[answer.row].grade or "none"


@pytest.mark.parametrize(("rule", "unit", "limit", "value", "grade"), cases())
def test_the_grade_is_that_of_ctcae(*, rule: str, unit: str, limit: str | None, value: str, grade: str) -> None:
    assert graded(RULES[rule], unit, limit=limit, value=value) == grade


def test_every_grade_of_every_term_is_shown() -> None:
    shown = {(rule, grade) for rule, _, _, _, grade in cases()}
    for key, rule in RULES.items():
        assert {(key, row.grade) for row in rule.rows} <= shown
        assert rule.scale == "CTCAE v5.0"
