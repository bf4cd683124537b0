"""What is said of a patient, and when: repeated, taken back, or beside an older version."""

from itertools import permutations

import pytest

from service.domain.errors import BadInput
from tests.flows.build import WOMAN, Sender, calcium, current_outcomes, day, flag_states, hemoglobin, panel, result


@pytest.fixture
def sender(means):
    return Sender(means)


def test_a_repeated_panel_with_a_newer_statement_about_the_patient_is_kept(sender, database):
    sexless = {"id": "1", "birth_date": "1980-01-01"}
    a, b, c = (panel(hemoglobin("12.5"), on=number, patient=sexless) for number in (5, 3, 4))
    told_male = a | {"patient": sexless | {"sex": "male"}}
    sender.send(a)
    sender.send(b | {"patient": sexless | {"sex": "male"}})

    repeated = sender.send(told_male)
    sender.send(c | {"patient": sexless | {"sex": "female"}})

    assert not repeated.duplicate
    assert flag_states(database).count(("anemia", "mild", "open")) == 3


def test_taking_a_result_back_says_nothing_about_the_patient(sender, database):
    sender.send(panel(hemoglobin("12.5")))
    mixed_up = panel(hemoglobin("14", id="R-9"), on=1, patient={**WOMAN, "sex": "male"}, status="entered-in-error")

    sender.send(mixed_up)

    assert flag_states(database) == []


def test_strict_handling_refuses_a_repeated_panel_that_cannot_be_judged_either(sender):
    sent = panel(result("calcium", "9", "furlong"))
    sender.send(sent)

    with pytest.raises(BadInput) as refused:
        sender.send(sent, strict=True)

    assert refused.value.kind == "not-judgeable"


def test_a_statement_that_comes_with_an_outranked_version_leaves_no_stale_verdict(sender, database):
    unknown = {"id": "7", "birth_date": "1980-01-01"}
    sender.send(panel(hemoglobin("12.5", id="R-1"), patient=unknown, status="corrected"))

    sender.send(panel(hemoglobin("12.4", id="R-1"), patient=unknown | {"sex": "male"}))

    assert flag_states(database) == [("anemia", "mild", "open")]
    assert current_outcomes(database) == ["flagged"]


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_a_version_without_a_time_of_issue_ends_the_same_in_any_order(sender, database, order):
    versions = [
        panel(calcium("11.9", id="R-1"), status="corrected", issued_at=day(1).isoformat()),
        panel(calcium("13.6", id="R-1"), status="final", issued_at=day(2).isoformat()),
        panel(calcium("9.9", id="R-1"), status="preliminary"),
    ]

    for place in order:
        sender.send(versions[place])

    open_ones = [(severity, state) for _, severity, state in flag_states(database) if state == "open"]
    assert open_ones == [("moderate", "open")]
    assert current_outcomes(database) == ["flagged"]
