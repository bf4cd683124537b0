"""Messages are replied to, the same one always the same."""

import pytest

from service.domain.errors import Unavailable
from service.flows import fhir_taking
from tests.api.fhir.speak import calcium, found, get, got, hemoglobin, message, post, refused
from tests.flows.build import row_counts

PROCESS = "/$process-message"
ENVELOPE = {"system": "urn:envelopes", "value": "e-1"}


def reply(answer, status=200):
    """Code, and the issues of the outcome to which the header of the reply leads."""
    body = got(answer, status)
    header, outcome = (one["resource"] for one in body["entry"])
    assert body["type"] == "message"
    assert header["response"]["identifier"] == "m-1"
    assert header["response"]["details"]["reference"] == body["entry"][1]["fullUrl"]
    assert header["destination"] == [{"endpoint": "https://lab.example/out"}]
    return header["response"]["code"], [one["code"] for one in outcome["issue"]]


@pytest.mark.parametrize("path", [PROCESS, ""])
def test_a_message_is_taken_in_and_replied_to(path, client):
    answer = post(client, message(calcium()), path)

    assert reply(answer) == ("ok", ["informational"] * 2)
    assert len(found(client, "DetectedIssue", patient="88204113")) == 1


def test_the_same_message_again_has_the_stored_reply(client, database):
    first, again = post(client, message(calcium()), PROCESS), post(client, message(calcium()), PROCESS)

    assert again.get_data() == first.get_data()
    assert row_counts(database)["inbox"] == 1


def test_another_message_under_the_same_header_is_refused(client):
    post(client, message(calcium()), PROCESS)

    answer = post(client, message(calcium(12.9)), PROCESS)

    assert reply(answer, 409) == ("fatal-error", ["conflict"])


def test_an_envelope_holds_one_message(client):
    post(client, message(calcium(), identifier=ENVELOPE), PROCESS)

    again = post(client, message(calcium(), identifier=ENVELOPE), PROCESS)
    other = post(client, message(hemoglobin(), id_="m-2", identifier=ENVELOPE), PROCESS)

    assert reply(again)[0] == "ok"
    header = got(other, 409)["entry"][0]["resource"]
    assert header["response"] == {**header["response"], "identifier": "m-2", "code": "fatal-error"}


def test_a_faulty_message_is_fatal_and_may_be_mended_under_its_id(client, database):
    bad = post(client, message(calcium(status="x")), PROCESS)
    kept = row_counts(database)["inbox"]
    good = post(client, message(calcium()), PROCESS)

    assert (reply(bad, 400), kept) == (("fatal-error", ["code-invalid"]), 0)
    assert reply(good)[0] == "ok"


def test_a_message_that_cannot_be_taken_in_now_may_be_sent_again(client, monkeypatch):
    def away(*_, **__):
        raise Unavailable("the database is away", retry_after=7)

    with monkeypatch.context() as patched:
        patched.setattr(fhir_taking, "take_in_whole", away)
        answer = post(client, message(calcium()), PROCESS)

    assert reply(answer, 503) == ("transient-error", ["transient"])
    assert answer.headers["Retry-After"] == "7"
    assert reply(post(client, message(calcium()), PROCESS))[0] == "ok"


def test_what_has_no_header_is_refused_without_a_reply(client):
    sent = message(calcium())
    del sent["entry"][0]

    assert refused(post(client, sent, PROCESS), 400) != []


def test_what_is_no_message_is_refused(client):
    sent = {**message(calcium()), "type": "batch"}

    assert reply(post(client, sent, PROCESS), 400)[0] == "fatal-error"


def test_a_reply_says_what_was_not_judged(client):
    sent = message(calcium(valueQuantity={"value": 3, "unit": "foo"}))

    answer = post(client, sent, PROCESS)

    assert reply(answer) == ("ok", ["value", "informational", "informational"])
    assert get(client, "/DetectedIssue").get("entry") is None
