"""OBX-11 and OBR-25: the state of a result is the stricter one of two tables."""

import pytest

from service.domain.panels import Status
from tests.formats.hl7v2.build import OBR, obx, only, report


@pytest.mark.parametrize(
    ("letter", "status"),
    [
        ("F", Status.FINAL),
        ("C", Status.CORRECTED),
        ("A", Status.AMENDED),
        ("P", Status.PRELIMINARY),
        ("D", Status.ENTERED_IN_ERROR),
        ("W", Status.ENTERED_IN_ERROR),
        ("X", Status.CANCELLED),
        ("B", Status.APPENDED),
        ("V", Status.FINAL),
        ("U", Status.FINAL),
        ("R", Status.REGISTERED),
        ("S", Status.REGISTERED),
        ("I", Status.REGISTERED),
        ("O", Status.REGISTERED),
        ("N", Status.REGISTERED),
    ],
)
def test_the_state_of_a_result_is_that_of_table_0085(letter, status):
    found = only(report(obx(status=letter), obr=OBR.removesuffix("F")))

    assert found.status is status
    # U leaves the value that was sent before only where it brings none itself.
    assert (found.promotes, found.text) == (False, "11.9")


@pytest.mark.parametrize(
    ("order", "result", "status"),
    [
        ("F", "C", Status.CORRECTED),
        ("C", "F", Status.CORRECTED),
        ("P", "F", Status.PRELIMINARY),
        ("M", "C", Status.PRELIMINARY),
        ("R", "F", Status.PRELIMINARY),
        ("A", "F", Status.FINAL),
        ("X", "F", Status.CANCELLED),
        ("F", "D", Status.ENTERED_IN_ERROR),
        ("I", "F", Status.REGISTERED),
        ("Z", "F", Status.UNKNOWN),
    ],
)
def test_of_the_states_of_order_and_result_the_stricter_counts(order, result, status):
    found = only(report(obx(status=result), obr=OBR.removesuffix("F") + order))

    assert found.status is status


@pytest.mark.parametrize(("order", "promotes"), [("F", True), ("C", True), ("P", True), ("X", False), ("I", False)])
def test_a_state_without_a_value_leaves_the_value_that_was_sent_where_it_is_judged(order, promotes):
    found = only(report(obx("", kind="", status="U"), obr=OBR.removesuffix("F") + order))

    assert found.promotes is promotes


def test_a_letter_of_the_other_table_is_no_state_of_an_order(faults_of):
    sent = report(obx(), obx(number=2, code="718-7^Hb^LN"), obr=OBR.removesuffix("F") + "D")

    assert faults_of(sent) == [("OBR^1^25^1", "not-a-choice")]


@pytest.mark.parametrize(("status", "code"), [("", "required"), ("Q", "not-a-choice")])
def test_a_result_says_in_which_state_it_is(status, code, faults_of):
    assert faults_of(report(obx(status=status))) == [("OBX^1^11^1", code)]
