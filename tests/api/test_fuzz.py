"""Whatever is sent to the one door that takes something in, the answer is never a failure of ours."""

import copy
import json
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.described import as_described
from tests.flows.build import calcium, hemoglobin, panel, platelets

pytestmark = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)

VALID = panel(
    calcium("11.90", reference_range={"low": "8.6", "high": "10.3", "unit": "mg/dL"}, id="R-1", note="n"),
    hemoglobin("9.1", status="preliminary", code="718-7"),
    platelets("5", comparator="<"),
    {"code": {"system": "http://loinc.org", "code": "6768-6"}, "value": 88.0, "unit": "U/L"},
    accession="A-1",
    status="final",
    issued_at="2026-11-02T08:00:00Z",
    note="n",
)
VALID["patient"] |= {"name": "n", "pregnant": True, "trimester": 2, "age_years": 58}

# What a sender may put where something else belongs.
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=True),
    st.text(max_size=20),
    st.sampled_from(["", " ", "\x00", "\ud800", "NaN", "1e400", "-0", "٣", "<5", "9" * 500]),
    st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "female", "corrected", "_schema"]),
    st.lists(st.none(), max_size=3),
    st.dictionaries(st.sampled_from(["id", "_schema", "system", "code", "", "a/b~c", "unit"]), st.none(), max_size=3),
)  # fmt: skip


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for step, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(below, (*path, step))


PLACES = [path for path in places(VALID) if path]


@st.composite
def mutated(draw):
    """A valid panel in which a few places were replaced, removed, added to or given another name."""
    sent = copy.deepcopy(VALID)
    for path in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=4)):
        try:
            holder = sent
            for step in path[:-1]:
                holder = holder[step]
            mutate(draw, holder, path[-1])
        except (KeyError, IndexError, TypeError, AttributeError):
            continue  # an earlier change took the place away
    return sent


def mutate(draw, holder, step):
    match draw(st.integers(0, 3)):
        case 0:
            holder[step] = draw(ODD)
        case 1:
            del holder[step]
        case 2 if isinstance(holder, dict):
            holder[draw(st.sampled_from(["_schema", "valeu", "", "a/b~c", "\x00", "0", "x" * 300]))] = draw(ODD)
        case _:
            holder[step] = [copy.deepcopy(holder[step])] * 2


def check(answer, document):
    assert answer.status_code in {200, 201, 400, 422}, answer.text
    body = as_described(document, "/v1/panels", answer)
    if answer.status_code in {200, 201}:
        counts = body["counts"]
        assert counts["received"] == len(body["verdicts"])
        assert counts["received"] == sum(count for name, count in counts.items() if name != "received")


@settings(max_examples=150)
@given(sent=mutated(), prefer=st.sampled_from(["", "handling=strict"]))
def test_a_panel_with_anything_anywhere_is_judged_or_refused(client, document, sent, prefer):
    check(client.post("/v1/panels", data=json.dumps(sent), content_type="application/json",
                      headers={"Prefer": prefer}), document)  # fmt: skip


@settings(max_examples=80)
@given(sent=st.binary(max_size=200))
def test_any_bytes_are_refused(client, document, sent):
    answer = client.post("/v1/panels", data=sent, content_type="application/json")

    assert answer.status_code in {400, 422}
    as_described(document, "/v1/panels", answer)


@settings(max_examples=80)
@given(data=st.data())
def test_a_valid_panel_with_a_few_bytes_changed_is_judged_or_refused(client, document, data):
    sent = bytearray(json.dumps(VALID).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(sent) - 1))
        sent[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))

    check(client.post("/v1/panels", data=bytes(sent), content_type="application/json"), document)


# What can stand in an address: not half a surrogate pair.
SENDABLE = st.text(st.characters(codec="utf-8"), max_size=15)


ROUTES = (
    "/v1/patients/{}/flags",
    "/v1/patients/{}/timeline",
    "/v1/patients/{}/episodes",
    "/v1/flags/{}",
    "/v1/flags/{}/replay",
    "/v1/panels/{}",
    "/v1/rulesets/{}",
    "/v1/{}",
)


@settings(max_examples=60)
@given(path=SENDABLE, query=st.dictionaries(SENDABLE, SENDABLE, max_size=3))
def test_any_path_and_query_are_answered_or_refused(client, path, query):
    for route in ROUTES:
        assert client.get(f"{route.format(quote(path, safe='/'))}?{urlencode(query)}").status_code < 500


PARAMETERS = (
    "finding",
    "severity",
    "state",
    "source",
    "collected_from",
    "collected_to",
    "authority",
    "limit",
    "cursor",
)


@settings(max_examples=60)
@given(query=st.lists(st.tuples(st.sampled_from(PARAMETERS), SENDABLE), max_size=3))
def test_any_value_of_a_known_parameter_is_answered_or_refused(client, query):
    answer = client.get(f"/v1/flags?{urlencode(query)}")

    assert answer.status_code in {200, 400, 404, 409}
