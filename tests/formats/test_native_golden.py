"""The native format as a whole: messages with the reading that was written down for them, and anything at all."""

import json
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import BadInput
from service.domain.panels import Code, Panel, SentRange
from service.domain.people import Sex
from service.formats import native, panel_shape
from tests.flows.build import NOW

GOLDEN = Path(__file__).parents[1] / "golden" / "native"


def read(sent):
    return native.read(sent, now=NOW)


def test_the_whole_of_a_panel_is_read():
    found = read((GOLDEN / "whole.json").read_bytes())

    assert (found.patient.identifier, found.patient.authority, found.patient.name) == ("88204113", "hospital-a", "Ada")
    assert (found.patient.sex, found.patient.born) == (Sex.FEMALE, date(1968, 3, 14))
    assert (found.pregnant, found.trimester, found.age_years) == (True, 2, 58)
    first, second = found.results
    assert first.range == SentRange(low=Decimal("8.6"), high=Decimal("10.3"), unit="mg/dL")
    assert second.code == Code(code="6768-6")


def goldens():
    return sorted(path.stem for path in GOLDEN.glob("*.json") if not path.stem.endswith(".expected"))


@pytest.mark.parametrize("name", goldens())
def test_a_golden_message_is_read_as_written_down(name):
    expected = json.loads((GOLDEN / f"{name}.expected.json").read_bytes())

    try:
        found = plain(asdict(read((GOLDEN / f"{name}.json").read_bytes())))
    except BadInput as refused:
        found = {
            "refused": refused.kind,
            "faults": [{"pointer": fault.pointer, "code": fault.code} for fault in refused.faults],
        }

    assert found == expected


def plain(value):
    """A reading as JSON: what says nothing is left out."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if one not in (None, "", ()) and key != "promotes"}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value if isinstance(value, bool | int) else str(value)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = st.sampled_from(
    [*panel_shape.PanelShape().fields, *panel_shape.ResultShape().fields, *panel_shape.PatientShape().fields, "x"]
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=5),
    max_leaves=15,
)


@given(sent=ANYTHING)
def test_any_json_value_is_a_panel_or_refused(sent):
    read_or_refuse(json.dumps(sent).encode())


@given(patient=ANYTHING, at=ANYTHING, results=st.lists(ANYTHING, max_size=2) | ANYTHING)
def test_any_value_in_the_place_of_another_is_read_or_refused(patient, at, results):
    read_or_refuse(json.dumps({"patient": patient, "collected_at": at, "results": results}).encode())


@given(body=st.binary(max_size=80))
def test_any_bytes_are_a_panel_or_refused(body):
    read_or_refuse(body)


def read_or_refuse(body):
    try:
        found = read(body)
    except BadInput as refused:
        found = refused

    if isinstance(found, BadInput):
        assert found.faults
        assert all(fault.code and fault.detail for fault in found.faults)
    else:
        assert isinstance(found, Panel)
