"""Acknowledgments, to the letter."""

from datetime import datetime, timedelta, timezone

import pytest

from service.domain.errors import Fault
from service.formats.hl7v2 import ack
from service.formats.hl7v2.ack import Line, Stamp
from service.formats.hl7v2.head import head_of
from service.formats.hl7v2.segments import STANDARD, separators, unescaped
from service.formats.reading import Notice
from tests.formats.hl7v2.build import msh, obx, report

AT = datetime(2026, 3, 2, 9, 0, 0, 120_000, tzinfo=timezone(timedelta(hours=1)))
STAMP = Stamp(id="A0000001", at=AT)


def answered(sent, code, *lines):
    return ack.acknowledgment(head_of(sent), code, lines, stamp=STAMP)


def test_a_fault_is_acknowledged_as_the_standard_says():
    sent = b"MSH|^~\\&|LAB|HOSP|ALERT|HOSP|20260302085959+0100||ORU^R01^ORU_R01|MSG00001|P|2.5.1\r"
    fault = Fault(pointer="OBX^1^11^1", code="required", detail="OBX-11 (result status) is empty")

    assert answered(sent, "AE", ack.of_fault(fault)) == (
        b"MSH|^~\\&|ALERT|HOSP|LAB|HOSP|20260302090000.120+0100||ACK^R01^ACK|A0000001|P|2.5.1\r"
        b"MSA|AE|MSG00001\r"
        b"ERR||OBX^1^11^1|101^Required field missing^HL70357|E||||OBX-11 (result status) is empty\r"
    )


def test_a_message_without_a_head_is_answered_all_the_same():
    assert answered(b"hello", "AR") == (
        b"MSH|^~\\&|LAB-ALERTS|LAB-ALERTS|||20260302090000.120+0100||ACK|A0000001|P|2.5.1\rMSA|AR|\r"
    )


def test_the_answer_is_in_the_separators_and_characters_of_the_message():
    sent = "MSH$%*?@$Lé$B$C$D$20260302085959+0100$$ORU%R01$M$T$2.3$$$$$$8859/1\r".encode("latin-1")

    found = answered(sent, "AE", Line(place="OBX^1^3^1", code=103, severity="E", text="a $ b"))

    assert found == (
        "MSH$%*?@$C$D$Lé$B$20260302090000.120+0100$$ACK%R01%ACK$A0000001$T$2.3$$$$$$8859/1\rMSA$AE$M\r"
        "ERR$$OBX%1%3%1$103%Table value not found%HL70357$E$$$$a ?F? b\r"
    ).encode("latin-1")


@pytest.mark.parametrize("text", ["a | b ^ c ~ d \\ e & f", "one\ntwo", ""])
def test_text_survives_its_escapes(text):
    assert unescaped(ack.escaped(text, STANDARD), STANDARD, "utf-8") == text.replace("\n", " ")


def test_without_an_escape_character_a_separator_becomes_a_blank():
    assert ack.escaped("a^b", separators("MSH|^~|")) == "a b"


@pytest.mark.parametrize("code", sorted(ack.CODES))
def test_every_fault_has_an_entry_of_table_0357(code):
    assert ack.of_fault(Fault(pointer="MSH^1", code=code, detail="x")).code in ack.TEXTS


@pytest.mark.parametrize(("code", "severity"), [("partial-time", "I"), ("comparator-in-number", "W")])
def test_what_was_accepted_all_the_same_is_a_warning_or_only_told(code, severity):
    line = ack.of_notice(Notice(place="OBX^1", code=code, detail="x"))

    assert (line.code, line.severity) == (0, severity)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        *((code, "AE") for code in ("required", "result-repeated", "idempotency-key-reused")),
        *((code, "AR") for code in ("message-type", "event", "processing-id", "version", "locked", "internal")),
    ],
)
def test_content_is_an_error_and_what_we_cannot_take_is_a_rejection(code, expected):
    assert ack.code_for(head_of(report(obx())), [Fault(pointer="", code=code, detail="x")]) == expected


def test_a_message_without_a_head_is_rejected():
    head = head_of(b"hello")

    assert ack.code_for(head, head.faults) == "AR"


@pytest.mark.parametrize(
    ("accept", "apply", "good", "bad"),
    [
        ("", "", ["AA"], ["AE"]),
        ("AL", "NE", ["CA"], ["CE"]),
        ("AL", "AL", ["CA", "AA"], ["CE"]),
        ("NE", "AL", ["AA"], ["AE"]),
        ("NE", "NE", [], []),
        ("", "ER", [], ["AE"]),
        ("ER", "AL", ["AA"], ["CE"]),
        ("SU", "AL", ["CA", "AA"], ["AE"]),
        ("SU", "ER", ["CA"], ["AE"]),
        ("Y", "", ["CA"], ["CE"]),
        ("", "al", ["AA"], ["AE"]),
    ],
)
def test_the_enhanced_mode_says_which_acknowledgments_are_due(accept, apply, good, bad):
    head = head_of(report(obx(), head=msh(accept=accept, apply=apply)))

    assert (ack.due(head, "AA"), ack.due(head, "AE")) == (good, bad)
