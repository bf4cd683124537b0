"""Every factor of the catalogue against an independent reading of its UCUM code (ucumvert and pint).

Law: the oracle knows UCUM and the molar masses, and nothing of this project's tables.
"""

import math
from functools import cache
from typing import Any

import pytest
from ucumvert import PintUcumRegistry

from tests.domain.build import BOOK

GRAMS_PER_MOLE = {
    "calcium": 40.078,
    "calcium_corrected": 40.078,
    "calcium_ionized": 40.078,
    "hemoglobin": 16_114.5,
    "albumin": 66_440.0,
}
EQUIVALENTS_PER_MOLE = 2  # calcium carries two charges

UNITS = [(analyte, unit) for analyte in BOOK.analytes.all for unit in analyte.units.units]


@cache
def registry() -> Any:
    return PintUcumRegistry()


def size(analyte: str, code: str) -> float:
    """How much one of the unit is: grams, catalytic units or pieces per liter."""
    quantity = registry().from_ucum(code)
    if "[IU]" in code:
        # UCUM holds [IU] for arbitrary; for this enzyme one international unit is one micromole per minute.
        quantity = registry().from_ucum(code.replace("[IU]", "U"))
    if "eq/" in code:
        quantity = registry().from_ucum(code.replace("eq", "mol")) / EQUIVALENTS_PER_MOLE
    if quantity.check("[substance]/[length]**3"):
        quantity = quantity * type(quantity)(GRAMS_PER_MOLE[analyte], "gram/mole")
    if quantity.check("[mass]/[length]**3"):
        return float(quantity.to("gram/liter").magnitude)
    if quantity.check("[substance]/[time]/[length]**3"):
        return float(quantity.to("micromole/minute/liter").magnitude)
    return float(quantity.to("1/liter").magnitude)


@pytest.mark.parametrize(("analyte", "unit"), UNITS, ids=lambda one: getattr(one, "key", None) or one.code)
def test_the_factor_is_that_of_ucum(analyte: Any, unit: Any) -> None:
    factor = size(analyte.key, unit.code) / size(analyte.key, analyte.canonical_unit)

    assert math.isclose(factor, float(unit.factor), rel_tol=1e-12)
