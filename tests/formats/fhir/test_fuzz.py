"""Anything at all, and Bundles with odd things in them: read or refused, and every entry accounted for once."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.errors import BadInput
from service.formats.fhir.reader import parse, read_observations, read_patient
from tests.formats.fhir.build import BASE, NOW, known, patient, read_one, sent
from tests.formats.fhir.mutated import in_order, mutated, outcome
from tests.formats.fhir.test_reader import HER

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
NAMES = st.sampled_from(
    """
    resourceType type entry resource id identifier status code coding system value subject reference contained result
    hasMember component valueQuantity valueString valueRange referenceRange low high age appliesTo text extension url
    valueReference effectiveDateTime effectivePeriod effectiveTiming event issued meta lastUpdated specimen note
    category interpretation dataAbsentReason request method fullUrl search mode gender birthDate name
    """.split()  # noqa: SIM905  one name beside the other reads better
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=5),
    max_leaves=15,
)


def test_a_bundle_with_nearly_everything_is_read():
    assert outcome(in_order()) == "read"


@settings(max_examples=300)
@given(seed=st.integers(min_value=0))
def test_every_entry_of_a_mutated_bundle_is_accounted_for_once(seed):
    assert outcome(mutated(random.Random(seed))) in {"read", "refused", "some faults"}  # noqa: S311  a seed


@given(entries=st.lists(ANYTHING, max_size=3), kind=st.sampled_from(["batch", "collection", "history", "message"]))
def test_any_entries_are_accounted_for_once(entries, kind):
    assert outcome({"resourceType": "Bundle", "type": kind, "entry": entries}) in {"read", "refused", "some faults"}


@given(value=ANYTHING, kind=st.sampled_from(["Observation", "DiagnosticReport"]))
def test_any_resource_is_read_or_refused(value, kind):
    refused_or(lambda: read_one({"resourceType": kind, **value} if isinstance(value, dict) else value))


@given(value=ANYTHING, name=st.sampled_from([*patient(), "name", "modifierExtension"]))
def test_any_patient_is_read_or_refused(value, name):
    refused_or(lambda: read_patient(sent(patient(**{name: value})), now=NOW, base=BASE))


@given(value=ANYTHING)
def test_anything_that_was_looked_up_is_read_or_refused(value):
    refused_or(lambda: read_observations(sent(value), HER, patient_id="p-1", now=NOW, base=BASE, known=known))


@given(body=st.binary(max_size=80))
def test_any_bytes_are_a_value_or_refused(body):
    refused_or(lambda: parse(body))


def refused_or(work):
    """Does some work; whatever else than ``BadInput`` is raised fails the test."""
    faults = None
    try:
        work()
    except BadInput as refused:
        faults = refused.faults

    assert faults is None or (faults and all(one.code and one.detail for one in faults))
