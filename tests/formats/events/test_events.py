"""What is told in each language: golden messages, the readers of others as judges, and nothing of anybody."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat
from fhir.resources.R4B.bundle import Bundle

from service.domain.events import Event
from service.domain.subscriptions import ALL_TYPES, TEST_TYPE, Format, Payload
from service.formats.events import Telling, write
from service.formats.events.cloudevents import MOST
from service.formats.events.incidents import Step, incident, step

AT = datetime(2026, 3, 2, 9, 15, 1, tzinfo=UTC)
DATA = {
    "finding": "hypercalcemia",
    "severity": "critical",
    "flag": "flg_01",
    "episode": "eps_01",
    "by": None,
    "late": False,
    "source": "lab-a",
    "collected_at": "2026-03-02T08:12:00+00:00",
}
RAISED = Event(id="evt_01", type="lab.flag.raised", at=AT, patient="pat_01", episode="eps_01", flag="flg_01", data=DATA)
SILENT = Event(id="evt_02", type="lab.feed.silent", at=AT, data={"source": "lab-a", "expected_minutes": 30})
TEST = Event(id="evt_03", type=TEST_TYPE, at=AT, only_for="sub_1", data={})
HERE = "https://alerts.hospital.example"
FLAG = {"id": "flg_01", "patient": {"id": "88204113"}, "why": "13.9 mg/dL is above 13.0 mg/dL"}


def telling(event: Event = RAISED, **more) -> Telling:
    return Telling(event=event, number=7, subscription="sub_1", **{"at": AT, "source": HERE, **more})


def said(event: Event = RAISED, language: Format = Format.NATIVE, **more):
    return json.loads(write(telling(event, **more), language).body)


def of(type_: str, **data) -> Event:
    return replace(RAISED, type=type_, data={**DATA, **data})


# -------------------------------------------------------------------------------------------------------------- native
def test_the_native_message():
    assert said() == {
        "type": "lab.flag.raised",
        "timestamp": "2026-03-02T09:15:01Z",
        "data": {
            "finding": "hypercalcemia",
            "severity": "critical",
            "flag": "flg_01",
            "episode": "eps_01",
            "late": False,
            "source": "lab-a",
            "collected_at": "2026-03-02T08:12:00+00:00",
            "href": "https://alerts.hospital.example/v1/flags/flg_01",
            "html": "https://alerts.hospital.example/flags/flg_01",
        },
    }


def test_an_event_that_is_about_no_flag():
    assert said(SILENT)["data"] == {"source": "lab-a", "expected_minutes": 30}


def test_in_full_the_flag_is_shown_beside_the_names():
    assert said(flag=FLAG, payload=Payload.FULL)["data"]["shown"] == FLAG


def test_without_a_public_address_no_page_is_named():
    told = said(source="urn:lab-alerts")["data"]

    assert "html" not in told
    assert told["href"] == "/v1/flags/flg_01"


@pytest.mark.parametrize("language", Format)
@pytest.mark.parametrize("event", [RAISED, SILENT, TEST], ids=["flag", "feed", "test"])
def test_the_same_event_is_the_same_bytes_whenever_it_is_told(language, event):
    assert write(telling(event), language).body == write(telling(event), language).body


@pytest.mark.parametrize("language", Format)
@pytest.mark.parametrize("type_", [*ALL_TYPES, TEST_TYPE])
def test_thin_names_nobody_in_any_language(language, type_):
    written = write(telling(of(type_)), language)

    assert written.body
    assert "pat_01" not in written.body.decode() + written.subject


# --------------------------------------------------------------------------------------------------------- CloudEvents
def read_by_others(body: bytes, content_type: str):
    message = HTTPMessage(headers={"content-type": content_type}, body=body)
    return from_structured(message, JSONFormat())


@pytest.mark.parametrize("event", [RAISED, SILENT, TEST], ids=["flag", "feed", "test"])
def test_the_library_of_cloudevents_reads_it(event):
    written = write(telling(event), Format.CLOUDEVENTS)

    found = read_by_others(written.body, written.content_type)

    assert written.content_type == "application/cloudevents+json; charset=utf-8"
    assert (found.get_id(), found.get_source()) == (event.id, HERE)
    assert found.get_type() == f"org.lab-alerts.{event.type}"
    assert found.get_time() == AT
    assert found.get_subject() == event.flag


def test_attributes_hold_nothing_of_the_flag_in_full():
    told = said(language=Format.CLOUDEVENTS, flag=FLAG)

    assert "88204113" not in json.dumps({name: value for name, value in told.items() if name != "data"})
    assert told["data"]["shown"] == FLAG


def test_what_would_be_too_long_is_told_thin():
    written = write(telling(flag={"why": "x" * MOST}), Format.CLOUDEVENTS)

    told = json.loads(written.body)
    assert len(written.body) <= MOST
    assert told["truncated"] == "true"
    assert told["data"]["flag"] == "flg_01"
    assert "shown" not in told["data"]


# ---------------------------------------------------------------------------------------------------------------- FHIR
def parameters(bundle) -> dict[str, object]:
    listed = bundle["entry"][0]["resource"]["parameter"]
    return {one["name"]: next((value for name, value in one.items() if name != "name"), None) for one in listed}


ISSUE = {"resourceType": "DetectedIssue", "id": "flg-01", "status": "final"}


@pytest.mark.parametrize("resource", [None, ISSUE], ids=["id-only", "full-resource"])
@pytest.mark.parametrize("event", [RAISED, SILENT, TEST], ids=["flag", "feed", "test"])
@pytest.mark.parametrize("source", [HERE, "urn:lab-alerts"])
def test_the_notification_is_a_bundle_of_r4(event, resource, source):
    told = said(event, Format.FHIR, resource=resource, source=source)

    Bundle.model_validate(told)
    first, *further = told["entry"]
    assert told["type"] == "history"
    assert first["request"] == {"method": "GET", "url": "Subscription/sub-1/$status"}
    assert first["response"] == {"status": "200"}
    assert all("request" in entry for entry in further)
    assert len(further) == (event is RAISED)


def test_events_are_counted_and_a_handshake_is_not():
    event, handshake = parameters(said(RAISED, Format.FHIR)), parameters(said(TEST, Format.FHIR))

    assert (event["type"], event["events-since-subscription-start"]) == ("event-notification", "7")
    parts = {one["name"]: list(one.values())[1] for one in event["notification-event"]}
    assert parts == {
        "event-number": "7",
        "timestamp": "2026-03-02T09:15:01Z",
        "focus": {"reference": f"{HERE}/fhir/R4/DetectedIssue/flg-01"},
    }
    assert handshake["type"] == "handshake"
    assert "notification-event" not in handshake


def test_in_full_the_flag_is_there_as_a_resource():
    told = said(RAISED, Format.FHIR, resource=ISSUE)

    assert told["entry"][1]["resource"] == ISSUE


# ---------------------------------------------------------------------------------------------------------------- mail
def test_a_mail_says_what_and_where_and_nothing_of_anybody():
    written = write(telling(flag=FLAG), Format.TEXT)

    text = written.body.decode()
    assert written.subject == "lab-alerts: New flag: critical hypercalcemia"
    assert "https://alerts.hospital.example/flags/flg_01" in text
    assert "Source: lab-a" in text
    assert "88204113" not in text
    assert "13.9" not in text


@pytest.mark.parametrize("type_", [*ALL_TYPES, TEST_TYPE])
def test_every_subject_is_one_line_of_plain_words(type_):
    subject = write(telling(of(type_)), Format.TEXT).subject

    assert subject.isprintable()
    assert "_" not in subject
    assert type_.rpartition(".")[2] not in ("raised", "overdue") or type_ not in subject


def test_no_word_of_ours_brings_a_line_with_it():
    written = write(telling(replace(SILENT, data={"source": "lab\r\nBcc: x@y.example"})), Format.TEXT)

    assert written.subject == "lab-alerts: No results received: lab  Bcc: x@y.example"
    assert not [line for line in written.body.decode().splitlines() if line.startswith("Bcc")]


# ----------------------------------------------------------------------------------------------------------- incidents
STEPS = [
    ("lab.flag.raised", {}, Step.OPEN, "trigger"),
    ("lab.flag.escalated", {}, Step.OPEN, "trigger"),
    ("lab.flag.improved", {}, Step.OPEN, "trigger"),
    ("lab.flag.repeated", {}, Step.OPEN, "trigger"),
    ("lab.flag.reopened", {}, Step.OPEN, "trigger"),
    ("lab.flag.overdue", {}, Step.OPEN, "trigger"),
    ("lab.flag.unacknowledged", {}, Step.OPEN, "trigger"),
    ("lab.flag.acknowledged", {}, Step.TAKEN, "acknowledge"),
    ("lab.flag.resolved", {}, Step.OVER, "resolve"),
    ("lab.flag.superseded", {"by": "flg_02"}, Step.NOTE, None),
    ("lab.flag.superseded", {}, Step.NOTE, None),
    ("lab.flag.withdrawn", {}, Step.NOTE, None),
    ("lab.feed.silent", {}, Step.OPEN, "trigger"),
    ("lab.feed.resumed", {}, Step.OVER, "resolve"),
    ("lab.result.not_evaluable", {}, Step.OPEN, "trigger"),
    (TEST_TYPE, {}, Step.OPEN, "trigger"),
]
# Whatever is told of an episode that is over leaves its incident over.
STEPS += [
    (f"lab.flag.{word}", {"episode_state": state}, Step.OVER, "resolve")
    for word in ("repeated", "raised", "superseded", "withdrawn", "resolved")
    for state in ("resolved", "withdrawn", "merged")
]


@pytest.mark.parametrize(("type_", "data", "wanted", "action"), STEPS, ids=[f"{case[0]} {case[1]}" for case in STEPS])
def test_what_an_event_means_for_an_incident(type_, data, wanted, action):
    event = of(type_, **data)
    paged = said(event, Format.PAGERDUTY, credential="R0UT1NG")
    (alert,) = said(event, Format.ALERTMANAGER)

    assert step(telling(event)) is wanted
    assert action is None or paged["event_action"] == action
    assert (alert["endsAt"] <= alert["startsAt"]) == (wanted is Step.OVER)


def test_the_message_of_pagerduty():
    assert said(RAISED, Format.PAGERDUTY, credential="R0UT1NG") == {
        "routing_key": "R0UT1NG",
        "event_action": "trigger",
        "dedup_key": "eps_01",
        "payload": {
            "summary": "New flag: critical hypercalcemia",
            "source": "lab-a",
            "severity": "critical",
            "timestamp": "2026-03-02T09:15:01Z",
            "custom_details": {"type": "lab.flag.raised", "flag": "flg_01", "episode": "eps_01"},
        },
        "links": [{"href": "https://alerts.hospital.example/flags/flg_01", "text": "The flag"}],
    }


def test_the_message_of_alertmanager():
    assert said(RAISED, Format.ALERTMANAGER) == [
        {
            "labels": {
                "alertname": "LabFinding",
                "incident": "eps_01",
                "finding": "hypercalcemia",
                "service": "lab-alerts",
            },
            "annotations": {
                "summary": "New flag: critical hypercalcemia",
                "type": "lab.flag.raised",
                "severity": "critical",
            },
            "startsAt": "2026-03-02T09:15:01Z",
            "endsAt": "2027-03-02T09:15:01Z",
            "generatorURL": "https://alerts.hospital.example/flags/flg_01",
        }
    ]


@pytest.mark.parametrize("type_", [TEST_TYPE, "lab.result.not_evaluable"])
def test_what_nothing_will_end_ends_by_itself_a_day_after_it_was_sent(type_):
    late = telling(of(type_), at=AT + timedelta(days=2))

    (alert,) = json.loads(write(late, Format.ALERTMANAGER).body)

    assert (alert["startsAt"], alert["endsAt"]) == ("2026-03-02T09:15:01Z", "2026-03-05T09:15:01Z")


def test_a_feed_that_falls_silent_is_more_than_information():
    assert said(SILENT, Format.PAGERDUTY)["payload"]["severity"] == "warning"


def test_an_alert_keeps_its_labels_from_its_first_message_to_its_last():
    first, last = of("lab.flag.raised"), of("lab.flag.resolved", severity="mild", episode_state="resolved")

    assert said(first, Format.ALERTMANAGER)[0]["labels"] == said(last, Format.ALERTMANAGER)[0]["labels"]
    assert incident(telling(first)) == incident(telling(last)) == "eps_01"


def test_a_feed_that_falls_silent_and_speaks_again_is_one_incident():
    back = replace(SILENT, type="lab.feed.resumed")

    assert incident(telling(SILENT)) == incident(telling(back)) == "lab-a"
