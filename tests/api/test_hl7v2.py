"""The door for HL7 v2: whoever speaks HL7 is answered in HL7."""

import pytest

from service.api.hl7v2 import MEDIA_TYPE
from service.domain.errors import Unavailable
from service.flows import hl7v2
from tests.api.described import as_problem
from tests.api.exposed import labels
from tests.conftest import MAX_BODY
from tests.formats.hl7v2.build import msh, obx, report

GOOD, BAD, FOREIGN = report(obx()), report(obx(status="")), report(obx(), head=msh(kind="ADT^A40"))


def send(client, sent=GOOD, content_type=MEDIA_TYPE, **options):
    return client.post("/hl7v2", data=sent, content_type=content_type, **options)


def code(answer):
    assert answer.mimetype == MEDIA_TYPE
    return answer.get_data().split(b"\r")[1].split(b"|")[1].decode()


@pytest.mark.parametrize(
    ("sent", "expected"), [(GOOD, "AA"), (BAD, "AE"), (FOREIGN, "AR"), (b"hello", "AR"), (b"", "AR")]
)
def test_every_answer_in_hl7_has_the_status_200(sent, expected, client):
    answer = send(client, sent)

    assert (answer.status_code, code(answer)) == (200, expected)
    assert answer.content_type == "application/hl7-v2; charset=UTF-8"


@pytest.mark.parametrize(("sent", "status"), [(GOOD, 200), (BAD, 500), (FOREIGN, 400), (GOOD + BAD, 200)])
def test_where_the_operator_wants_it_so_the_status_goes_by_the_code(sent, status, client, app, monkeypatch):
    monkeypatch.setitem(app.config, "HL7_HTTP_STATUS", "by-code")

    assert send(client, sent).status_code == status


def test_the_character_set_may_stand_in_the_content_type(client):
    sent = report(obx("3 µmol", kind="ST")).decode().encode("latin-1")

    answer = send(client, sent, f"{MEDIA_TYPE}; charset=ISO-8859-1")

    assert (code(answer), answer.content_type) == ("AA", f"{MEDIA_TYPE}; charset=ISO8859-1")


def test_good_results_are_kept_beside_bad_ones_where_it_is_asked_for(client):
    sent = report(obx(), obx(number=2, code="718-7^Hb^LN", status=""))

    assert code(send(client, sent, query_string={"partial": "true"})) == "AE"
    assert len(client.get("/v1/patients/88204113/flags").get_json()["items"]) == 1


def test_what_comes_before_the_message_is_refused_as_a_problem(client, doors):
    as_problem(send(client, content_type="text/plain"), "unsupported-media-type")
    as_problem(send(client, b"x" * (MAX_BODY + 1)), "body-too-large")
    as_problem(send(client, query_string={"x": "1"}), "invalid-query")
    as_problem(send(doors.without_key()), "unauthenticated")
    as_problem(send(doors.with_scopes("flags:read")), "forbidden")


def test_when_nothing_can_be_kept_there_is_no_acknowledgment(client, monkeypatch):
    def away(*_, **__):
        raise Unavailable("the database is away")

    monkeypatch.setattr(hl7v2, "take_in_whole", away)

    as_problem(send(client), "unavailable")


def test_results_are_counted_as_at_the_other_doors(client, counted):
    found = counted(lambda: (send(client), send(client), send(client, BAD)), "lab_alerts_results_total")

    assert found == {
        labels(source="lab-1", analyte="calcium", outcome="flagged", reason=""): 1,
        labels(source="lab-1", analyte="", outcome="rejected", reason="invalid-message"): 1,
    }


def test_the_door_is_described(document):
    described = document["paths"]["/hl7v2"]["post"]

    assert list(described["requestBody"]["content"]) == [MEDIA_TYPE]
    assert MEDIA_TYPE in described["responses"]["200"]["content"]
    assert described["x-scope"] == "panels:write"
