"""Acting on an episode that was merged into another one: the caller may not have heard of that yet."""

import pytest

from tests.api.described import as_described, as_problem
from tests.flows.build import calcium, hemoglobin, panel

CALL = {"told_to": "ward 7", "how": "phone", "outcome": "reached", "read_back": True}
ACK = {"reason": "acting", "note": "Ward 7 told."}
CALLS = "/v1/episodes/{name}/callbacks"


@pytest.fixture
def merged(client):
    """Two episodes of which one is now part of the other: the name of the one that goes on, and of the other."""
    found = []
    for day, value in enumerate(("11.9", "9.5", "13.6")):
        answer = client.post("/v1/panels", json=panel(calcium(value, id=f"C{day}"), on=day)).get_json()
        found += [one["episode"] for one in answer["changes"] if one["type"] == "lab.flag.raised"]
    client.post("/v1/panels", json=panel(calcium("9.5", id="C1", status="entered-in-error"), on=1))
    (gone,) = (name for name in found if shown(client, name)["state"] == "merged")
    return shown(client, gone)["merged_into"], gone


def shown(client, name):
    return client.get(f"/v1/episodes/{name}").get_json()


def flags_by_day(client):
    return {one["collected_at"][:10]: one["id"] for one in client.get("/v1/flags").get_json()["items"]}


def test_a_call_about_it_is_about_the_flag_that_was_its_newest(client, document, merged):
    living, gone = merged

    answer = client.post(CALLS.format(name=gone), json=CALL)

    (call,) = as_described(document, CALLS, answer)["callbacks"]
    assert answer.status_code == 201
    assert (call["flag"], call["value"]["sent"]) == (flags_by_day(client)["2026-11-01"], "11.9")
    assert shown(client, living)["callbacks"] == [call]


def test_a_call_may_be_about_any_flag_of_the_one_that_goes_on_and_of_no_other(client, merged):
    _, gone = merged
    critical = flags_by_day(client)["2026-11-03"]
    client.post("/v1/panels", json=panel(hemoglobin("9.1"), on=4))
    other = flags_by_day(client)["2026-11-05"]

    of_living = client.post(CALLS.format(name=gone), json=CALL | {"flag": critical})
    of_another = client.post(CALLS.format(name=gone), json=CALL | {"flag": other})

    assert (of_living.status_code, of_living.get_json()["callbacks"][0]["value"]["sent"]) == (201, "13.6")
    as_problem(of_another, "not-found")


@pytest.mark.parametrize(
    ("what", "body"),
    [("acknowledgements", ACK), ("assignment", {"assignee": "x"}), ("snoozes", {"until": "worse"})],
    ids=["acknowledged", "assigned", "snoozed"],
)
def test_nothing_is_done_to_what_was_not_seen_but_it_is_said_where_it_goes_on(client, merged, what, body):
    living, gone = merged

    answer = client.post(f"/v1/episodes/{gone}/{what}", json=body)

    assert living in as_problem(answer, "episode-not-open")["detail"]
    assert shown(client, living)["acts"] == []


def test_among_several_it_is_said_where_it_goes_on(client, merged):
    living, gone = merged
    seen = {"episode": gone, "version": shown(client, gone)["version"]}

    (item,) = client.post("/v1/acknowledgements", json={**ACK, "episodes": [seen]}).get_json()["items"]

    assert (item["status"], item["problem"]["type"]) == (409, "/problems/episode-not-open")
    assert living in item["problem"]["detail"]


def test_it_is_said_where_it_goes_on_in_the_end_and_not_on_the_way(client, merged):
    _, gone = merged
    client.post("/v1/panels", json=panel(calcium("9.5", id="C4"), on=4))
    client.post("/v1/panels", json=panel(calcium("13.7", id="C5"), on=5))
    client.post("/v1/panels", json=panel(calcium("9.5", id="C4", status="entered-in-error"), on=4))
    (last,) = (one["id"] for one in client.get("/v1/patients/88204113/episodes?state=open").get_json()["items"])

    answer = client.post(f"/v1/episodes/{gone}/acknowledgements", json=ACK)

    assert last in as_problem(answer, "episode-not-open")["detail"]
