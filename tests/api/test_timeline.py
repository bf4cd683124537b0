"""A patient's history in depth: every current result in its order, and every episode with its flags."""

from urllib.parse import urlsplit

import pytest

from tests.api.described import as_described, as_problem
from tests.flows.build import WOMAN, alp, calcium, day, hemoglobin, panel, platelets, result

TIMELINE = "/v1/patients/88204113/timeline"
EPISODES = "/v1/patients/88204113/episodes"


@pytest.fixture
def story(client):
    """A calcium that rises, is corrected and falls; beside it what is clear and what could not be judged."""
    client.post("/v1/panels", json=panel(calcium("10.9"), hemoglobin("13.1"), on=0))
    client.post("/v1/panels", json=panel(calcium("11.9"), alp("250"), on=1))
    client.post("/v1/panels", json=panel(calcium("12.7"), on=1, status="corrected"))
    client.post("/v1/panels", json=panel(calcium("9.5"), platelets("5000", comparator="<"), on=2))
    return client


def items(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.get_json()["items"]


def walked(client, path):
    """Every item of every page."""
    found = []
    while path:
        body = client.get(path).get_json()
        found += body["items"]
        parts = urlsplit(body["next"] or "")
        path = f"{parts.path}?{parts.query}" if body["next"] else None
    return found


def told(found):
    return [(one["analyte"], one["sent"]["value"], one["outcome"], one["version"], one["versions"]) for one in found]


def test_a_timeline_holds_the_current_version_of_every_result(story, document):
    body = as_described(document, "/v1/patients/{patient_id}/timeline", story.get(f"{TIMELINE}?order=oldest"))

    assert sorted(told(body["items"])) == [
        ("alkaline_phosphatase", "250", "flagged", 1, 1),
        ("calcium", "10.9", "flagged", 1, 1),
        ("calcium", "12.7", "flagged", 2, 2),
        ("calcium", "9.5", "clear", 1, 1),
        ("hemoglobin", "13.1", "clear", 1, 1),
        ("platelets", "5000", "not_judged", 1, 1),
    ]


def test_a_result_is_shown_as_sent_as_converted_and_with_the_flag_that_stands_on_it(story):
    story.post("/v1/panels", json=panel(result("calcium", "3.00", "mmol/L"), on=3))

    newest, *_ = items(story, TIMELINE)

    assert newest["sent"] | {"value": "3.00", "unit": "mmol/L"} == newest["sent"]
    assert newest["converted"]["unit"] == "mg/dL"
    assert newest["converted"]["value"].startswith("12.0")
    assert (newest["severity"], newest["status"], newest["flag"]["state"]) == ("moderate", "final", "open")
    shown = story.get(newest["flag"]["href"]).get_json()
    assert (shown["results"], shown["episode"]["id"]) == ([newest["result"]], newest["flag"]["episode"])


def test_what_cannot_be_read_is_not_converted(client):
    client.post("/v1/panels", json=panel(result("calcium", "11.9", "furlong"), on=0))

    (only,) = items(client, TIMELINE)

    assert (only["outcome"], only["reason"]) == ("not_judged", "unit_unknown")
    assert "converted" not in only
    assert "flag" not in only


def test_a_comparator_is_converted_with_its_value(story):
    (only,) = items(story, f"{TIMELINE}?analyte=platelets")

    assert only["converted"] == {"value": "5000", "comparator": "<", "unit": "10*9/L"}


def test_a_withdrawn_result_stays_on_the_timeline_and_has_no_flag(client):
    client.post("/v1/panels", json=panel(calcium("11.9")))
    client.post("/v1/panels", json=panel(calcium("11.9"), status="entered-in-error"))

    (only,) = items(client, TIMELINE)

    assert (only["status"], only["reason"], only["versions"]) == ("entered-in-error", "entered_in_error", 2)
    assert "flag" not in only


@pytest.mark.parametrize("order", ["oldest", "newest"])
@pytest.mark.parametrize("limit", [1, 2, 5, 6, 7])
def test_pages_of_any_length_hold_every_result_once_and_in_order(story, order, limit):
    whole = items(story, f"{TIMELINE}?order={order}&limit=200")

    found = walked(story, f"{TIMELINE}?order={order}&limit={limit}")

    assert [one["result"] for one in found] == [one["result"] for one in whole]
    places = [(one["collected_at"], one["result"]) for one in whole]
    assert places == sorted(places, reverse=order == "newest")
    assert len(whole) == 6


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_results_that_are_added_meanwhile_neither_repeat_nor_hide_those_of_the_old_pages(story, order):
    before = [one["result"] for one in items(story, f"{TIMELINE}?order={order}")]
    found, path, number = [], f"{TIMELINE}?order={order}&limit=2", 0

    while path and number < 12:
        body = story.get(path).get_json()
        found += [one["result"] for one in body["items"]]
        number += 1
        for on in (-number, number + 3):  # before and after everything that there is
            story.post("/v1/panels", json=panel(calcium("11.9"), on=on))
        parts = urlsplit(body["next"] or "")
        path = f"{parts.path}?{parts.query}" if body["next"] else None

    assert len(found) == len(set(found))
    assert [name for name in found if name in before] == before


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("analyte=calcium", ["12.7", "10.9", "9.5"]),
        ("analyte=calcium&analyte=hemoglobin", ["12.7", "10.9", "13.1", "9.5"]),
        ("analyte=albumin", []),
        ("collected_from=2026-11-03T08:00:00Z", ["5000", "9.5"]),
        ("collected_to=2026-11-01T08:00:00Z&analyte=calcium", ["10.9"]),
        ("collected_from=2026-11-02T08:00:00Z&collected_to=2026-11-02T09:00:00%2B01:00", ["12.7", "250"]),
    ],
)
def test_a_filter_of_a_timeline_keeps_exactly_what_it_names(story, query, wanted):
    assert sorted(one["sent"]["value"] for one in items(story, f"{TIMELINE}?{query}")) == sorted(wanted)


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("analyte=calcum", "analyte", "parameter-invalid"),
        ("order=up", "order", "parameter-invalid"),
        ("limit=0", "limit", "parameter-invalid"),
        ("finding=anemia", "finding", "parameter-unknown"),
    ],
)
def test_a_query_of_a_timeline_that_is_not_understood_is_refused(story, query, pointer, code):
    problem = as_problem(story.get(f"{TIMELINE}?{query}"), "invalid-query")

    assert [(one["pointer"], one["code"]) for one in problem["errors"]] == [(pointer, code)]


@pytest.mark.parametrize(
    "other", [f"{TIMELINE}?order=oldest&limit=1", f"{TIMELINE}?analyte=calcium&limit=1", f"{EPISODES}?limit=1",
              "/v1/patients/88204113/flags?limit=1"]
)  # fmt: skip
def test_a_cursor_of_a_timeline_is_bound_to_its_filters_and_its_order(story, other):
    following = story.get(f"{TIMELINE}?limit=1").get_json()["next"]
    cursor = following.partition("cursor=")[2].partition("&")[0]

    as_problem(story.get(f"{other}&cursor={cursor}"), "invalid-cursor")


def test_the_next_page_is_also_in_the_header(story):
    answer = story.get(f"{TIMELINE}?limit=1")

    assert answer.headers["Link"] == f'<{answer.get_json()["next"]}>; rel="next"'


@pytest.mark.parametrize("what", ["timeline", "episodes"])
def test_a_patient_that_is_not_known_has_no_history(client, document, what):
    answer = client.get(f"/v1/patients/nobody/{what}")

    as_problem(answer, "not-found")
    as_described(document, f"/v1/patients/{{patient_id}}/{what}", answer)


@pytest.mark.parametrize("what", ["timeline", "episodes"])
def test_an_identifier_of_several_authorities_has_to_be_told_apart(client, what):
    for authority in ("hospital-a", "hospital-b"):
        client.post("/v1/panels", json=panel(calcium("11.9"), patient={**WOMAN, "authority": authority}))

    as_problem(client.get(f"/v1/patients/88204113/{what}"), "ambiguous-patient")
    assert len(items(client, f"/v1/patients/88204113/{what}?authority=hospital-b")) == 1


@pytest.mark.parametrize("identifier", ["ward/7", "7/flags", "7/timeline", "7/episodes", "flags", "timeline", "a/b/c"])
def test_an_identifier_may_look_like_an_address(client, identifier):
    client.post("/v1/panels", json=panel(calcium("11.9"), patient={**WOMAN, "id": identifier}))
    client.post("/v1/panels", json=panel(hemoglobin("9.1"), patient={**WOMAN, "id": "7"}))

    found = {what: items(client, f"/v1/patients/{identifier}/{what}") for what in ("timeline", "episodes", "flags")}

    assert [one["analyte"] for one in found["timeline"]] == ["calcium"]
    assert [one["finding"] for one in found["episodes"]] == ["hypercalcemia"]
    assert [one["patient"]["id"] for one in found["flags"]] == [identifier]


def test_an_episode_shows_its_level_its_worst_its_times_and_every_flag_ever_raised_in_it(story, document):
    body = as_described(document, "/v1/patients/{patient_id}/episodes", story.get(EPISODES))

    found = {one["finding"]: one for one in body["items"]}
    episode = found["hypercalcemia"]
    assert (episode["state"], episode["severity"], episode["worst"]) == ("resolved", "severe", "severe")
    times = [episode[name] for name in ("opened_at", "last_at", "resolved_at")]
    assert times == [day(number).isoformat().replace("+00:00", "Z") for number in (0, 1, 2)]
    assert [(one["severity"], one["state"]) for one in episode["flags"]] == [
        ("mild", "resolved"),
        ("moderate", "superseded"),
        ("severe", "resolved"),
    ]
    assert found["raised_alp"]["state"] == "open"


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("state=open", {"raised_alp"}),
        ("state=resolved", {"hypercalcemia", "pattern"}),
        ("finding=hypercalcemia", {"hypercalcemia"}),
        ("finding=hypercalcemia&finding=raised_alp&state=open", {"raised_alp"}),
        ("state=withdrawn", set()),
    ],
)
def test_a_filter_of_episodes_keeps_exactly_what_it_names(story, query, wanted):
    assert {one["finding"] for one in items(story, f"{EPISODES}?{query}")} == wanted


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_pages_of_episodes_hold_every_one_once_and_in_order(story, limit):
    story.post("/v1/panels", json=panel(hemoglobin("9.1"), on=4))
    whole = items(story, EPISODES)

    found = walked(story, f"{EPISODES}?limit={limit}")

    assert len(whole) == 4
    assert found == whole
    assert [one["opened_at"] for one in whole] == sorted((one["opened_at"] for one in whole), reverse=True)


def test_an_episode_that_was_taken_back_stays_in_sight(client):
    client.post("/v1/panels", json=panel(calcium("11.9")))
    client.post("/v1/panels", json=panel(calcium("11.9"), status="entered-in-error"))

    (only,) = items(client, EPISODES)

    assert (only["state"], [one["state"] for one in only["flags"]]) == ("withdrawn", ["withdrawn"])


def test_an_episode_that_goes_on_in_another_names_it(client):
    client.post("/v1/panels", json=panel(calcium("11.9"), on=0))
    client.post("/v1/panels", json=panel(calcium("9.5"), on=1))
    client.post("/v1/panels", json=panel(calcium("11.9"), on=2))
    client.post("/v1/panels", json=panel(calcium("9.5"), on=1, status="entered-in-error"))

    found = {one["state"]: one for one in items(client, EPISODES)}

    assert found["merged"]["merged_into"] == found["open"]["id"]
    assert len(found["open"]["flags"]) == 2
