"""What a caller is promised of feeds: over HTTP, in the metrics, and in what is said of readiness."""

import pytest
import time_machine

from service.flows.feeds import watch_feeds
from tests.api.described import as_described, as_problem
from tests.api.exposed import labels
from tests.flows.build import NOW, Sender, calcium, panel
from tests.flows.test_feeds import MINUTE

PATH = "/v1/sources/{name}/feed"
HERE = "/v1/sources/lab-1/feed"
HOURLY = {"expected_minutes": 60}


def test_a_feed_is_expected_shown_and_expected_no_more(client, document):
    made = client.put(HERE, json=HOURLY)
    shown = client.get(HERE)
    again = client.put(HERE, json={"expected_minutes": 30})
    gone = client.delete(HERE)

    body = as_described(document, PATH, made)
    assert (made.status_code, again.status_code, gone.status_code) == (201, 200, 204)
    assert body == as_described(document, PATH, shown)
    told = {name: body[name] for name in ("source", "expected_minutes", "last_result_at", "silent_since", "href")}
    nothing = {"last_result_at": None, "silent_since": None}
    assert told == {"source": "lab-1", "expected_minutes": 60, "href": HERE, **nothing}
    assert as_described(document, PATH, again)["expected_minutes"] == 30
    as_problem(client.get(HERE), "not-found")
    as_problem(client.delete(HERE), "not-found")


def test_the_feed_of_a_source_is_no_map_of_another(client):
    client.put(HERE, json=HOURLY)

    assert client.get("/v1/sources/lab-1").get_json()["version"] == 0
    as_problem(client.get("/v1/sources/lab-1/feed/feed"), "not-found")


def test_all_feeds_are_listed_by_source_with_links(client, document, means):
    client.put("/v1/sources/lab%20%C3%A4/x/feed", json=HOURLY)
    client.put(HERE, json=HOURLY)
    Sender(means).send(panel(calcium("9.5")), at=NOW)
    watch_feeds(means, now=NOW + 62 * MINUTE)

    listed = as_described(document, "/v1/feeds", client.get("/v1/feeds"))["items"]

    assert [(one["source"], one["last_result_at"]) for one in listed] == [
        ("lab ä/x", None),
        ("lab-1", "2026-11-20T12:00:00Z"),
    ]
    assert [one["silent_since"] is None for one in listed] == [False, False]
    assert client.get(listed[0]["href"]).get_json() == listed[0]


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        ({}, "/expected_minutes required"),
        ({"expected_minutes": 0}, "/expected_minutes out-of-range"),
        ({"expected_minutes": 10_081}, "/expected_minutes out-of-range"),
        ({"expected_minutes": "60"}, "/expected_minutes type"),
        ({"expected_minutes": None}, "/expected_minutes null"),
        ({**HOURLY, "minutes": 1}, "/minutes unknown-field"),
        ([], " type"),
    ],
    ids=str,
)
def test_a_feed_that_cannot_be_is_refused(client, sent, fault):
    body = as_problem(client.put(HERE, json=sent), "invalid-feed")

    assert [f"{one['pointer']} {one['code']}" for one in body["errors"]] == [fault]
    as_problem(client.get(HERE), "not-found")


def test_reading_and_setting_need_scopes_of_their_own(doors):
    reader, sender = doors.with_scopes("flags:read"), doors.with_scopes("panels:write")

    as_problem(reader.put(HERE, json=HOURLY), "forbidden")
    as_problem(reader.delete(HERE), "forbidden")
    as_problem(sender.get(HERE), "forbidden")
    as_problem(sender.get("/v1/feeds"), "forbidden")


def test_the_time_since_the_last_result_and_silence_are_in_the_metrics(client, doors, means, scrape):
    Sender(means).send(panel(calcium("9.5")), at=NOW)
    client.put(HERE, json=HOURLY)
    client.put("/v1/sources/lab-2/feed", json={"expected_minutes": 120})

    with time_machine.travel(NOW + 90 * MINUTE, tick=False):
        told = scrape()

    since, silent = "lab_alerts_feed_seconds_since_last_result", "lab_alerts_feed_silent"
    assert told[since, labels(source="lab-1")] == 90 * 60
    assert 89 * 60 < told[since, labels(source="lab-2")] <= 90 * 60
    assert [told[silent, labels(source=source)] for source in ("lab-1", "lab-2")] == [1, 0]


@pytest.fixture
def one_of_two_silent(client, means):
    """Call it to ask for readiness as somebody, when one of two feeds is late."""
    Sender(means).send(panel(calcium("9.5")), at=NOW)
    client.put(HERE, json=HOURLY)
    client.put("/v1/sources/lab-2/feed", json={"expected_minutes": 120})

    def ask(somebody, **options):
        with time_machine.travel(NOW + 90 * MINUTE, tick=False):
            return somebody.get("/health/ready", **options)

    return ask


SILENT = {"feeds": [{"status": "warn", "time": "2026-11-20T13:30:00Z", "observedValue": 1, "observedUnit": "silent"}]}
NAMED = {
    "feed:lab-1": [{"status": "warn", "time": "2026-11-20T13:30:00Z", "observedValue": "2026-11-20T12:00:00Z"}],
    "feed:lab-2": [{"status": "pass", "time": "2026-11-20T13:30:00Z"}],
}


def of_feeds(answer):
    return {name: told for name, told in answer.get_json()["checks"].items() if name.startswith("feed")}


def test_a_silent_feed_is_a_warning_and_no_failure(one_of_two_silent, client, document):
    early = client.get("/health/ready")

    late = one_of_two_silent(client)

    body = as_described(document, "/health/ready", early)
    assert (early.status_code, body["status"], body["checks"]["feeds"][0]["observedValue"]) == (200, "pass", 0)
    assert (late.status_code, as_described(document, "/health/ready", late)["status"]) == (200, "warn")


@pytest.mark.parametrize("scope", ["metrics:read", "flags:read", "admin"])
def test_whoever_may_see_feeds_elsewhere_is_told_which_are_silent(one_of_two_silent, doors, scope):
    assert of_feeds(one_of_two_silent(doors.with_scopes(scope))) == SILENT | NAMED


def test_everybody_else_is_told_how_many_feeds_are_silent_and_no_name(one_of_two_silent, doors):
    asked = [
        one_of_two_silent(doors.without_key()),
        one_of_two_silent(doors.with_key("lak_wrong")),
        one_of_two_silent(doors.with_key("")),
        one_of_two_silent(doors.with_scopes("panels:write")),
        one_of_two_silent(doors.without_key(), auth=("any", doors.key("metrics:read"))),
        one_of_two_silent(doors.without_key(), headers={"Cookie": "session=nonsense"}),
    ]

    assert [(answer.status_code, of_feeds(answer)) for answer in asked] == [(200, SILENT)] * len(asked)
    assert not any("lab-" in answer.text or "12:00:00" in answer.text for answer in asked)


def test_a_service_that_expects_no_feed_says_nothing_of_feeds(client):
    assert of_feeds(client.get("/health/ready")) == {}
