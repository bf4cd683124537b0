"""What a caller is promised of /v1/escalation."""

import pytest

from service.domain.subscriptions import SubscriptionState
from service.flows.escalation import escalate
from tests.api.described import as_described, as_problem
from tests.api.exposed import labels
from tests.flows.build import NOW, Sender, calcium, panel
from tests.flows.telling import set_state, subscribe
from tests.flows.watching import MINUTE

HERE = "/v1/escalation"


@pytest.fixture
def staff(database):
    return {name: subscribe(database, name) for name in ("nurse", "doctor")}


def policy(*steps, **more):
    return {"steps": [{"subscription": f"sub_{who}", "after_minutes": after} for who, after in steps], **more}


BOTH = policy(("nurse", 15), ("doctor", 30), severity="severe")


def test_without_a_policy_there_is_the_empty_one(client, document):
    answer = client.get(HERE)

    body = as_described(document, HERE, answer)
    empty = {"severity": "critical", "steps": []}
    assert body == {"version": 0, "set_at": None, "policy": empty, "subscriptions": []}
    assert answer.headers["ETag"].startswith('"0-')


def test_a_policy_is_set_and_read_again(client, document, staff):
    made = client.put(HERE, json=BOTH)
    shown = client.get(HERE)

    body = as_described(document, HERE, made)
    assert (made.status_code, body["version"], body["policy"]) == (200, 1, BOTH)
    assert body["set_by"].startswith("key_")
    assert body["subscriptions"] == [
        {"id": f"sub_{name}", "name": name, "state": "active", "href": f"/v1/subscriptions/sub_{name}"}
        for name in ("nurse", "doctor")
    ]
    assert as_described(document, HERE, shown) == body
    assert made.headers["ETag"] == shown.headers["ETag"]


def test_how_its_subscriptions_are_is_told_and_makes_another_etag(client, document, staff, database):
    before = client.put(HERE, json=BOTH).headers["ETag"]
    set_state(database, staff["nurse"], SubscriptionState.PAUSED)
    set_state(database, staff["doctor"], SubscriptionState.DELETED)

    answer = client.get(HERE, headers={"If-None-Match": before})

    told = as_described(document, HERE, answer)["subscriptions"]
    assert [(one["state"], one.get("name")) for one in told] == [("paused", "nurse"), ("deleted", None)]
    assert client.get(HERE, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_an_empty_list_of_steps_turns_it_off(client, staff):
    client.put(HERE, json=BOTH)

    answer = client.put(HERE, json={"steps": []})

    assert answer.get_json()["policy"] == {"severity": "critical", "steps": []}


def test_nobody_overwrites_what_they_have_not_seen(client, staff, database):
    first = client.get(HERE).headers["ETag"]
    seen = client.put(HERE, json=BOTH, headers={"If-Match": first}).headers["ETag"]
    set_state(database, staff["nurse"], SubscriptionState.PAUSED)

    late = client.put(HERE, json=policy(("nurse", 1)), headers={"If-Match": first})
    newer = client.put(HERE, json=policy(("nurse", 2)), headers={"If-Match": seen})

    as_problem(late, "precondition-failed")
    assert (newer.status_code, newer.get_json()["version"]) == (200, 2)


@pytest.mark.parametrize(("set_before", "status"), [(False, 200), (True, 412)])
def test_only_where_there_is_none_yet(client, staff, set_before, status):
    if set_before:
        client.put(HERE, json=BOTH)

    answer = client.put(HERE, json=policy(("nurse", 1)), headers={"If-None-Match": "*"})

    assert answer.status_code == status
    assert client.get(HERE).get_json()["version"] == 1


@pytest.mark.parametrize(("set_before", "status"), [(False, 412), (True, 200)])
def test_a_star_asks_for_a_policy_that_is_there(client, staff, set_before, status):
    if set_before:
        client.put(HERE, json=BOTH)

    answer = client.put(HERE, json=policy(("nurse", 1)), headers={"If-Match": "*"})

    assert answer.status_code == status


STEP = {"subscription": "sub_nurse", "after_minutes": 15}


@pytest.mark.parametrize(
    ("sent", "places"),
    [
        ({}, ["/steps required"]),
        ([], [" type"]),
        ({"steps": [], "step": 1}, ["/step unknown-field"]),
        ({"steps": [], "severity": "moderate"}, ["/severity not-a-choice"]),
        ({"steps": [{}]}, ["/steps/0/after_minutes required", "/steps/0/subscription required"]),
        ({"steps": [{**STEP, "after_minutes": "15"}]}, ["/steps/0/after_minutes type"]),
        ({"steps": [{**STEP, "after_minutes": 0}]}, ["/steps/0/after_minutes out-of-range"]),
        ({"steps": [{**STEP, "after_minutes": 1_441}]}, ["/steps/0/after_minutes out-of-range"]),
        ({"steps": [STEP, STEP]}, ["/steps/1/after_minutes not-ascending"]),
        (
            {"steps": [STEP, {**STEP, "after_minutes": 1}], "severity": "x"},
            ["/severity not-a-choice", "/steps/1/after_minutes not-ascending"],
        ),
        ({"steps": [{**STEP, "after_minutes": number} for number in range(1, 7)]}, ["/steps too-many"]),
        ({"steps": [{**STEP, "subscription": "sub_nobody"}]}, ["/steps/0/subscription unknown-subscription"]),
        ({"steps": ["sub_nurse"]}, ["/steps/0 type"]),
        ({"steps": None}, ["/steps null"]),
    ],
    ids=str,
)
def test_every_fault_is_told_at_once(client, staff, sent, places):
    body = as_problem(client.put(HERE, json=sent), "invalid-escalation")

    assert sorted(f"{one['pointer']} {one['code']}" for one in body["errors"]) == places
    assert client.get(HERE).get_json()["version"] == 0


def test_it_needs_the_scope_of_subscriptions(doors):
    other = doors.with_scopes("flags:read", "sources:write")

    as_problem(other.get(HERE), "forbidden")
    as_problem(other.put(HERE, json=BOTH), "forbidden")


def test_the_steps_taken_and_those_of_whom_nobody_can_be_told_are_in_the_metrics(
    client, means, staff, database, scrape
):
    client.put(HERE, json=BOTH)
    Sender(means).send(panel(calcium("13.9")), at=NOW)
    escalate(means, now=NOW + 16 * MINUTE)
    set_state(database, staff["doctor"], SubscriptionState.PAUSED)
    escalate(means, now=NOW + 31 * MINUTE)

    told = scrape()

    name = "lab_alerts_escalation_steps"
    steps = {dict(found)["step"] + dict(found)["state"]: value for (of, found), value in told.items() if of == name}
    assert {key: value for key, value in steps.items() if value} == {"1told": 1, "2unheard": 1}
    assert len(steps) == 5 * 4
    assert told["lab_alerts_episodes_unheard", labels()] == 1
