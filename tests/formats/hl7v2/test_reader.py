"""A message of results: patients, orders, specimens, times, states, and by what a result is known again."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from service.domain.panels import Code
from service.domain.people import Sex
from service.formats.hl7v2.head import head_of
from service.formats.hl7v2.reader import read_partly
from tests.flows.build import NOW
from tests.formats.hl7v2.build import OBR, PID, message, msh, obx, only, read, report

COLLECTED = datetime(2026, 11, 20, 7, 12, tzinfo=UTC)


def ids(sent):
    return [result.sender_id for panel in read(sent).panels for result in panel.results]


def notices(sent, **options):
    return [(one.place, one.code) for one in read(sent, **options).notices]


def test_the_patient_order_and_times_of_a_result_are_read():
    (panel,) = read(report(obx())).panels

    assert (panel.patient.identifier, panel.patient.authority) == ("88204113", "hospital-a")
    assert (panel.patient.sex, panel.patient.born, panel.patient.name) == (Sex.FEMALE, date(1968, 3, 14), "Ada Doe")
    assert (panel.collected_at, panel.accession) == (COLLECTED, "F-1")
    assert panel.issued_at == datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
    assert panel.results[0].pointer == "OBX^1"


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        ("17861-6^Calcium^LN", [("http://loinc.org", "17861-6")]),
        ("CA^Calcium^L^17861-6^Calcium^LN", [("http://loinc.org", "17861-6"), ("urn:hl7v2:L", "CA")]),
        ("CA^Calcium", [("urn:hl7v2:unnamed", "CA")]),
        ("1^x^2.16.840.1.113883.6.96", [("urn:oid:2.16.840.1.113883.6.96", "1")]),
        ("1^x^2.16.840.1.113883.6.1", [("http://loinc.org", "1")]),
        ("^Calcium", [("urn:hl7v2:text", "Calcium")]),
    ],
)
def test_every_code_is_kept_and_loinc_goes_first(sent, codes):
    found = only(report(obx(code=sent)))

    assert [found.code, *found.other_codes] == [Code(system=system, code=code) for system, code in codes]


def test_an_observation_of_nothing_is_a_fault(faults_of):
    assert faults_of(report(obx(code=""))) == [("OBX^1^3^1", "required")]


WITHOUT_TIME = "OBR|1|P-1|F-1|x"
SPM = "SPM|1|||SER|||||||||||||20261119060000+0000"


@pytest.mark.parametrize(
    ("segments", "at"),
    [
        ((OBR, obx(at="20261118050000+0000")), datetime(2026, 11, 18, 5, tzinfo=UTC)),
        ((OBR, obx(), SPM), COLLECTED),
        ((WITHOUT_TIME, obx(), SPM), datetime(2026, 11, 19, 6, tzinfo=UTC)),
        ((WITHOUT_TIME, SPM, obx()), datetime(2026, 11, 19, 6, tzinfo=UTC)),
    ],
)
def test_the_time_of_collection_is_obx_14_else_obr_7_else_spm_17(segments, at):
    (panel,) = read(message(PID, *segments)).panels

    assert panel.collected_at == at


def test_without_any_time_of_collection_there_is_a_fault(faults_of):
    assert faults_of(report(obx(), obr=WITHOUT_TIME)) == [("OBX^1^14^1", "required")]


@pytest.mark.parametrize(
    ("at", "head", "zone", "expected", "told"),
    [
        ("20261120081200+0100", msh(), UTC, COLLECTED, []),
        ("202611200812", msh(), UTC, COLLECTED, []),
        ("2026112008", msh(), UTC, COLLECTED.replace(minute=0), []),
        ("20261120081200.25", msh(), UTC, COLLECTED.replace(microsecond=250_000), []),
        ("202611200812", msh(at="202611200931"), ZoneInfo("Europe/Berlin"), COLLECTED, ["time-without-offset"]),
        ("202611200812", msh(at="202611200931"), UTC, COLLECTED.replace(hour=8), ["time-without-offset"]),
        ("20261120", msh(), UTC, datetime(2026, 11, 19, 23, tzinfo=UTC), ["partial-time"]),
    ],
)
def test_a_time_without_an_offset_has_that_of_the_message_or_else_of_the_source(at, head, zone, expected, told):
    found = read(report(obx(at=at), head=head, obr=WITHOUT_TIME), zone=zone)

    assert [panel.collected_at for panel in found.panels] == [expected]
    assert [notice.code for notice in found.notices] == told


@pytest.mark.parametrize(
    "at", ["2026", "202611", "20261332", "202611200861", "18491231", "yesterday", "20261120+2500", "20261123"]
)
def test_a_time_that_is_none_is_a_fault(at, faults_of):
    assert faults_of(report(obx(at=at))) == [("OBX^1^14^1", "time-invalid")]


@pytest.mark.parametrize(
    ("pid", "identifier", "authority"),
    [
        ("PID|||1^^^A^PI~2^^^B^MR", "2", "B"),
        ("PID|||1^^^A~2^^^B", "1", "A"),
        ("PID|||^^^A~2^^^B", "2", "B"),
        ("PID|||7", "7", None),
        ("PID|||7^^^MIE&1.2.840.114398&ISO", "7", "urn:oid:1.2.840.114398"),
        ("PID|||7^^^&http://x.example&URI", "7", "http://x.example"),
        ("PID|||7^^^MIE&mie.example&DNS", "7", "MIE"),
    ],
)
def test_a_patient_goes_by_the_medical_record_number_and_who_gave_it_out(pid, identifier, authority):
    (panel,) = read(report(obx(), pid=pid)).panels

    assert (panel.patient.identifier, panel.patient.authority) == (identifier, authority)


@pytest.mark.parametrize(
    ("pid", "fault"),
    [
        ("PID|1||", ("PID^1^3^1", "required")),
        ('PID|1||""', ("PID^1^3^1", "required")),
        (f"PID|1||{'x' * 256}", ("PID^1^3^1", "too-long")),
    ],
)
def test_a_patient_without_an_identifier_is_a_fault(pid, fault, faults_of):
    assert faults_of(report(obx(), pid=pid)) == [fault]


def test_facts_that_cannot_be_read_are_unknown_and_told():
    sent = report(obx(), pid="PID|1||7||||Aug 15, 1942|Q")

    (panel,) = read(sent).panels

    assert (panel.patient.sex, panel.patient.born) == (Sex.UNKNOWN, None)
    assert notices(sent) == [("PID^1^7^1", "birth-date-unreadable"), ("PID^1^8^1", "sex-unreadable")]


def test_an_observation_of_nobody_is_a_fault(faults_of):
    assert faults_of(message(OBR, obx())) == [("OBX^1", "sequence")]


def test_several_patients_and_orders_in_one_message_stay_apart():
    other = "OBR|2|P-2|F-2|58410-2^CBC^LN|||20261119081200+0100|||||||||||||||20261120093000+0100|||F"
    hemoglobin = obx("97", number=1, code="718-7^Hb^LN", unit="g/L", range_="")

    found = read(message(PID, OBR, obx(), other, hemoglobin, "PID|2||99", OBR, obx())).panels

    assert [(one.patient.identifier, one.accession, one.results[0].pointer) for one in found] == [
        ("88204113", "F-1", "OBX^1"),
        ("88204113", "F-2", "OBX^2"),
        ("99", "F-1", "OBX^3"),
    ]


@pytest.mark.parametrize("event", ["R22", "R23"])
def test_in_a_message_about_specimens_the_specimen_comes_before_its_orders(event):
    spm = "SPM|{0}|||SER|||||||||||||2026111{0}060000+0000"
    head = msh(kind=f"OUL^{event}^OUL_{event}")
    order = "OBR|1|P-{0}|F-{0}|x"

    sent = message(
        PID, spm.format(1), order.format(1), "ORC|RE", obx(), spm.format(2), order.format(2), obx(), head=head
    )

    assert [(one.accession, one.collected_at.day) for one in read(sent).panels] == [("F-1", 11), ("F-2", 12)]


def test_an_order_may_be_numbered_by_orc():
    sent = message(PID, "ORC|RE|P-9|F-9", "OBR|1|||x|||20261120081200+0100", obx())

    assert read(sent).panels[0].accession == "F-9"


def test_remarks_go_with_the_order_or_the_result_before_them():
    sent = message(PID, "NTE|1||of nobody", OBR, "NTE|1||fasting", obx(), "NTE|1||hemolyzed~twice", "NTE|2||5 & 6")

    found = read(sent)

    assert (found.panels[0].note, found.panels[0].results[0].note) == ("fasting", "hemolyzed\ntwice\n5 & 6")
    assert [one.place for one in found.ignored] == ["NTE^1"]


def test_every_other_segment_is_accounted_for():
    found = read(message("SFT|x", PID, "PV1|1|I", OBR, obx(), "ZAB|own", "QQQ|what"))

    assert [(one.place, one.why) for one in found.ignored] == [
        ("SFT^1", "says nothing of a result"),
        ("PV1^1", "says nothing of a result"),
        ("ZAB^1", "a segment of the sender's own"),
        ("QQQ^1", "a segment that is not known"),
    ]
    assert [(one.place, one.code) for one in found.notices] == [("QQQ^1", "segment-unknown")]


def test_the_same_result_has_the_same_identity_in_a_later_message():
    before = report(obx("11.9"))
    after = report(obx("9.9", status="C"), head=msh(control="M2", at="20261120110000+0100"))

    assert ids(before) == ids(after)


@pytest.mark.parametrize(
    "other",
    [
        report(obx(sub="2")),
        report(obx(code="718-7^Hb^LN")),
        report(obx(), obr=OBR.replace("F-1", "F-2")),
        report(obx(), head=msh().replace("LIS", "OTHER")),
        report(obx(instance="i-1")),
    ],
)
def test_another_result_has_another_identity(other):
    assert ids(report(obx())) != ids(other)


def test_an_instance_id_outranks_all_else():
    one = report(obx(instance="i-1^LIS"))
    other = report(obx(instance="i-1^LIS", sub="2"), obr=OBR.replace("F-1", "F-2"))

    assert ids(one) == ids(other)


def test_what_is_repeated_word_for_word_counts_once():
    found = read(report(obx(), obx(number=2)))

    assert [len(panel.results) for panel in found.panels] == [1]
    assert [(one.place, one.why) for one in found.ignored] == [("OBX^2", "says the same as OBX^1")]


def test_one_name_at_several_times_is_several_results():
    found = ids(report(obx("90", at="20261120080000+0000"), obx("94", number=2, at="20261120100000+0000")))

    assert len(set(found)) == 2


def test_one_name_for_two_values_at_one_time_is_a_fault(faults_of):
    sent = report(obx("11.9"), obx("9.9", number=2))

    assert faults_of(sent) == [("OBX^1^4^1", "result-repeated"), ("OBX^2^4^1", "result-repeated")]


def test_the_lines_of_a_text_are_told_apart():
    lines = [obx(text, number=number, kind="TX", code="X^Text^L") for number, text in enumerate("abc", start=1)]

    assert len(set(ids(report(*lines)))) == 3


def test_what_was_released_later_is_another_version():
    later = OBR.replace("20261120093000", "20261120103000").removesuffix("F") + "C"

    found = read(message(PID, OBR, obx("11.9"), later, obx("9.9", number=2, status="C"))).panels

    assert [one.issued_at.hour for one in found] == [8, 9]
    assert found[0].results[0].sender_id == found[1].results[0].sender_id


def test_more_results_than_a_panel_holds_are_several_panels():
    many = [obx(number=number, sub=str(number)) for number in range(1, 452)]

    assert [len(panel.results) for panel in read(report(*many)).panels] == [200, 200, 51]


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        (msh(kind="ADT^A40"), ("MSH^1^9^1^1", "message-type")),
        (msh(kind="ORU^R99"), ("MSH^1^9^1^2", "event")),
        (msh(purpose=""), ("MSH^1^11^1", "processing-id")),
        (msh(version="2.2"), ("MSH^1^12^1", "version")),
        (msh(version="2.9"), ("MSH^1^12^1", "version")),
        (msh(control=""), ("MSH^1^10^1", "required")),
        (msh(at="noon"), ("MSH^1^7^1", "time-invalid")),
    ],
)
def test_a_head_that_is_not_for_us_is_a_fault(head, fault, faults_of):
    assert faults_of(report(obx(), head=head)) == [fault]


VERSIONS = ["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2", "2.5^USA"]
KINDS = ["ORU^R01", "ORU^R30^ORU_R30", "ORU^R31^ORU_R31", "ORU^R32^ORU_R32", "OUL^R24^OUL_R24"]


@pytest.mark.parametrize(
    "head", [*(msh(version=version) for version in VERSIONS), *(msh(kind=kind) for kind in KINDS), msh(purpose="D^A")]
)
def test_these_heads_are_for_us(head):
    assert only(report(obx(), head=head)).text == "11.9"


@pytest.mark.parametrize("sent", [b"", b"\r", b"PID|1", b"MSH", b"MSH|", b"hello", b"\xff\xfe\x00", b"{}"])
def test_what_does_not_begin_with_a_head_is_unreadable(sent, faults_of):
    assert faults_of(sent) == [("MSH^1", "segment-unreadable")]


def test_all_faults_are_told_at_once(faults_of):
    sent = report(obx(status=""), obx(number=2, code="", at="x"), pid="PID|1||")

    assert faults_of(sent) == [
        ("PID^1^3^1", "required"),
        ("OBX^1^11^1", "required"),
        ("OBX^2^3^1", "required"),
        ("OBX^2^14^1", "time-invalid"),
    ]


def test_what_is_good_can_be_had_beside_the_faults():
    sent = report(obx(), obx(number=2, code="718-7^Hb^LN", status=""))

    found = read_partly(head_of(sent), now=NOW)

    assert [result.pointer for panel in found.reading.panels for result in panel.results] == ["OBX^1"]
    assert [fault.pointer for fault in found.faults] == ["OBX^2^11^1"]


def test_of_two_values_that_contradict_each_other_neither_is_good():
    found = read_partly(head_of(report(obx("11.9"), obx("9.9", number=2))), now=NOW)

    assert found.reading.panels == ()


def test_a_message_without_results_is_read_and_told():
    sent = message(PID, OBR)

    assert read(sent).panels == ()
    assert notices(sent) == [("MSH^1", "no-results")]


def test_a_collection_in_the_future_is_refused_but_for_wrong_clocks(faults_of):
    soon, late = (f"{NOW + timedelta(hours=hours):%Y%m%d%H%M%S}+0000" for hours in (23, 25))

    assert only(report(obx(at=soon))).text == "11.9"
    assert faults_of(report(obx(at=late))) == [("OBX^1^14^1", "time-invalid")]


def test_a_trial_has_names_of_its_own_so_that_it_takes_back_nothing_real():
    real, *trials = (ids(report(obx(), head=msh(purpose=purpose))) for purpose in "PTD")

    assert trials[0] == trials[1] != real


@pytest.mark.parametrize(
    ("said", "sent", "expected"),
    [
        ("20261120", "20261120153001+0100", datetime(2026, 11, 20, 14, 30, 1, tzinfo=UTC)),
        ("20261119", "20261120153001+0100", datetime(2026, 11, 18, 23, tzinfo=UTC)),
        ("20261120090000", "20261120153001+0100", datetime(2026, 11, 20, 8, tzinfo=UTC)),
    ],
)
def test_a_release_said_to_the_day_is_that_of_the_message_where_it_is_of_that_day(said, sent, expected):
    (panel,) = read(report(obx(), head=msh(at=sent), obr=OBR.replace("20261120093000+0100", said))).panels

    assert panel.issued_at == expected
