"""HL7 v2 text is taken apart by the separators that it declares, held against an independent library."""

import hl7
import pytest

from service.formats.hl7v2.head import codec_of, head_of
from service.formats.hl7v2.segments import STANDARD, separators, taken_apart, unescaped
from tests.formats.hl7v2.build import PID, message, msh, obx, only, report


@pytest.mark.parametrize(
    ("line", "declared"),
    [
        (r"MSH|^~\&|A", ("|", "^", "~", "\\", "&")),
        ("MSH$%*?@$A", ("$", "%", "*", "?", "@")),
        (r"MSH|^~\|A", ("|", "^", "~", "\\", "")),
        ("MSH|^|A", ("|", "^", "", "", "")),
        (r"MSH|^~\&#|A", ("|", "^", "~", "\\", "&")),
    ],
)
def test_separators_are_those_that_are_declared(line, declared):
    found = separators(line)

    assert (found.field, found.component, found.repetition, found.escape, found.sub) == declared


@pytest.mark.parametrize("line", ["MSH", "MSH|", "MSHAB", "MSH||", "MSH|^^", "MSH^^~", "MSH|^~\\^|A", "MSH 1"])
def test_a_line_that_declares_none_that_can_be_used_has_none(line):
    assert separators(line) is None


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"5 \T\ 6", "5 & 6"),
        (r"\F\\S\\R\\E\ ", "|^~\\ "),
        (r"one\.br\two", "one\ntwo"),
        (r"\H\loud\N\ ", "loud "),
        (r"\XC2B5\mol", "µmol"),
        (r"\X00\ ", r"\X00\ "),
        (r"\Xzz\ ", r"\Xzz\ "),
        (r"\Zown\ ", r"\Zown\ "),
        ("a single \\ stays", "a single \\ stays"),
    ],
)
def test_escapes_are_read(raw, text):
    assert unescaped(raw, STANDARD, "utf-8") == text


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n"])
def test_any_end_of_line_ends_a_segment(end):
    head = head_of(message(PID, obx(), head=msh(), end=end))

    segments, faults = taken_apart(head.text, head.signs, head.codec)

    assert [one.name for one in segments] == ["MSH", "PID", "OBX"]
    assert faults == []


def test_components_are_those_that_another_library_finds():
    sent = report(obx(code=r"1^A \T\ B^L^17861-6^Calcium^LN", unit="mg/dL^x&y^UCUM", flag="H~HH"))

    head = head_of(sent)
    ours, _ = taken_apart(head.text, head.signs, head.codec)

    theirs = hl7.parse(sent.decode())
    for segment, other in zip(ours, theirs, strict=True):
        assert list(segment.fields)[1:] == [str(one) for one in other][1:]
        for number, field in enumerate(other):
            if number > 2 and str(field):
                parts = [str(part) for part in field[0]] if "^" in str(field) else [str(field).split("~")[0]]
                assert segment.first(number).raw.split("^") == parts


def test_odd_separators_say_the_same():
    usual = report(obx(code=r"CA^Ca \T\ ion^L^17861-6^Calcium^LN", flag="H~HH"))
    odd = usual.translate(bytes.maketrans(rb"|^~\&", b"$%*?@"))

    assert only(odd) == only(usual)


def test_a_line_that_is_no_segment_is_named_with_what_stands_before_it(faults_of):
    sent = report(obx(), "and so on")

    assert faults_of(sent) == [("OBX^1", "segment-unreadable")]


@pytest.mark.parametrize("sign", ["\x00", "\x0b", "\x1c"])
def test_a_control_character_is_no_text(sign, faults_of):
    assert faults_of(report(obx(value=f"11{sign}.9"))) == [("OBX^1", "type")]


@pytest.mark.parametrize(
    ("named", "codec"),
    [
        ("", "utf-8"),
        ("UNICODE UTF-8", "utf-8"),
        ("UTF8", "utf-8"),
        ("8859/1", "iso8859-1"),
        ("ISO-8859-15", "iso8859-15"),
        ("ASCII", "ascii"),
        ("8859/12", None),
        ("UNICODE UTF-16", None),
    ],
)
def test_character_sets_have_several_spellings(named, codec):
    assert codec_of(named) == codec


def named(charset):
    return f"{msh()}||{charset}"


def test_bytes_are_read_in_the_character_set_that_is_declared():
    text = report(obx(kind="ST", value="3 µmol"), head=named("8859/1")).decode()

    assert only(text.encode("latin-1")).text == "3 µmol"


def test_what_the_transport_says_counts_where_the_message_says_nothing():
    sent = report(obx(kind="ST", value="3 µmol")).decode().encode("latin-1")

    assert only(sent, charset="ISO-8859-1").text == "3 µmol"


@pytest.mark.parametrize(("charset", "code"), [("", "type"), ("ASCII", "type"), ("UNICODE UTF-16", "not-a-choice")])
def test_bytes_that_cannot_be_read_are_a_fault_of_the_character_set(charset, code, faults_of):
    sent = report(obx(kind="ST", value="3 µmol"), head=named(charset)).decode().encode("latin-1")

    assert faults_of(sent) == [("MSH^1^18^1", code)]


@pytest.mark.parametrize("sent", [b"MSH\xd7\x90~\\&x", b"MSH|\xd7~\\&|LIS"])
def test_separators_that_are_not_ascii_leave_no_head_to_read(sent):
    assert head_of(sent).msh is None
