"""Anything at all, and messages with something odd in them: read or refused, and every OBX accounted for."""

import random

from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import BadInput
from service.formats.hl7v2 import ack
from service.formats.hl7v2.ack import Stamp
from service.formats.hl7v2.batch import batch
from service.formats.hl7v2.head import head_of
from service.formats.hl7v2.reader import read_partly
from service.formats.hl7v2.segments import taken_apart
from service.formats.reading import Reading
from tests.flows.build import NOW
from tests.formats.hl7v2.build import OBR, PID, message, msh, obx, read, report

ODD = [
    "",
    '""',
    "x",
    "^",
    "~",
    "&",
    "\\",
    "\\X41\\",
    "\\X00\\",
    "^^^^^",
    "~~",
    "20261120",
    "99999999",
    "-1",
    "1e400",
    "<",
]
ODD += ["\x00", "ä", "\N{DROP OF BLOOD}", "F", "Q", "NM", "MSH|", "OBX|1|NM", "9" * 400, "\r", "\n", "\r\r\n", "|"]
WHOLE = message(
    PID,
    "ORC|RE|P-1|F-1",
    OBR,
    "NTE|1||fasting",
    obx("11.9"),
    obx("<^5", number=2, kind="SN", code="777-3^PLT^LN", unit="10*9/L"),
    obx("Yellow", number=3, kind="CWE", code="X^Color^L"),
    obx("561", number=4, code="6768-6^ALP^LN", unit="U/L", status="P", at="20261120"),
    "SPM|1|||SER|||||||||||||20261119060000+0000",
).decode()


def accounted(sent):
    """Read a message: each OBX of one that is not refused as a whole is a result, ignored, or has a fault."""
    head = head_of(sent)
    found = read_partly(head, now=NOW)
    segments, broken = taken_apart(head.text, head.signs, head.codec)
    places = {one.place() for one in segments if one.name == "OBX"}
    results = [result.pointer for panel in found.reading.panels for result in panel.results]
    assert len(set(results)) == len(results)
    told = {*results, *(one.place for one in found.reading.ignored)}
    faulty = {"^".join(fault.pointer.split("^")[:2]) for fault in found.faults}
    if not {"MSH^1", "PID^1", "OBR^1"} & faulty and not broken:
        assert places == (told | faulty) & places
    answer = ack.acknowledgment(head, "AE", [*map(ack.of_fault, found.faults)], stamp=Stamp(id="1", at=NOW))
    assert answer.decode(head.codec).count("\r") == len(found.faults) + 2
    return found


@given(sent=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(sent):
    for one in batch(sent).messages:
        read_or_refuse(one)


@given(rest=st.text(alphabet=st.sampled_from("|^~\\&\r\nMSHPIDOBXR0123456789NF<-."), max_size=200))
def test_anything_behind_a_head_is_read_or_refused(rest):
    read_or_refuse(message(rest, head=msh()))
    read_or_refuse(message(PID, OBR, f"OBX|1|{rest}"))


@given(fields=st.lists(st.sampled_from(ODD) | st.text(max_size=8), max_size=25))
def test_any_fields_of_an_observation_are_read_or_refused(fields):
    read_or_refuse(report(f"OBX|{'|'.join(fields)}"))


def read_or_refuse(sent):
    try:
        found = read(sent)
    except BadInput as refused:
        found = refused

    if isinstance(found, BadInput):
        assert found.faults
        assert all(fault.pointer and ack.of_fault(fault).code in ack.TEXTS for fault in found.faults)
    else:
        assert isinstance(found, Reading)
    accounted(sent)


def test_a_mutated_message_is_read_or_refused_and_nothing_is_lost():
    chance = random.Random(4)  # noqa: S311  nothing secret is made

    ends = {bool(accounted(mutated(chance)).faults) for _ in range(3_000)}

    assert ends == {True, False}


def mutated(chance):
    lines = WHOLE.split("\r")
    for _ in range(chance.choice([1, 1, 2, 3])):
        place = chance.randrange(len(lines))
        fields = lines[place].split("|")
        fields[chance.randrange(len(fields))] = chance.choice(ODD)
        changed = "|".join(fields)
        chance.choice([_put, _put, _put, _put, _drop, _double, _swap])(lines, place, changed)
        lines = lines or ["MSH"]
    return "\r".join(lines).encode()


def _put(lines, place, changed):
    lines[place] = changed


def _drop(lines, place, _):
    del lines[place]


def _double(lines, place, changed):
    lines.insert(place, changed)


def _swap(lines, place, _):
    lines[place], lines[0] = lines[0], lines[place]
