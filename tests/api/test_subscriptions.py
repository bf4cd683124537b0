"""What a caller is promised of /v1/subscriptions."""

import re

import pytest

from service.domain.subscriptions import ALL_TYPES
from tests.api.described import as_described, as_problem
from tests.api.subscribing import HERE, HOOK, LETTERBOXES, wanted
from tests.flows.subscribing import end
from tests.flows.telling import fan_all_out

ONE = f"{HERE}/{{subscription_id}}"
SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")


@pytest.fixture(autouse=True)
def _letterboxes(app, monkeypatch):
    monkeypatch.setitem(app.extensions, "lab_alerts_senders", LETTERBOXES)


@pytest.fixture
def make(client):
    """Call it with what is asked for: it is made, and answered."""

    def done(**more):
        answer = client.post(HERE, json=wanted(**more))
        assert answer.status_code == 201, answer.get_json()
        return answer.get_json()

    return done


def test_a_subscription_is_made_with_what_is_left_out_filled_in(client, document):
    answer = client.post(HERE, json=wanted())

    body = as_described(document, HERE, answer)
    assert answer.status_code == 201
    assert answer.headers["Location"] == body["href"] == f"{HERE}/{body['id']}"
    assert SECRET.fullmatch(body["secret"])
    told = {name: body[name] for name in ("name", "channel", "endpoint", "format", "payload", "state", "version")}
    assert told == {
        "name": "ward 7",
        "channel": "webhook",
        "endpoint": HOOK,
        "format": "native",
        "payload": "thin",
        "state": "active",
        "version": 1,
    }
    empty = {"types": [], "findings": [], "severities": [], "sources": [], "collected_within_hours": None}
    assert (body["filter"], body["signed"], body["credential"]) == (empty, True, False)
    assert body["created_by"].startswith("key_")
    assert (body["health"]["waiting"], body["health"]["last_sent_at"]) == (0, None)


# (what is asked for beside the name, which format comes of it, is it signed)
KINDS = [
    ({}, "native", True),
    ({"format": "cloudevents", "payload": "full"}, "cloudevents", True),
    ({"format": "fhir", "payload": "full"}, "fhir", True),
    ({"channel": "email", "endpoint": "mailto:ward@hospital.example"}, "text", False),
    ({"channel": "pager"}, "alertmanager", False),
    ({"channel": "pager", "credential": "Basic eDp5"}, "alertmanager", False),
    ({"channel": "pager", "format": "pagerduty", "credential": "R0UT1NG"}, "pagerduty", False),
]


@pytest.mark.parametrize(
    ("asked", "format_", "signed"), KINDS, ids=[" ".join(map(str, one[0].values())) for one in KINDS]
)
def test_each_channel_has_its_formats(make, asked, format_, signed):
    body = make(**asked)

    assert (body["format"], body["signed"], "secret" in body) == (format_, signed, signed)
    assert body["credential"] == ("credential" in asked)


# (what is asked for, pointers and codes of all faults)
REFUSED = [
    ({"name": None}, [("/name", "null")]),
    ({"name": " "}, [("/name", "empty")]),
    ({"name": "x" * 201}, [("/name", "too-long")]),
    ({"name": "ward \u202e7"}, [("/name", "text-unusable")]),
    ({"name": "ward\n7"}, [("/name", "text-unusable")]),
    ({"name": "a\u2028b", "endpoint": "http://x"},
     [("/endpoint", "endpoint-refused"), ("/name", "text-unusable")]),
    ({"nam": "x"}, [("/nam", "unknown-field")]),
    ({"channel": "fax"}, [("/channel", "not-a-choice")]),
    ({"endpoint": "http://x"}, [("/endpoint", "endpoint-refused")]),
    ({"endpoint": f"{HOOK}?…"}, [("/endpoint", "masked")]),
    ({"endpoint": 7}, [("/endpoint", "type")]),
    ({"endpoint": "https://" + "x" * 2_000}, [("/endpoint", "too-long")]),
    ({"format": "text"}, [("/format", "not-of-the-channel")]),
    ({"format": "xml"}, [("/format", "not-a-choice")]),
    ({"channel": "email", "endpoint": HOOK}, [("/endpoint", "endpoint-refused")]),
    ({"channel": "email", "endpoint": "mailto:a@b", "format": "native"}, [("/format", "not-of-the-channel")]),
    ({"channel": "email", "endpoint": "mailto:a@b", "payload": "full"}, [("/payload", "not-of-the-channel")]),
    ({"channel": "pager", "payload": "full"}, [("/payload", "not-of-the-channel")]),
    ({"channel": "pager", "format": "pagerduty"}, [("/credential", "required")]),
    ({"credential": "R0UT1NG"}, [("/credential", "not-of-the-channel")]),
    ({"channel": "pager", "credential": "a\r\nHost: b"}, [("/credential", "text-unusable")]),
    ({"channel": "pager", "credential": "schlüssel"}, [("/credential", "text-unusable")]),
    ({"filter": []}, [("/filter", "type")]),
    ({"filter": {"types": "lab.flag.raised"}}, [("/filter/types", "type")]),
    ({"filter": {"types": ["lab.flag.rised"]}}, [("/filter/types/0", "not-a-choice")]),
    ({"filter": {"types": ["lab.subscription.test"]}}, [("/filter/types/0", "not-a-choice")]),
    ({"filter": {"findings": ["gout"], "severities": ["bad"]}},
     [("/filter/findings/0", "not-a-choice"), ("/filter/severities/0", "not-a-choice")]),
    ({"filter": {"sources": [1, ""]}}, [("/filter/sources/0", "type"), ("/filter/sources/1", "empty")]),
    ({"filter": {"sources": ["x"] * 101}}, [("/filter/sources", "too-many")]),
    ({"filter": {"collected_within_hours": 0}}, [("/filter/collected_within_hours", "out-of-range")]),
    ({"filter": {"finding": ["anemia"]}}, [("/filter/finding", "unknown-field")]),
    ({"name": 1, "endpoint": "http://x", "format": "text", "payload": "all", "filter": {"types": ["x"]}},
     [("/endpoint", "endpoint-refused"), ("/filter/types/0", "not-a-choice"), ("/format", "not-of-the-channel"),
      ("/name", "type"), ("/payload", "not-a-choice")]),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "faults"), REFUSED, ids=[str(list(row[0])) for row in REFUSED])
def test_every_fault_is_told_at_once(client, asked, faults):
    problem = as_problem(client.post(HERE, json=wanted(**asked)), "invalid-subscription")

    assert sorted((error["pointer"], error["code"]) for error in problem["errors"]) == faults
    assert client.get(HERE).get_json()["items"] == []


def test_an_unknown_event_is_refused_with_those_that_there_are(client):
    problem = as_problem(client.post(HERE, json=wanted(filter={"types": ["x"]})), "invalid-subscription")

    assert problem["errors"][0]["hint"] == f"accepted: {', '.join(ALL_TYPES)}"


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"null"], ids=["nothing", "list", "number", "broken", "null"])
def test_what_is_no_object_is_refused(client, body):
    answer = client.post(HERE, data=body, content_type="application/json")

    as_problem(answer, "invalid-json" if body in {b"", b"{"} else "invalid-subscription")


def test_a_name_that_is_taken_is_refused(client, make):
    make()

    problem = as_problem(client.post(HERE, json=wanted()), "invalid-subscription")

    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/name", "name-in-use")]


def test_all_are_listed_and_each_is_shown_by_itself(client, make, document):
    first, second = make(name="a"), make(name="b")

    listed = as_described(document, HERE, client.get(HERE))["items"]
    shown = as_described(document, ONE, client.get(first["href"]))

    assert [one["id"] for one in listed] == [first["id"], second["id"]]
    assert shown == listed[0] == {name: said for name, said in first.items() if name != "secret"}


def test_they_are_read_page_by_page_also_while_others_come_and_go(client, make):
    made = [make(name=name)["id"] for name in "abcde"]

    first = client.get(f"{HERE}?limit=2").get_json()
    client.delete(f"{HERE}/{made[1]}")  # the one after which the next page begins
    made.append(make(name="f")["id"])
    second = client.get(first["next"]).get_json()
    third = client.get(second["next"]).get_json()

    pages = [[one["id"] for one in page["items"]] for page in (first, second, third)]
    assert pages == [made[0:2], made[2:4], made[4:6]]
    assert third["next"] is None


@pytest.mark.parametrize("query", ["cursor=x", "limit=0", "limit=201", "state=paused"])
def test_a_list_that_is_not_understood_is_refused(client, query):
    assert client.get(f"{HERE}?{query}").status_code == 400


def test_a_cursor_of_another_list_is_refused(client, make):
    href = make()["href"]
    make(name="b")
    cursor = client.get(f"{HERE}?limit=1").get_json()["next"].rpartition("cursor=")[2]

    as_problem(client.get(f"{href}/deliveries?cursor={cursor}"), "invalid-cursor")


def test_no_secret_no_credential_and_no_query_is_shown_again_or_logged(client, make, caplog, capfd):
    hidden = ["T0KEN", "R0UT1NG"]
    made = [
        make(endpoint=f"{HOOK}?token=T0KEN"),
        make(name="p", channel="pager", format="pagerduty", credential="R0UT1NG"),
    ]
    hidden.append(made[0].pop("secret"))
    href = made[0]["href"]
    rotated = client.post(f"{href}/rotate").get_json()
    hidden.append(rotated.pop("secret"))
    answers = [client.get(one["href"]) for one in made] + [client.get(HERE), client.patch(href, json={"name": "x"})]
    answers += [client.post(f"{href}/{word}") for word in ("pause", "resume", "test")]
    answers += [client.post(HERE, json=wanted(endpoint="http://x?T0KEN", channel="pager", credential="R0UT1NG\n"))]

    said = f"{made} {rotated}" + "".join(answer.text for answer in answers)
    logged = caplog.text + "".join(capfd.readouterr())

    assert [word for word in hidden if word in said] == []
    assert [word for word in hidden if word in logged] == []
    assert made[0]["endpoint"] == f"{HOOK}?…"


# ------------------------------------------------------------------------------------------------------------- changed
def test_what_is_left_out_of_a_change_stays(client, make, document):
    one = make(filter={"findings": ["anemia"], "severities": ["critical"]})

    changed = as_described(document, ONE, client.patch(one["href"], json={"filter": {"findings": ["pattern"]}}))

    assert (changed["name"], changed["endpoint"], changed["version"]) == ("ward 7", HOOK, 2)
    assert (changed["filter"]["findings"], changed["filter"]["severities"]) == (["pattern"], [])


# (what is held, how it is to be changed, pointers and codes of all faults)
MISFITS = [
    ({}, {"channel": "email"}, [("/channel", "unknown-field")]),
    ({}, {"format": "text"}, [("/format", "not-of-the-channel")]),
    ({}, {"endpoint": "http://x", "name": None}, [("/endpoint", "endpoint-refused"), ("/name", "null")]),
    ({}, {"endpoint": f"{HOOK}?…"}, [("/endpoint", "masked")]),
    ({}, {"name": "\u200fward"}, [("/name", "text-unusable")]),
    ({"channel": "pager"}, {"format": "pagerduty"}, [("/credential", "required")]),
    ({"channel": "pager", "format": "pagerduty", "credential": "x"}, {"credential": None},
     [("/credential", "required")]),
    ({"channel": "pager"}, {"payload": "full"}, [("/payload", "not-of-the-channel")]),
]  # fmt: skip


@pytest.mark.parametrize(("held", "change", "faults"), MISFITS, ids=[str(row[1]) for row in MISFITS])
def test_a_change_has_to_fit_what_is_held(client, make, held, change, faults):
    one = make(**held)

    problem = as_problem(client.patch(one["href"], json=change), "invalid-subscription")

    assert sorted((error["pointer"], error["code"]) for error in problem["errors"]) == faults
    assert client.get(one["href"]).get_json()["version"] == 1


def test_a_change_can_fit_because_of_another(client, make):
    one = make(channel="pager")

    changed = client.patch(one["href"], json={"format": "pagerduty", "credential": "R0UT1NG"}).get_json()
    back = client.patch(one["href"], json={"format": "alertmanager", "credential": None}).get_json()

    assert [(now["format"], now["credential"]) for now in (changed, back)] == [
        ("pagerduty", True),
        ("alertmanager", False),
    ]


WORKS = {
    "change": lambda client, href, **more: client.patch(href, json={"name": "new"}, **more),
    "rotate": lambda client, href, **more: client.post(f"{href}/rotate", **more),
    "pause": lambda client, href, **more: client.post(f"{href}/pause", **more),
    "resume": lambda client, href, **more: client.post(f"{href}/resume", **more),
    "delete": lambda client, href, **more: client.delete(href, **more),
}


@pytest.mark.parametrize("work", WORKS)
def test_nobody_overwrites_a_version_that_they_have_not_seen(client, make, work):
    one = make()
    etag = client.get(one["href"]).headers["ETag"]
    seen = client.patch(one["href"], json={"name": "changed meanwhile"}).headers["ETag"]

    stale = WORKS[work](client, one["href"], headers={"If-Match": etag})
    done = WORKS[work](client, one["href"], headers={"If-Match": seen})

    as_problem(stale, "precondition-failed")
    assert done.status_code in {200, 204}


@pytest.mark.parametrize(
    ("if_match", "status"),
    [("*", 200), ('"1"', 200), ('"1-abc"', 200), ('"7", "1"', 200), ('"2"', 412), ('"11"', 412), ('W/"1"', 412)],
    ids=["any", "version", "tag", "one of several", "newer", "longer", "weak"],
)
def test_if_match_looks_at_the_version_alone(client, make, if_match, status):
    one = make()

    answer = client.patch(one["href"], json={"name": "x"}, headers={"If-Match": if_match})

    assert answer.status_code == status


def test_the_etag_changes_with_how_it_is_doing_and_the_version_does_not(client, make, means):
    one = make()
    before = client.get(one["href"])
    client.post(f"{one['href']}/test")
    fan_all_out(means)

    after = client.get(one["href"], headers={"If-None-Match": before.headers["ETag"]})
    changed = client.patch(one["href"], json={"name": "x"}, headers={"If-Match": before.headers["ETag"]})

    assert (after.status_code, after.get_json()["health"]["waiting"], changed.status_code) == (200, 1, 200)
    same = client.get(one["href"], headers={"If-None-Match": changed.headers["ETag"]})
    assert same.status_code == 304


# ------------------------------------------------------------------------------------------------------------ the rest
def test_a_rotation_answers_the_new_secret_and_until_when_the_old_one_signs(client, make, document):
    one = make()

    answer = client.post(f"{one['href']}/rotate", json={"hours": 2})

    body = as_described(document, f"{ONE}/rotate", answer)
    assert SECRET.fullmatch(body["secret"])
    assert body["secret"] != one["secret"]
    assert body["old_secret_until"].startswith("2026-11-20T14:00:")


BOUNDS = [
    ({"hours": -1}, "out-of-range"),
    ({"hours": 169}, "out-of-range"),
    ({"hours": "2"}, "type"),
    ({"days": 1}, "unknown-field"),
]


@pytest.mark.parametrize(("sent", "code"), BOUNDS, ids=[str(row[0]) for row in BOUNDS])
def test_a_rotation_has_its_bounds(client, make, sent, code):
    problem = as_problem(client.post(f"{make()['href']}/rotate", json=sent), "invalid-subscription")

    assert [error["code"] for error in problem["errors"]] == [code]


def test_it_is_paused_resumed_and_deleted(client, make, document):
    one = make()

    paused = as_described(document, f"{ONE}/pause", client.post(f"{one['href']}/pause"))
    resumed = as_described(document, f"{ONE}/resume", client.post(f"{one['href']}/resume"))
    deleted = client.delete(one["href"])

    assert (paused["state"], resumed["state"]) == ("paused", "active")
    assert (deleted.status_code, deleted.data) == (204, b"")
    as_problem(client.get(one["href"]), "not-found")
    assert client.get(HERE).get_json()["items"] == []


def test_a_test_event_is_put_on_its_way(client, make, means, document):
    one = make()

    body = as_described(document, f"{ONE}/test", client.post(f"{one['href']}/test"))
    fan_all_out(means)

    (found,) = client.get(body["deliveries"]).get_json()["items"]
    assert (found["event"], found["type"]) == (body["event"], "lab.subscription.test")


def test_what_has_failed_is_counted_then_replayed(client, make, means, database, document):
    one = make()
    for _ in range(2):
        client.post(f"{one['href']}/test")
    fan_all_out(means)
    end(database, "failed")
    since = {"failed_since": "2026-11-20T12:00:00+01:00"}

    counted = client.post(f"{one['href']}/replay", json=since | {"dry_run": True})
    done = client.post(f"{one['href']}/replay", json=since)
    again = client.post(f"{one['href']}/replay", json=since)

    bodies = [as_described(document, f"{ONE}/replay", answer) for answer in (counted, done, again)]
    assert bodies == [{"count": 2, "dry_run": True}, {"count": 2, "dry_run": False}, {"count": 0, "dry_run": False}]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({}, "required"),
        ({"failed_since": "yesterday"}, "time-invalid"),
        ({"failed_since": "2026-11-20T12:00:00"}, "time-without-offset"),
        ({"failed_since": "2026-11-20T12:00:00Z", "dry_run": 1}, "type"),
    ],
    ids=["none", "word", "no offset", "number"],
)
def test_a_replay_names_its_time(client, make, sent, code):
    problem = as_problem(client.post(f"{make()['href']}/replay", json=sent), "invalid-subscription")

    assert [error["code"] for error in problem["errors"]] == [code]
