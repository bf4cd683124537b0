"""Digests are kept with every result: the ones of today must come out of the code of every later day."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.identity import fingerprint, identity
from service.domain.panels import Code, Panel, Patient, Result, SentRange, Status
from tests.domain.build import NOON, result

PANEL = Panel(patient=Patient(identifier="p"), collected_at=NOON, results=())
BARE = result("9.0", "g/dL")
FULL = Panel(
    patient=Patient(identifier="p"),
    collected_at=datetime(2026, 3, 15, 12, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
    accession='A "1"\\ü\u2028\x00',
    pregnant=True,
    trimester=2,
    age_years=31,
    results=(),
)
LONG = Result(
    pointer="/results/3",
    analyte="Hämoglobin",
    code=Code(code="718-7", system="urn:x"),
    text="1.50E+2",
    number=Decimal("1.50E+2"),
    comparator="<=",
    unit="µmol/L \U0001f9ea",
    range=SentRange(low=Decimal("-0"), high=Decimal("1E+1"), unit="g/L"),
    status=Status.ENTERED_IN_ERROR,
    note='said "so"\n',
)

IDENTITIES = [
    (PANEL, BARE, "hemoglobin", "5c3a1418944174a0a722ef0bc40456c24d11c90d9aec9c7350f12029fb663693"),
    (
        PANEL,
        replace(BARE, sender_id='7"é'),
        "hemoglobin",
        "e4ac52f246f27770a9f308cd2e7e7df5178788293d03faec263307806df3a049",
    ),
    (FULL, LONG, "hemoglobin", "b5b41c2b4aeaa14c088e07133126ead97ab8f8e3ce9df811954f91ab074982bc"),
    (FULL, LONG, None, "a3b6c9bf5a55052c93ec594617c1e75e72dd516ab67970b8cb4f395a760d6e3e"),
    (PANEL, replace(BARE, analyte="zinc"), None, "3e7885e4821fe551ce053451ce3c11d5de24ebcee043ce7f05e78f89cb9fa07d"),
    (PANEL, BARE, None, "1c173f86de69708a5f2be19edd49b02fa19f82f0b528feb56e6113b5a8f85e42"),
]
FINGERPRINTS = [
    (PANEL, BARE, "d737a8830821cfe7d6c3a443994a61020d96f6044ea09403464af857612a3e21"),
    (FULL, LONG, "c55bd1ad63c78f32f5d84ac311edda65dee11d73cb71c96d51089cd60eb6dda0"),
    (
        replace(PANEL, pregnant=False),
        replace(BARE, range=SentRange(low=Decimal("4.50"))),
        "0503164d71741d922f25bc10b3e737a60cf394dd14d25c7976caa1d361169a1c",
    ),
    (
        replace(PANEL, age_years=0),
        replace(BARE, text="see note", number=None),
        "dca336413a932690643a09446629eedc5f7432ddae639f7c108f0b22d54648c5",
    ),
]


@pytest.mark.parametrize(("panel", "one", "analyte", "digest"), IDENTITIES)
def test_an_identity_is_what_it_always_was(panel: Panel, one: Result, *, analyte: str | None, digest: str) -> None:
    assert identity("lab ß", panel, one, analyte=analyte) == digest


@pytest.mark.parametrize(("panel", "one", "digest"), FINGERPRINTS)
def test_a_fingerprint_is_what_it_always_was(panel: Panel, one: Result, digest: str) -> None:
    assert fingerprint(panel, one) == digest


def digest_of(said: list[Any]) -> str:
    """The digest of what is said, as it was defined: that of its JSON."""
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


words = st.text(max_size=20)
numbers = st.none() | st.decimals(allow_nan=False, allow_infinity=False)


@settings(max_examples=300, deadline=None)
@given(
    st.builds(
        Result,
        pointer=st.just("/results/0"),
        sender_id=st.none() | words,
        analyte=st.none() | words,
        code=st.none() | st.builds(Code, code=words, system=words),
        text=words,
        number=st.none(),
        comparator=words,
        unit=words,
        range=st.none() | st.builds(SentRange, low=numbers, high=numbers, unit=st.none() | words),
        status=st.sampled_from(Status),
        note=st.none() | words,
    ),
    st.builds(
        Panel,
        patient=st.just(Patient(identifier="p")),
        collected_at=st.datetimes(timezones=st.just(UTC)),
        accession=st.none() | words,
        pregnant=st.none() | st.booleans(),
        trimester=st.none() | st.integers(1, 3),
        age_years=st.none() | st.integers(0, 130),
        results=st.just(()),
    ),
    st.tuples(words, st.none() | words),
)
def test_a_digest_is_that_of_the_json_of_what_was_said(
    one: Result, panel: Panel, names: tuple[str, str | None]
) -> None:
    source, analyte = names
    sent, code = one.range, one.code
    system = None if code is None else code.system
    at = panel.collected_at.isoformat()
    what = analyte if analyte is not None else f"{system}|{code.code}" if code is not None else one.analyte or ""
    told_apart = [source, "collection", what, at]
    if panel.accession is not None:
        told_apart = [source, "accession", panel.accession, what, at]
    if one.sender_id is not None:
        told_apart = [source, "id", one.sender_id]

    assert identity(source, panel, one, analyte=analyte) == digest_of(told_apart)
    assert fingerprint(panel, one) == digest_of(
        [
            at,
            [panel.pregnant, panel.trimester, panel.age_years],
            [one.analyte, system, None if code is None else code.code],
            [one.comparator, one.text, one.unit, one.status.value, one.note],
            None if sent is None else [None if n is None else str(n) for n in (sent.low, sent.high)] + [sent.unit],
        ]
    )
