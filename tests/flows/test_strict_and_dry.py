"""What is refused is not kept at all, and what is only tried leaves nothing behind."""

import pytest

from service.domain.errors import BadInput
from tests.flows.build import Sender, calcium, hemoglobin, kept, outcomes, panel, result, row_counts, told


@pytest.fixture
def sender(means):
    return Sender(means)


@pytest.mark.parametrize(
    ("sent", "pointer", "code"),
    [
        (result("calcium", "9", "furlong"), "/results/1/unit", "unit-unknown"),
        (result("kalzium", "9", "mg/dL"), "/results/1/analyte", "code-unmapped"),
        (calcium("99"), "/results/1/value", "implausible"),
        (calcium("9", comparator="~"), "/results/1/comparator", "comparator-unusable"),
        (calcium("9", reference_range={"high": "10.3", "unit": "furlong"}), "/results/1/reference_range",
         "reference-range-unusable"),
    ],
)  # fmt: skip
def test_strict_handling_refuses_a_fault_of_meaning_and_keeps_nothing(sender, database, sent, pointer, code):
    before = kept(database)

    with pytest.raises(BadInput) as refused:
        sender.send(panel(hemoglobin("9.1"), sent), strict=True)

    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [(pointer, code)]
    assert refused.value.kind == "not-judgeable"
    assert kept(database) == before


def test_strict_handling_takes_what_nobody_could_mend(sender, database):
    receipt = sender.send(panel(result("albumin", "20", "g/L"), calcium("11.9", status="cancelled")), strict=True)

    assert receipt.id is not None
    assert [outcome for outcome, _ in outcomes(receipt)] == ["not_judged", "not_judged"]


def test_a_panel_with_the_same_result_twice_is_refused_whole(sender, database):
    with pytest.raises(BadInput) as refused:
        sender.send(panel(calcium("11.9"), calcium("9.9")))

    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/results/1", "result-repeated")]
    assert not any(row_counts(database).values())


def test_every_result_whose_name_contradicts_its_code_is_named(sender, database):
    with pytest.raises(BadInput) as refused:
        sender.send(
            panel(
                calcium("9", code="6768-6"), hemoglobin("9", code="718-7"), result("albumin", "3", "g/dL", code="777-3")
            )
        )

    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [
        ("/results/0/code", "analyte-contradicts-code"),
        ("/results/2/code", "analyte-contradicts-code"),
    ]
    assert not any(row_counts(database).values())


def test_a_code_of_a_system_that_is_not_loinc_contradicts_nothing(sender):
    receipt = sender.send(panel(calcium("11.9", code={"system": "urn:lab-1", "code": "6768-6"})))

    assert outcomes(receipt) == [("flagged", None)]


@pytest.mark.parametrize("system", ["http://loinc.org", "urn:oid:2.16.840.1.113883.6.1", "LN"])
def test_a_loinc_code_names_an_analyte_whatever_loinc_is_called(sender, system):
    receipt = sender.send(panel({"code": {"system": system, "code": "17861-6"}, "value": "11.9", "unit": "mg/dL"}))

    assert outcomes(receipt) == [("flagged", None)]


def test_a_dry_run_answers_the_same_verdicts_and_keeps_nothing(sender, database):
    sender.send(panel(calcium("11.0")))
    before = kept(database)
    sent = panel(calcium("12.9"), hemoglobin("9.1"), on=1)

    dry = sender.send(sent, dry_run=True)

    assert dry.id is None
    assert kept(database) == before
    wet = sender.send(sent)
    assert outcomes(dry) == outcomes(wet)
    assert told(dry) == told(wet)
    assert [(one.flag.why, one.state) for one in dry.flags] == [(one.flag.why, one.state) for one in wet.flags]


def test_a_dry_run_of_an_unknown_patient_keeps_no_patient(sender, database):
    receipt = sender.send(panel(calcium("11.9")), dry_run=True)

    assert outcomes(receipt) == [("flagged", None)]
    assert [(one.flag.id, one.episode) for one in receipt.flags] == [(None, None)]
    assert not any(row_counts(database).values())
