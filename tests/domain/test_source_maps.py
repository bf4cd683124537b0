"""A map adds to the catalogue and never contradicts it; whatever is wrong with one is told at once."""

import pytest

from service.domain.errors import BadInput
from service.domain.source_maps import NAME, MappedCode, MappedUnit, SourceMap, check
from tests.domain.build import BOOK


def code(analyte="hemoglobin", *, system="urn:lab", code="HGB"):
    return MappedCode(system=system, code=code, analyte=analyte)


def unit(spelling="gr/dl", unit="g/dL", *, analyte="hemoglobin"):
    return MappedUnit(analyte=analyte, spelling=spelling, unit=unit)


def faults(*parts, name="lab"):
    codes = tuple(one for one in parts if isinstance(one, MappedCode))
    units = tuple(one for one in parts if isinstance(one, MappedUnit))
    try:
        check(SourceMap(name=name, codes=codes, units=units), BOOK.analytes)
    except BadInput as refused:
        return [(fault.pointer, fault.code) for fault in refused.faults]
    return []


FINE = [
    (),
    (code(), unit()),
    (code(system=""), code(), code(system="urn:other")),  # the same code in three systems
    (code(code="hgb"), code()),  # codes know upper and lower case
    (code(system="LN", code="718-7"), unit("g/dl")),  # what the catalogue says as well
    (code(system=NAME, code="Hb"),),
    (code(system="urn:lab", code="17861-6"),),  # no LOINC code, although it looks like one
    (unit("Gr/dl"), unit("gr/dl")),
    (unit("x"), unit("x", "mg/dL", analyte="calcium")),
]


@pytest.mark.parametrize("parts", FINE)
def test_a_map_that_only_adds_has_no_faults(parts):
    assert faults(*parts) == []


FAULTY = [
    ((code("haemoglobine"),), [("/codes/0/analyte", "analyte-unknown")]),
    ((code("Hb"),), [("/codes/0/analyte", "analyte-unknown")]),  # an alias is no key
    ((code("calcium", system="LN", code="718-7"),), [("/codes/0/code", "contradicts-catalogue")]),
    ((code("calcium", system="http://loinc.org", code=" 718-7 "),), [("/codes/0/code", "contradicts-catalogue")]),
    ((code("calcium", system=NAME, code="HEMOGLOBIN"),), [("/codes/0/code", "contradicts-catalogue")]),
    ((unit(analyte="nothing"),), [("/units/0/analyte", "analyte-unknown")]),
    ((unit(unit="g%"),), [("/units/0/unit", "unit-unknown")]),  # a spelling is no unit code
    ((unit("g/l"),), [("/units/0/spelling", "contradicts-catalogue")]),
    ((code(), code("calcium")), [("/codes/1/code", "mapped-twice")]),
    ((code(), code(code=" HGB")), [("/codes/1/code", "mapped-twice")]),
    ((code(system="LN", code="1-1"), code(system="LOINC", code="1-1")), [("/codes/1/code", "mapped-twice")]),
    ((code(system=NAME, code="X"), code(system=NAME, code="x ")), [("/codes/1/code", "mapped-twice")]),
    ((unit("a b"), unit("ab", "g/L")), [("/units/1/spelling", "mapped-twice")]),
]


@pytest.mark.parametrize(("parts", "told"), FAULTY)
def test_what_the_catalogue_lacks_or_knows_otherwise_is_refused_with_its_place(parts, told):
    assert faults(*parts) == told


def test_every_fault_is_told_at_once():
    found = faults(*(part for parts, _ in FAULTY[:8] for part in parts), name=" ")

    assert len(found) == 11  # two of them stand twice in this map
    assert ("", "empty") in found


def test_a_name_of_a_source_has_its_bounds():
    assert (faults(name="x" * 255), faults(name="x" * 256)) == ([], [("", "too-long")])
