"""Whatever is sent to the doors of FHIR, the answer is FHIR, and never a failure of ours."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.fhir.speak import got, post, put
from tests.formats.fhir.mutated import mutated

pytestmark = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def check(answer):
    assert answer.status_code in {200, 201, 400, 404, 409, 412, 413, 422}, answer.text
    got(answer, answer.status_code)


@settings(max_examples=80)
@given(seed=st.integers(0, 2**32), path=st.sampled_from(["", "/$process-message", "/Observation", "/DiagnosticReport"]))
def test_a_bundle_with_anything_anywhere_is_answered(client, seed, path):
    check(post(client, mutated(random.Random(seed)), path))  # noqa: S311  chosen by Hypothesis


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), path=st.sampled_from(["/Observation/ca-1", "/DiagnosticReport/ca-1"]))
def test_a_resource_with_anything_anywhere_is_answered(client, seed, path):
    chance = random.Random(seed)  # noqa: S311  chosen by Hypothesis
    entries = mutated(chance).get("entry")

    one = chance.choice(entries) if isinstance(entries, list) and entries else entries
    check(put(client, one.get("resource") if isinstance(one, dict) else one, path, If_Match='W/"1"'))


@settings(max_examples=60)
@given(sent=st.binary(max_size=100))
def test_any_bytes_are_answered(client, sent):
    check(post(client, sent))


NAMES = [
    "patient",
    "patient:identifier",
    "code",
    "date",
    "identified",
    "status",
    "_lastUpdated",
    "_count",
    "_id",
    "_cursor",
]
ODD = [
    "",
    "|",
    "a|",
    "|a",
    ",",
    "\\",
    "ge",
    "2026-02-30",
    "0000",
    "9999-12-31",
    "lt0001-01-01T00:00:00+14:00",
    "-1",
    "é",
    "1e9",
]


@settings(max_examples=120)
@given(
    kind_=st.sampled_from(["Observation", "DetectedIssue", "Flag"]),
    query=st.lists(st.tuples(st.sampled_from(NAMES), st.one_of(st.sampled_from(ODD), st.text(max_size=8))), max_size=3),
)
def test_any_search_is_answered(client, kind_, query):
    check(client.get(f"/fhir/R4/{kind_}", query_string=query))
