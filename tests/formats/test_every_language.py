"""The same panel, said in every language that a door understands, is read and judged the same."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.facts import Known, learn
from service.domain.identity import identity
from service.domain.judge import judge
from service.domain.panels import Code, Panel, Patient, Result, SentRange, Status
from service.domain.people import Sex
from service.domain.timeline import Held, Timeline
from service.flows.arrivals import identities
from service.formats import csv_rows, native, ndjson, writing
from service.formats.fhir import bundle, reader
from service.formats.hl7v2 import reader as hl7v2
from tests.domain.build import BOOK, RULESET

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CODES = {"17861-6": ("mg/dL", "5.0", "16.0"), "6768-6": ("U/L", "20", "900"), "718-7": ("g/dL", "4.0", "18.0"),
         "777-3": ("10*3/uL", "3", "900"), "1751-7": ("g/dL", "2.0", "5.0")}  # fmt: skip
PLAIN = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


@st.composite
def results(draw, code):
    unit, low, high = CODES[code]
    number = draw(st.decimals(Decimal(low), Decimal(high), places=draw(st.integers(0, 2))))
    limits = SentRange(low=Decimal(low), high=Decimal(high))
    return Result(
        pointer="",
        sender_id=draw(st.none() | PLAIN.map(lambda name: f"{name}-{code}")),
        code=Code(code=code),
        text=str(number),
        number=number,
        comparator=draw(st.sampled_from(["", "", "", "<", "<=", ">", ">="])),
        unit=draw(st.sampled_from([unit, unit, unit, "furlong"])),
        range=draw(st.sampled_from([None, limits, replace(limits, low=None), replace(limits, high=None)])),
        status=draw(st.sampled_from([Status.FINAL, Status.FINAL, Status.PRELIMINARY, Status.CORRECTED,
                                     Status.CANCELLED, Status.ENTERED_IN_ERROR])),
    )  # fmt: skip


@st.composite
def panels(draw):
    codes = draw(st.lists(st.sampled_from(sorted(CODES)), min_size=1, max_size=5, unique=True))
    return Panel(
        patient=Patient(
            identifier=draw(PLAIN),
            authority=draw(PLAIN),
            sex=draw(st.sampled_from(Sex)),
            born=draw(st.none() | st.dates(NOW.date() - timedelta(days=32_000), NOW.date() - timedelta(days=40))),
        ),
        collected_at=NOW - timedelta(minutes=draw(st.integers(0, 40_000))),
        accession=draw(PLAIN),
        results=tuple(draw(results(code)) for code in codes),
    )


def only(entries):
    ((entry, *_),) = [list(entries)]
    return entry.panel


def from_ndjson(panel):
    return only(ndjson.read(io.BytesIO(writing.ndjson(panel)), now=NOW))


def from_csv(panel):
    return only(csv_rows.read(io.BytesIO(writing.csv(panel)), now=NOW))


def from_fhir(panel):
    found = bundle.read_bundle(reader.parse(writing.fhir(panel)), now=NOW, base=None, known=lambda _: True)
    (read,) = found.reading.panels
    return read


def from_hl7v2(panel):
    (read,) = hl7v2.read(writing.hl7v2(panel, control_id="1"), now=NOW).panels
    return read


def from_cds_hooks(panel):
    sent = reader.parse(writing.cds_hooks(panel, instance="1"))["prefetch"]["labs"]
    found = reader.read_observations(sent, panel.patient, patient_id="1", now=NOW, base=None, known=lambda _: True)
    (read,) = found.reading.panels
    return read


LANGUAGES = {
    "ndjson": from_ndjson,
    "csv": from_csv,
    "fhir": from_fhir,
    "hl7v2": from_hl7v2,
    "cds-hooks": from_cds_hooks,
}


def judged(panel):
    """The verdicts in the order of the results, in the words in which they are answered."""
    names = identities(panel, "s", BOOK.analytes)
    held = [
        Held(
            key=str(place),
            version=1,
            result=result,
            analyte=analyte,
            status=result.status,
            collected_at=panel.collected_at,
            ruleset=RULESET,
        )
        for place, (result, (analyte, _)) in enumerate(zip(panel.results, names, strict=True))
    ]
    found = judge(Timeline(facts=learn(Known(), panel).facts, results=tuple(held)), BOOK)
    return [
        (one.outcome, one.reason, one.finding, one.severity, one.grade, one.provisional, one.why)
        for one in (found.verdicts[each.key] for each in held)
    ], sorted((flag.finding, flag.severity) for flag in found.flags.values())


@pytest.mark.parametrize("language", LANGUAGES)
@given(panel=panels())
def test_a_panel_said_in_any_language_has_the_same_verdicts(language, panel):
    plain = native.read(writing.native(panel), now=NOW)

    read = LANGUAGES[language](panel)

    assert judged(read) == judged(plain)
    assert (read.patient.sex, read.patient.born, read.collected_at) == (
        plain.patient.sex,
        plain.patient.born,
        plain.collected_at,
    )


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "cds-hooks"])
@given(panel=panels())
def test_a_panel_said_in_any_language_is_of_the_same_patient(language, panel):
    read = LANGUAGES[language](panel)

    assert (read.patient.identifier, read.patient.authority) == (panel.patient.identifier, panel.patient.authority)


@pytest.mark.parametrize("language", LANGUAGES)
@given(panel=panels())
def test_each_result_has_an_identity_of_its_own_and_keeps_it(language, panel):
    first, second = LANGUAGES[language](panel), LANGUAGES[language](panel)

    names = [identity("s", first, one, analyte=None) for one in first.results]

    assert len(set(names)) == len(panel.results)
    assert names == [identity("s", second, one, analyte=None) for one in second.results]
