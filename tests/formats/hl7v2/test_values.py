"""OBX-5 to OBX-8: what a value is, by its type, and what is no number."""

from decimal import Decimal

import pytest

from service.domain.panels import SentRange
from service.formats.hl7v2.ranges import sent_range
from tests.formats.hl7v2.build import obx, only, read, report


def notices(sent):
    return [(one.place, one.code) for one in read(sent).notices]


@pytest.mark.parametrize(
    ("kind", "sent", "comparator", "number"),
    [
        ("NM", "11.9", "", "11.9"),
        ("NM", "065.88", "", "065.88"),
        ("NM", "+3.50", "", "3.50"),
        ("NM", "-0.5", "", "-0.5"),
        ("NM", "<5", "<", "5"),
        ("ST", ">= 200", ">=", "200"),
        ("ST", "14.3", "", "14.3"),
        ("TX", "5", "", "5"),
        ("SN", "^182", "", "182"),
        ("SN", "=^182", "", "182"),
        ("SN", "<^5", "<", "5"),
        ("SN", ">=^5", ">=", "5"),
        ("SN", "<>^5", "<>", "5"),
    ],
)
def test_a_number_is_read(kind, sent, comparator, number):
    found = only(report(obx(sent, kind=kind)))

    assert (found.comparator, str(found.number), found.upper) == (comparator, str(Decimal(number)), None)
    assert found.absent is None


@pytest.mark.parametrize(
    ("kind", "sent", "text"),
    [
        ("NM", "11,9", "11,9"),
        ("NM", "pending", "pending"),
        ("NM", "1.2.3", "1.2.3"),
        ("NM", "27~25", "27~25"),
        ("ST", "5.2 high", "5.2 high"),
        ("ST", "1 000", "1 000"),
        ("SN", "^1^:^128", "1:128"),
        ("SN", "^1^/^2", "1/2"),
        ("SN", "^2^+", "2+"),
        ("SN", "^9^-^3", "9-3"),
        ("SN", "<^3^-^9", "<3-9"),
        ("SN", "^^^3", "3"),
        ("NR", "9^3", "9-3"),
        ("CE", "POS^Positive^L", "Positive"),
        ("CWE", "POS^^L", "POS"),
        ("ED", "LIS^application^pdf^Base64^JVBERi0", "application pdf"),
        ("RP", "x^LIS^image^PNG", "LIS image"),
        ("TX", "one~two", "one\ntwo"),
        ("DT", "20261120", "20261120"),
        ("XPN", "Doe^Ada", "Doe Ada"),
    ],
)
def test_what_is_no_number_is_kept_as_text(kind, sent, text):
    found = only(report(obx(sent, kind=kind)))

    assert (found.text, found.number, found.upper, found.absent) == (text, None, None, None)


@pytest.mark.parametrize(("kind", "sent"), [("SN", "^3.1^-^3.4"), ("NR", "3.1^3.4")])
def test_a_range_as_value_has_two_ends(kind, sent):
    found = only(report(obx(sent, kind=kind)))

    assert (found.text, found.number, found.upper) == ("3.1-3.4", Decimal("3.1"), Decimal("3.4"))


@pytest.mark.parametrize(
    ("kind", "sent", "status", "why"),
    [
        ("NM", "", "F", "unknown"),
        ("", "", "X", "unknown"),
        ("SN", "^", "F", "unknown"),
        ("NM", '""', "F", "deleted"),
        ("NM", "", "N", "not-asked"),
    ],
)
def test_that_there_is_no_value_has_a_reason(kind, sent, status, why):
    found = only(report(obx(sent, kind=kind, status=status)))

    assert (found.absent, found.text, found.number) == (why, "", None)


@pytest.mark.parametrize(
    ("kind", "sent", "code"),
    [
        ("NM", "<5", "comparator-in-number"),
        ("NM", "pending", "not-a-number"),
        ("NM", "27~25", "several-values"),
        ("ST", "5", "number-in-text"),
    ],
)
def test_a_departure_from_the_type_is_told(kind, sent, code):
    assert notices(report(obx(sent, kind=kind))) == [("OBX^1^5^1", code)]


@pytest.mark.parametrize(("kind", "code"), [("", "required"), ("QQ", "not-a-choice")])
def test_a_value_without_a_type_that_there_is_is_a_fault(kind, code, faults_of):
    assert faults_of(report(obx(kind=kind))) == [("OBX^1^2^1", code)]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("8.6-10.3", "8.6", "10.3"),
        ("5 - 10", "5", "10"),
        ("4.3 to 6.2", "4.3", "6.2"),
        ("3,5-5,0", "3.5", "5.0"),
        ("0,150-0,400", "0.150", "0.400"),
        ("-2-2", "-2", "2"),
        ("-4--2", "-4", "-2"),
        ("8.6 – 10.3", "8.6", "10.3"),
        ("8.6-10.3 mg/dL", "8.6", "10.3"),
        ("<5", None, "5"),
        ("<=5", None, "5"),
        (">5", "5", None),
        (">= 60", "60", None),
    ],
)
def test_a_reference_range_is_read_in_the_one_way_that_it_can_be(text, low, high):
    found = sent_range(text, "mg/dL")

    assert found == SentRange(low=low and Decimal(low), high=high and Decimal(high))


@pytest.mark.parametrize(
    "text", ["70_105", "10-5", "1,000-2,000", "M: 13-17", "negative", "5", "<", "5-10-15", "1e99-2"]
)
def test_any_other_reference_range_is_unclear(text):
    found = sent_range(text, "mg/dL")

    assert (found.low, found.high) == (None, None)
    assert found.unclear


def test_without_a_reference_range_there_is_none():
    assert only(report(obx(range_=""))).range is None


@pytest.mark.parametrize(
    ("sent", "unit"),
    [
        ("mg/dL", "mg/dL"),
        ("mg/dL^milligrams^UCUM", "mg/dL"),
        ("MGDL^milligrams^L^mg/dL^^UCUM", "mg/dL"),
        ("^milligrams per deciliter", "milligrams per deciliter"),
        ("10*3/uL", "10*3/uL"),
        ("10^9/L", "10^9/L"),
        ("x10^9/L", "x10^9/L"),
        (r"10\S\9/L", "10^9/L"),
        ("", ""),
    ],
)
def test_the_unit_is_the_ucum_code_or_what_stands_for_it(sent, unit):
    assert only(report(obx(unit=sent))).unit == unit


def test_a_unit_with_a_separator_in_it_is_told():
    assert notices(report(obx(unit="10^9/L"))) == [("OBX^1^6^1", "unit-not-escaped")]


@pytest.mark.parametrize(
    ("sent", "read"), [("H", ("H",)), ("H~A", ("H", "A")), ("HH^very high^HL70078", ("HH",)), ("", ())]
)
def test_the_opinion_of_the_laboratory_is_kept(sent, read):
    assert only(report(obx(flag=sent))).interpretation == read


@pytest.mark.parametrize(("text", "low", "high"), [("0.5-11", "0.5", "11"), ("0.5-11 1", "0.5", "11")])
def test_a_unit_that_is_a_number_takes_nothing_from_a_limit(text, low, high):
    assert sent_range(text, "1") == SentRange(low=Decimal(low), high=Decimal(high))
