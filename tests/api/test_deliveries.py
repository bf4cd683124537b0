"""What a caller is promised of the deliveries of a subscription."""

import base64
import json
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from service.flows import subscriptions as flow
from service.storage import deliveries
from service.storage.tables_delivery import deliveries as delivery_rows
from service.storage.tables_delivery import delivery_attempts
from tests.api.described import as_described, as_problem
from tests.flows.build import NOW
from tests.flows.subscribing import end, event, made
from tests.flows.telling import fan_all_out, put_out

ONE = "/v1/deliveries/{delivery_id}"
MANY = "/v1/subscriptions/{subscription_id}/deliveries"
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def ward(means, database, app):
    """A subscription that was told of four events; the first failed, the second went through."""
    one = made(means).subscription
    put_out(database, *[event(number, flag=f"flg_{number}") for number in range(3)])
    put_out(database, event("3", episode="eps_2", type="lab.flag.superseded", data={"by": "flg_0"}))
    fan_all_out(means)
    end(database, "failed", event_id="evt_0")
    end(database, "sent", event_id="evt_1")
    return one


@pytest.fixture
def path(ward):
    return f"/v1/subscriptions/{ward.id}/deliveries"


def events(answer):
    assert answer.status_code == 200, answer.get_json()
    return [one["event"] for one in answer.get_json()["items"]]


def named(database, event_id):
    with database.reading() as connection:
        return connection.execute(select(delivery_rows).where(delivery_rows.c.event_id == event_id)).one()


def href(database, event_id):
    return f"/v1/deliveries/{named(database, event_id).id}"


def test_deliveries_are_listed_the_newest_first(client, path, document):
    body = as_described(document, MANY, client.get(path))

    told = [(one["number"], one["event"], one["state"]) for one in body["items"]]
    assert told == [(4, "evt_3", "waiting"), (3, "evt_2", "waiting"), (2, "evt_1", "sent"), (1, "evt_0", "failed")]
    assert body["next"] is None


# (what is asked for, what is found)
FOUND = [
    ("state=failed", ["evt_0"]),
    ("state=failed&state=sent", ["evt_1", "evt_0"]),
    ("state=dropped", []),
    ("type=lab.flag.superseded", ["evt_3"]),
    ("type=lab.subscription.test", []),
    ("flag=flg_1", ["evt_1"]),
    ("flag=flg_0", ["evt_3", "evt_0"]),  # also as the one that replaces another
    ("episode=eps_2", ["evt_3", "evt_2"]),
    ("since=2026-11-20T12:00:00Z", ["evt_3", "evt_2", "evt_1", "evt_0"]),
    ("since=2026-11-20T12:00:01Z", []),
    ("state=waiting&episode=eps_2&type=lab.flag.raised", ["evt_2"]),
]


@pytest.mark.parametrize(("query", "found"), FOUND, ids=[row[0] for row in FOUND])
def test_only_what_is_asked_for_is_listed(client, path, query, found):
    assert events(client.get(f"{path}?{query}")) == found


NOT_ASKED = ["state=lost", "type=x", "since=2026-11-20", "limit=0", "limit=201", "flags=x", "flag=a&flag=b"]


@pytest.mark.parametrize("query", NOT_ASKED)
def test_what_cannot_be_asked_for_is_refused(client, path, query):
    as_problem(client.get(f"{path}?{query}"), "invalid-query")


def test_pages_follow_each_other_while_more_comes_in(client, path, means, database):
    first = client.get(f"{path}?limit=2")
    put_out(database, event(9))
    fan_all_out(means)

    second = client.get(first.get_json()["next"])

    assert (events(first), events(second), second.get_json()["next"]) == (["evt_3", "evt_2"], ["evt_1", "evt_0"], None)
    assert first.headers["Link"] == f'<{first.get_json()["next"]}>; rel="next"'


def altered(cursor, name):
    """The cursor with another name of its place."""
    at, _, bound = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return base64.urlsafe_b64encode(json.dumps([at, name, bound]).encode()).decode().rstrip("=")


MADE_UP = {"empty": "", "word": "x", "minus": "-1", "part": "1.5", "long": "9" * 19, "Arabic digit": "\u0663"}


@pytest.mark.parametrize("name", MADE_UP.values(), ids=MADE_UP)
def test_a_cursor_that_somebody_made_up_is_refused(client, path, name):
    cursor = client.get(f"{path}?limit=1").get_json()["next"].partition("cursor=")[2]

    as_problem(client.get(f"{path}?limit=1&cursor={altered(cursor, name)}"), "invalid-cursor")


def test_a_cursor_is_that_of_one_subscription(client, path, means):
    other = made(means, "other").subscription
    cursor = client.get(f"{path}?limit=1").get_json()["next"].partition("cursor=")[2]

    as_problem(client.get(f"/v1/subscriptions/{other.id}/deliveries?cursor={cursor}"), "invalid-cursor")


# -------------------------------------------------------------------------------------------------------- one of them
def tried(database, event_id, *attempts):
    name = named(database, event_id).id
    same = {"delivery_id": name, "at": NOW, "milliseconds": 12, "status": None, "why": None, "answer": None}
    rows = [{**same, "number": number, **one} for number, one in enumerate(attempts, start=1)]
    with database.transaction() as connection:
        connection.execute(insert(delivery_attempts), rows)


def test_a_delivery_is_shown_with_every_attempt(client, ward, database, document):
    failed = {"outcome": "later", "status": 500, "why": "the receiver answered 500", "answer": "oops"}
    tried(database, "evt_1", failed, {"outcome": "sent", "status": 204})

    body = as_described(document, ONE, client.get(href(database, "evt_1")))

    assert [(one["number"], one["outcome"], one.get("answer")) for one in body["history"]] == [
        (1, "later", "oops"),
        (2, "sent", None),
    ]
    assert body["subscription"] == ward.id
    assert "next_at" not in body
    assert "tries_left" not in body


def test_one_that_waits_says_when_it_is_tried_and_what_comes_after(client, ward, database, document):
    with database.transaction() as connection:
        connection.execute(
            update(delivery_rows).where(delivery_rows.c.event_id == "evt_2").values(tries=7, next_at=LATER)
        )

    body = as_described(document, ONE, client.get(href(database, "evt_2")))

    assert (body["next_at"], body["tries_left"]) == ("2026-11-20T13:00:00Z", 3)
    assert body["afterwards"].startswith("After 10 tries, about three days, it is failed")
    assert not {"held_back", "behind"} & set(body)


def test_one_that_is_behind_another_of_its_episode_names_it(client, ward, database):
    body = client.get(href(database, "evt_3")).get_json()

    assert body["behind"] == named(database, "evt_2").id


def paused(means, database, one):
    flow.pause(one.id, means, now=NOW)


def disabled(means, database, one):
    with database.transaction() as connection:
        deliveries.disable(connection, one.id, why="gone (410)", now=NOW)


def failing(means, database, one):
    with database.transaction() as connection:
        deliveries.failed_again(connection, one.id, failures=3, until=LATER, now=NOW)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (paused, "the subscription is paused"),
        (disabled, "the subscription is disabled"),
        (failing, "the receiver has failed 3 times in a row and is left alone until 2026-11-20T13:00:00Z"),
    ],
)
def test_one_that_is_held_back_says_why(client, ward, means, database, make, why):
    make(means, database, ward)

    assert client.get(href(database, "evt_2")).get_json()["held_back"] == why
    assert "held_back" not in client.get(href(database, "evt_1")).get_json()


def test_headers_are_shown_without_anything_that_signs(client, ward, means, database):
    flow.rotate(ward.id, means, now=NOW)

    answer = client.get(href(database, "evt_2"))

    headers = answer.get_json()["headers"]
    assert headers == {"webhook-id": "evt_2", "webhook-timestamp": "…", "webhook-signature": "v1,… v1,…"}
    assert "whsec_" not in answer.text


def test_one_is_replayed_under_the_same_id(client, ward, database, document):
    where = href(database, "evt_0")

    body = as_described(document, f"{ONE}/replay", client.post(f"{where}/replay"))

    assert (body["state"], body["event"], body["attempts"], body["tries_left"]) == ("waiting", "evt_0", 10, 10)
    assert body["next_at"].startswith("2026-11-20T12:00:")


def test_the_deliveries_of_a_deleted_one_are_not_found(client, ward, path, means, database):
    flow.delete(ward.id, means, now=NOW)

    as_problem(client.get(path), "not-found")
    as_problem(client.get(href(database, "evt_1")), "not-found")
    as_problem(client.post(f"{href(database, 'evt_1')}/replay"), "not-found")
