"""The map of a source is read strictly, with every fault of shape and its place."""

import json

import pytest

from service.domain.errors import BadInput
from service.domain.source_maps import MappedCode, MappedUnit, SourceMap
from service.formats.source_map import read
from service.storage.source_maps import as_data

CODE = {"system": "urn:hl7v2:L", "code": "HGB", "analyte": "hemoglobin"}
UNIT = {"analyte": "hemoglobin", "spelling": "gr/dl", "unit": "g/dL"}


def faults(sent):
    with pytest.raises(BadInput) as refused:
        read(json.dumps(sent).encode(), name="lab")
    assert refused.value.kind == "invalid-source-map"
    return [(fault.pointer, fault.code, fault.hint) for fault in refused.value.faults]


def test_all_of_a_map_is_read_and_written_again():
    sent = {"zone": "Europe/Vienna", "codes": [CODE, {**CODE, "system": ""}], "units": [UNIT]}

    found = read(json.dumps(sent).encode(), name="lab")

    assert found == SourceMap(
        name="lab",
        zone="Europe/Vienna",
        codes=(MappedCode(**CODE), MappedCode(**{**CODE, "system": ""})),
        units=(MappedUnit(**UNIT),),
    )
    assert as_data(found) == sent


@pytest.mark.parametrize("sent", [{}, {"zone": None}, {"codes": []}, {"units": []}])
def test_what_is_left_out_is_empty(sent):
    assert read(json.dumps(sent).encode(), name="lab") == SourceMap(name="lab")


FAULTY = [
    ([], [("", "type")]),
    (None, [("", "type")]),
    ({"code": []}, [("/code", "unknown-field")]),
    ({"codes": {}}, [("/codes", "type")]),
    ({"codes": None}, [("/codes", "null")]),
    ({"units": [1, UNIT, None]}, [("/units/0", "type"), ("/units/2", "null")]),
    ({"codes": [{**CODE, "code": 7}]}, [("/codes/0/code", "type")]),
    ({"codes": [{**CODE, "code": " "}]}, [("/codes/0/code", "empty")]),
    ({"codes": [{**CODE, "sytem": "x"}]}, [("/codes/0/sytem", "unknown-field")]),
    ({"units": [{**UNIT, "spelling": ""}]}, [("/units/0/spelling", "empty")]),
    ({"units": [{}]}, [(f"/units/0/{name}", "required") for name in ("analyte", "spelling", "unit")]),
    ({"codes": [CODE] * 5_001}, [("/codes", "too-many")]),
    ({"zone": "Europe"}, [("/zone", "zone-unknown")]),
    ({"zone": "../etc/passwd"}, [("/zone", "zone-unknown")]),
    ({"zone": "Mars/Olympus"}, [("/zone", "zone-unknown")]),
    ({"zone": 1, "_schema": 1}, [("/zone", "type"), ("/_schema", "unknown-field")]),
]


@pytest.mark.parametrize(("sent", "told"), FAULTY)
def test_what_is_not_a_map_is_refused_with_its_places(sent, told):
    assert [(pointer, code) for pointer, code, _ in faults(sent)] == told


HINTS = [
    ({"code": []}, "did you mean 'codes'?"),
    ({"codes": [{**CODE, "sytem": "x"}]}, "did you mean 'system'?"),
    ({"units": [{**UNIT, "xyz": "x"}]}, "known: analyte, spelling, unit"),
    ({"zone": "Vienna"}, "write for example Europe/Berlin"),
]


@pytest.mark.parametrize(("sent", "hint"), HINTS)
def test_a_slip_is_told_what_was_probably_meant(sent, hint):
    assert [found for *_, found in faults(sent)] == [hint]


def test_what_is_no_json_is_refused_as_such():
    with pytest.raises(BadInput) as refused:
        read(b"{", name="lab")

    assert refused.value.kind == "invalid-json"
