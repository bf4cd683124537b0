"""Calls with anything at all in them: answered with cards, or refused with a place; never a failure of ours."""

import copy
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.cds.speak import asked, cards, labs, post, refused, result
from tests.formats.fhir.build import bundle
from tests.formats.fhir.mutated import ODD, mutated
from tests.formats.fhir.test_fuzz import ANYTHING

pytestmark = pytest.mark.parametrize("kind", ["sqlite"])


def places(value, path=()):
    """Every place in a value, as a path of keys and indexes."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield (*path, name)
        yield from places(one, (*path, name))


def with_odd(value, seed):
    """The value with something odd at one to three of its places."""
    chance, made = random.Random(seed), copy.deepcopy(value)  # noqa: S311  a seed
    for _ in range(chance.randint(1, 3)):
        *way, last = chance.choice(list(places(made)))
        holder = made
        for step in way:
            holder = holder[step]
        holder[last] = copy.deepcopy(chance.choice(ODD))
    return made


def answered(client, body):
    answer = post(client, body)
    if answer.status_code == 200:
        return cards(answer)
    assert all(code for code, _ in refused(answer, answer.status_code))
    assert answer.status_code in {400, 412}
    return None


@settings(max_examples=200)
@given(seed=st.integers(min_value=0))
def test_a_call_with_something_odd_in_it_is_answered_or_refused(seed, kind, bedside):
    whole = asked(prefetch={"labs": labs(result("calcium", 11.4, "mg/dL"), result("hemoglobin", 6.5, "g/dL"))})

    answered(bedside, with_odd(whole, seed))


@settings(max_examples=100)
@given(seed=st.integers(min_value=0))
def test_a_mutated_bundle_of_results_is_answered_or_refused(seed, kind, bedside):
    answered(bedside, asked(prefetch={"labs": mutated(random.Random(seed))}))  # noqa: S311  a seed


@given(patient=ANYTHING, found=ANYTHING, link=ANYTHING)
def test_anything_that_was_looked_up_is_answered_or_refused(patient, found, link, kind, bedside):
    answered(bedside, asked(prefetch={"patient": patient}))
    answered(bedside, asked(prefetch={"labs": found}))
    answered(bedside, asked(prefetch={"labs": bundle("searchset", link=link)}))


def test_the_call_that_is_made_odd_has_cards(kind, bedside):
    whole = asked(prefetch={"labs": labs(result("calcium", 11.4, "mg/dL"))})

    assert answered(bedside, whole)
