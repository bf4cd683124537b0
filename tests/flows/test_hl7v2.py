"""HL7 v2 messages come in: what is kept of them, and how they are acknowledged."""

import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from service.domain.errors import InUse, Unavailable
from service.domain.source_maps import MappedCode, MappedUnit, SourceMap
from service.flows import hl7v2
from service.flows.hl7v2 import Sending, take_in
from service.flows.replay import replay_all
from service.flows.source_maps import set_map
from service.storage.tables import inbox, outbox, panels
from tests.flows.build import NOW, flag_states, kept, row_counts
from tests.formats.hl7v2.build import OBR, PID, message, msh, obx, report

ROOT = Path(__file__).parents[2]
HIGH = obx("11.9")
HEMOGLOBIN = obx("140", number=2, code="718-7^Hb^LN", unit="g/L", range_="")


@pytest.fixture
def send(means):
    """Call it with the bytes of a message: what became of it."""
    numbers = count(1)

    def sent(body, **options):
        sending = Sending(source="lab-1", received_at=NOW, new_id=lambda: f"A{next(numbers)}")
        return take_in(body, replace(sending, **options), means)

    return sent


def codes(whole):
    return [one.code for one in whole.answered]


def lines(whole):
    """Place, entry of table 0357, severity and text of every ERR."""
    errors = (line.split("|") for line in whole.body.decode().split("\r") if line.startswith("ERR"))
    return [(one[2], int(one[3].split("^")[0]), one[4], one[8]) for one in errors]


def later(*observations, control="M2", order="F"):
    """A message about the same order, an hour after the first one."""
    obr = OBR.replace("20261120093000", "20261120103000").removesuffix("F") + order
    return report(*observations, head=msh(control=control, at="20261120103001+0100"), obr=obr)


def test_a_message_is_judged_kept_and_accepted(send, database):
    found = send(report(HIGH, HEMOGLOBIN))

    assert codes(found) == ["AA"]
    assert found.body == (b"MSH|^~\\&|ALERTS|HOSP|LIS|LAB|20261120120000.000+0000||ACK^R01^ACK|A1|P|2.5.1\rMSA|AA|M1\r")
    assert flag_states(database) == [("hypercalcemia", "moderate", "open")]


def test_a_corrected_result_supersedes_its_flag(send, database):
    send(report(HIGH))

    send(later(obx("9.9", status="C"), order="C"))

    assert flag_states(database) == [("hypercalcemia", "moderate", "superseded")]


@pytest.mark.parametrize("status", ["D", "W", "X"])
def test_a_result_that_is_taken_back_withdraws_its_flag(status, send, database):
    send(report(HIGH))

    send(later(obx("", kind="", status=status)))

    assert flag_states(database) == [("hypercalcemia", "moderate", "withdrawn")]


def test_a_value_that_is_final_now_without_being_sent_again_stands(send, database):
    send(report(obx("11.9", status="P"), obr=OBR.removesuffix("F") + "P"))

    found = send(later(obx("", kind="", status="U")))

    assert codes(found) == ["AA"]
    assert ("hypercalcemia", "moderate", "open") in flag_states(database)


def test_a_correction_of_something_that_is_not_held_is_told(send):
    found = send(report(obx("9.9", status="C")))

    assert lines(found) == [
        ("OBX^1^11^1", 0, "I", "a correction of a result that is not held; kept as the first version")
    ]


def test_what_cannot_be_judged_is_accepted_with_a_warning_that_holds_no_value(send):
    found = send(report(obx("11.9", unit="furlong"), obx("77.7", number=2, code="X^Secret^L", sub="1")))

    assert codes(found) == ["AA"]
    assert [(place, code, severity) for place, code, severity, _ in lines(found)] == [
        ("OBX^1^6^1", 0, "W"),
        ("OBX^2^3^1", 0, "W"),
    ]
    for secret in (b"11.9", b"77.7", b"88204113", b"furlong", b"Ada", b"19680314"):
        assert secret not in found.body


def test_the_same_message_has_the_same_acknowledgment_and_changes_nothing(send, database):
    first = send(report(HIGH))
    before = kept(database)

    again = send(report(HIGH), received_at=NOW + timedelta(minutes=5))

    assert (again.body, again.answered[0].recalled) == (first.body, True)
    assert kept(database) == before


def test_another_message_under_the_same_control_id_is_a_fault(send, database):
    send(report(HIGH))
    before = kept(database)

    found = send(report(obx("10.9")))

    assert codes(found) == ["AE"]
    assert lines(found)[0][:3] == ("MSH^1^10^1", 205, "E")
    assert kept(database) == before


def test_another_application_has_control_ids_of_its_own(send):
    send(report(HIGH))

    assert codes(send(report(HIGH, head=msh().replace("LIS", "OTHER")))) == ["AA"]


def test_a_message_with_a_fault_is_kept_neither_whole_nor_in_part(send, database):
    found = send(report(HIGH, obx(number=2, code="718-7^Hb^LN", status="")))

    assert codes(found) == ["AE"]
    assert lines(found) == [("OBX^2^11^1", 101, "E", "OBX-11 (result status) is empty")]
    assert set(row_counts(database).values()) == {0}


def test_where_it_is_wished_the_good_results_are_kept_and_the_bad_ones_named(send, database):
    found = send(report(HIGH, obx(number=2, code="718-7^Hb^LN", status="")), partial=True)

    assert codes(found) == ["AE"]
    assert [line[0] for line in lines(found)] == ["OBX^2^11^1"]
    assert flag_states(database) == [("hypercalcemia", "moderate", "open")]


@pytest.mark.parametrize("body", [b"hello", message(PID, OBR, HIGH, head=msh(version="2.1"))])
def test_what_is_not_for_us_is_rejected(body, send, database):
    assert codes(send(body)) == ["AR"]
    assert set(row_counts(database).values()) == {0}


@pytest.mark.parametrize("purpose", ["T", "D"])
def test_what_a_trial_brings_about_is_marked_so_that_nobody_is_told(purpose, send, database):
    send(report(HIGH, head=msh(purpose=purpose)))

    with database.reading() as connection:
        assert connection.execute(select(inbox.c.test)).scalar_one() is True
        assert connection.execute(select(outbox.c.data)).scalar_one()["test"] is True


def test_a_message_without_results_is_kept_and_accepted(send, database):
    found = send(message(PID, OBR))

    assert codes(found) == ["AA"]
    assert row_counts(database)["inbox"] == 1


def test_each_message_of_a_batch_is_answered_by_itself(send, database):
    one, other = report(HIGH), report(obx(status=""), head=msh(control="M2"))

    found = send(b"BHS|^~\\&|LIS|LAB|ALERTS|HOSP\r" + one + other + b"BTS|2\r")

    assert codes(found) == ["AA", "AE"]
    assert found.body.startswith(b"BHS|^~\\&|ALERTS|HOSP|LIS|LAB\rMSH|")
    assert found.body.endswith(b"\rBTS|2\r")
    with database.reading() as connection:
        assert list(connection.execute(select(inbox.c.body)).scalars()) == [one]


def test_of_a_batch_that_breaks_off_nothing_is_kept(send, database):
    found = send(b"BHS|^~\\&|LIS|LAB|ALERTS|HOSP\r" + report(HIGH))

    assert codes(found) == ["AE"]
    assert set(row_counts(database).values()) == {0}


def test_in_the_enhanced_mode_both_acknowledgments_are_given_and_repeated(send):
    sent = report(HIGH, head=msh(accept="AL", apply="AL"))

    first, again = send(sent), send(sent)

    assert [reply.split(b"\r")[1] for reply in first.replies] == [b"MSA|CA|M1", b"MSA|AA|M1"]
    assert again.replies == first.replies


def test_a_sender_who_wants_to_hear_nothing_hears_nothing(send):
    sent = report(HIGH, head=msh(accept="NE", apply="NE"))

    assert [send(sent).replies, send(sent).replies] == [(), ()]


@pytest.mark.parametrize("error", [InUse("x"), Unavailable("x", locked=True)])
def test_what_is_held_by_somebody_else_may_be_sent_again_later(error, send, monkeypatch):
    monkeypatch.setattr(hl7v2, "take_in_whole", raising(error))

    found = send(report(HIGH))

    assert codes(found) == ["AR"]
    assert lines(found)[0][:3] == ("MSH^1", 206, "E")


def test_a_failure_of_ours_is_rejected_and_handed_on(send, monkeypatch):
    failure = ValueError("11.9")
    monkeypatch.setattr(hl7v2, "take_in_whole", raising(failure))

    found = send(report(HIGH))

    assert (codes(found), found.answered[0].failed) == (["AR"], failure)
    assert lines(found)[0][:3] == ("MSH^1", 207, "E")
    assert b"11.9" not in found.body


def test_without_a_database_there_is_no_acknowledgment(send, monkeypatch):
    monkeypatch.setattr(hl7v2, "take_in_whole", raising(Unavailable("the database is away")))

    with pytest.raises(Unavailable):
        send(report(HIGH))


def raising(error):
    def fail(*_, **__):
        raise error

    return fail


def test_a_message_whose_answer_was_lost_is_answered_with_what_was_kept_with_it(send, database, address, tmp_path):
    """The process is killed with -9 between the commit and the answer."""
    (tmp_path / "message.hl7").write_bytes(report(HIGH, HEMOGLOBIN))
    database.close()
    struck = [sys.executable, "-m", "tests.flows.struck", address, str(tmp_path / "message.hl7")]
    assert subprocess.run(struck, check=False, cwd=ROOT).returncode == -signal.SIGKILL  # noqa: S603  our own program
    before = kept(database)

    first, second = send(report(HIGH, HEMOGLOBIN)), send(report(HIGH, HEMOGLOBIN))

    assert codes(first) == ["AA"]
    assert first.answered[0].recalled
    assert (b"|STRUCK|" in first.body, first.body == second.body) == (True, True)
    assert (kept(database), row_counts(database)["panels"]) == (before, 1)


def test_times_without_an_offset_are_in_the_zone_of_the_source(send, means, database):
    set_map(SourceMap(name="lab-1", zone="Europe/Vienna"), means, now=NOW)
    local = OBR.replace("20261120081200+0100", "20261120081200").replace("20261120093000+0100", "20261120093000")

    send(report(HIGH, head=msh(at="20261120093001"), obr=local), zone=ZoneInfo("America/New_York"))

    with database.reading() as connection:
        assert connection.execute(select(panels.c.collected_at)).scalar_one() == datetime(
            2026, 11, 20, 7, 12, tzinfo=UTC
        )


def test_a_local_code_is_read_by_the_map_of_the_source(send, means, database):
    set_map(
        SourceMap(name="lab-1", codes=(MappedCode(system="urn:hl7v2:L", code="CA", analyte="calcium"),)), means, now=NOW
    )

    found = send(report(obx("11.9", code="CA^Calcium^L")))

    assert (codes(found), lines(found)) == (["AA"], [])
    assert flag_states(database) == [("hypercalcemia", "moderate", "open")]


def test_a_mapped_value_that_is_final_now_without_being_sent_again_stands_as_it_was_read(send, means, database):
    known, spelling = MappedCode(system="urn:hl7v2:L", code="CA", analyte="calcium"), "milligram%"
    spelled = MappedUnit(analyte="calcium", spelling=spelling, unit="mg/dL")
    set_map(SourceMap(name="lab-1", codes=(known,), units=(spelled,)), means, now=NOW)
    send(report(obx("11.9", code="CA^Calcium^L", unit=spelling, status="P"), obr=OBR.removesuffix("F") + "P"))

    send(later(obx("", code="CA^Calcium^L", unit="", kind="", status="U")))

    assert ("hypercalcemia", "moderate", "open") in flag_states(database)
    assert [one.differences for one in replay_all(means)] == [(), ()]


def test_a_value_that_is_sent_with_u_counts(send, database):
    send(report(obx("9.5", status="P")))

    send(later(obx("13.9", status="U")))

    assert [state for *_, state in flag_states(database)] == ["open"]


@pytest.mark.parametrize("purpose", ["T", "D"])
def test_a_trial_takes_back_nothing_real(purpose, send, database):
    send(report(HIGH))

    send(report(obx("", kind="", status="D"), head=msh(control="M9", purpose=purpose)))

    assert flag_states(database) == [("hypercalcemia", "moderate", "open")]
