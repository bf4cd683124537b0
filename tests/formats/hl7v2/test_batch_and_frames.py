"""Messages one after another: in a body, and in a stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.formats.hl7v2.batch import batch, together
from service.formats.hl7v2.frames import Frames, TooLarge, framed
from tests.formats.hl7v2.build import msh, obx, report

ONE, OTHER = report(obx()), report(obx(), head=msh(control="M2"))
BHS, FHS = b"BHS|^~\\&|LIS|LAB|ALERTS|HOSP\r", b"FHS|^~\\&|LIS|LAB|ALERTS|HOSP\r"


def test_messages_one_after_another_are_several():
    found = batch(ONE + OTHER)

    assert (found.messages, found.envelope, found.faults) == ((ONE, OTHER), (), ())


@pytest.mark.parametrize("end", [b"BTS|2\r", b"BTS\r", b"BTS||the end\r"])
def test_a_batch_is_its_messages(end):
    found = batch(FHS + BHS + ONE + OTHER + end + b"FTS|1\r")

    assert (found.messages, found.faults) == ((ONE, OTHER), ())


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (BHS + ONE, ("BTS^1", "sequence")),
        (BHS + ONE + b"BTS|2\r", ("BTS^1^1^1", "count")),
        (FHS + BHS + ONE + b"BTS|1\r", ("FTS^1", "sequence")),
    ],
)
def test_a_batch_that_is_not_whole_is_known(sent, fault):
    assert [(one.pointer, one.code) for one in batch(sent).faults] == [fault]


def test_the_answers_to_a_batch_are_a_batch():
    of = batch(FHS + BHS + ONE + OTHER + b"BTS|2\rFTS|1\r")

    assert together([b"one\r", b"two\r"], of) == (
        b"FHS|^~\\&|ALERTS|HOSP|LIS|LAB\rBHS|^~\\&|ALERTS|HOSP|LIS|LAB\rone\rtwo\rBTS|2\rFTS|1\r"
    )


def test_what_stands_before_the_first_head_is_a_message_of_its_own():
    assert batch(b"noise\r" + ONE).messages == (b"noise\r", ONE)


def taken(frames, pieces):
    found = []
    for piece in pieces:
        frames.feed(piece)
        while (message := frames.next()) is not None:
            found.append(message)
    return found


TEXT = st.binary(max_size=40).map(lambda raw: raw.translate(None, b"\x0b\x1c"))


@given(messages=st.lists(TEXT, max_size=4), noise=st.lists(TEXT, min_size=5, max_size=5), data=st.data())
def test_frames_are_found_wherever_the_stream_is_cut_and_noise_is_counted(messages, noise, data):
    stream = noise[0] + b"".join(framed(one) + between for one, between in zip(messages, noise[1:], strict=False))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    frames = Frames(longest=100)

    found = taken(frames, [stream[one:other] for one, other in zip([0, *cuts], [*cuts, len(stream)], strict=True)])

    assert found == messages
    assert frames.dropped == len(noise[0]) + sum(len(one) for one in noise[1 : len(messages) + 1])


def test_a_frame_that_begins_anew_was_broken_off_before():
    frames = Frames(longest=100)

    assert taken(frames, [b"\x0bbroken", framed(b"whole")]) == [b"whole"]
    assert frames.dropped == len(b"broken\x0b")


def test_only_both_signs_end_a_frame():
    assert taken(Frames(longest=100), [b"\x0ba\x1cb\x1c", b"\r"]) == [b"a\x1cb"]


def test_a_frame_is_bounded_before_it_ends():
    frames = Frames(longest=10)
    frames.feed(framed(b"x" * 10))

    assert frames.next() == b"x" * 10
    frames.feed(b"\x0b" + b"y" * 11)
    with pytest.raises(TooLarge) as found:
        frames.next()
    assert found.value.beginning == b"y" * 10


@pytest.mark.parametrize(
    "sent",
    [
        BHS + ONE + b"BTS|1\rPID|1||7^^^a^MR\rOBX|1|NM|718-7^Hb^LN||3.0|g/dL|||||F\r",
        BHS + b"OBX|1|NM|718-7^Hb^LN||3.0|g/dL|||||F\r" + ONE + b"BTS|1\r",
    ],
)
def test_what_stands_in_a_batch_but_in_no_message_is_a_fault(sent):
    found = batch(sent)

    assert [one.code for one in found.faults] == ["sequence"]
