"""The quick reader: whatever it takes, the schema takes with an equal panel; what is in order, it takes."""

import io
import json
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema
from marshmallow.fields import Integer

from service.domain.panels import Panel, Patient, Result
from service.formats import csv_rows, native, quick
from service.formats.strict_json import Number, parse
from tests.flows.build import NOW, calcium, hemoglobin, panel
from tests.formats.mutated import by_schema, compared, exactly, in_order, mutated, run
from tests.formats.test_native import HOSTILE, HUGE, changed


def test_every_panel_in_order_is_read_and_no_mutation_is_read_differently():
    ends = run(700, seed=31)

    assert ends["in order: read"] == 700
    assert ends["mutated: read"] > 100
    assert ends["mutated: refused"] > 300
    # What is left to the schema and taken by it is a matter of Python types that no JSON has, or very long.
    assert ends["mutated: declined"] < 40


@given(chance=st.randoms(use_true_random=False))
def test_a_mutated_panel_is_read_as_the_schema_reads_it_or_left_to_it(chance):
    assert compared(mutated(in_order(chance), chance)) in {"read", "refused", "declined"}


@pytest.mark.parametrize(("place", "value", "code"), HOSTILE)
def test_what_is_hostile_is_left_to_the_schema(place, value, code):
    body = json.dumps(changed(place, value)).replace(f'"{HUGE}"', "9" * 5000)

    assert quick.read(parse(body.encode()), now=NOW) is None


@pytest.mark.parametrize("name", ["patient", "collected_at", "results"])
def test_a_panel_without_what_is_required_is_left_to_the_schema(name):
    sent = panel(calcium("9"))
    del sent[name]

    assert quick.read(sent, now=NOW) is None


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("/patient/sex", "female"),
        ("/results/0/code", "5"),
        ("/results/0/status", "final"),
        ("/results/0/reference_range", {"low": "8", "high": "10", "unit": "5"}),
    ],
)
def test_an_equal_number_is_not_taken_for_the_text_that_is_remembered(place, text):
    number = {**text, "unit": Number(text["unit"])} if isinstance(text, dict) else Number(text)

    remembered, found = (quick.read(changed(place, value), now=NOW) for value in (text, number))

    assert remembered is not None
    assert found is None


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("/patient", {"id": "1", "pregnant": False, "trimester": Number("2")}),
        ("/patient/id", "x" * 256),
        ("/patient/authority", "x" * 256),
        ("/patient/name", "x" * 1001),
        ("/results/0/reference_range", {"low": "2", "high": "1.9"}),
        ("/results", [{"value": "1", "unit": "g/L"}]),
    ],
)
def test_what_the_schema_refuses_is_left_to_it(place, value):
    sent = changed(place, value)

    assert (quick.read(sent, now=NOW), by_schema(sent)) == (None, None)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("/patient/id", "x" * 255),
        ("/patient/name", "x" * 1000),
        ("/patient/trimester", Number("2")),
        ("/results/0/unit", ""),
        ("/results/0/reference_range", {"low": "2", "high": "2.0"}),
        ("/results/0/code", {"system": "lab", "code": "CA"}),
    ],
)
def test_what_is_just_in_order_is_read(place, value):
    sent = changed(place, value)

    assert exactly(quick.read(sent, now=NOW)) == exactly(by_schema(sent))


def test_a_number_keeps_the_text_that_it_was_sent_with_though_an_equal_one_is_remembered():
    texts = ["1.0", "1.00", " 1.0", "1", "+1"]

    found = [quick.read(panel(calcium(text)), now=NOW).results[0] for text in texts]

    assert [(one.text, str(one.number)) for one in found] == [
        ("1.0", "1.0"),
        ("1.00", "1.00"),
        ("1.0", "1.0"),
        ("1", "1"),
        ("+1", "1"),
    ]


@pytest.mark.parametrize("field", ["value", "low", "high"])
def test_a_long_text_is_not_remembered_but_read_by_the_schema(field):
    number = "7" + " " * 100_000
    sent = panel(calcium(number) if field == "value" else calcium("9", reference_range={field: number}))

    assert quick.read(sent, now=NOW) is None
    assert by_schema(sent).results[0].number is not None


def test_what_was_read_quickly_is_whole():
    found = quick.read(panel(calcium("11.9", reference_range={"low": "8.6"})), now=NOW)

    assert [type(one) for one in (found, found.patient, found.results[0])] == [Panel, Patient, Result]
    assert exactly(replace(found)) == exactly(found)
    assert hash(found) == hash(by_schema(panel(calcium("11.9", reference_range={"low": "8.6"}))))
    with pytest.raises(AttributeError):
        found.note = "x"


def test_a_class_that_checks_itself_is_not_drafted():
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Checking:
        one: int

        def __post_init__(self) -> None:
            raise ValueError(self.one)

    with pytest.raises(TypeError, match="checks itself"):
        quick._draft(Checking)


def test_a_field_of_the_shape_that_is_not_read_is_noticed():
    class Shape(Schema):
        old, new = Integer(), Integer()

    with pytest.raises(TypeError, match="Shape has other fields"):
        quick._reads(Shape(), "old")


def test_the_results_of_several_panels_stand_in_one_with_their_places():
    first = native.read_value(panel(calcium("11.9"), note="one"), now=NOW)
    second = native.read_value(panel(hemoglobin("9.0"), note="two"), now=NOW)

    found = quick.joined([first, second])

    assert exactly(found) == exactly(
        replace(first, results=(first.results[0], replace(second.results[0], pointer="/results/1")))
    )


def test_a_comparator_of_blanks_leaves_the_one_before_the_value():
    text = "patient_id,collected_at,analyte,comparator,value,unit\np1,2026-11-01T08:00:00Z,calcium, ,<5,mg/dL\n"

    (entry,) = csv_rows.read(io.BytesIO(text.encode()), now=NOW)

    assert [(one.comparator, one.text) for one in entry.panel.results] == [("<", "5")]
