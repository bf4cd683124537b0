"""The flag history by page: complete, in order, undisturbed by what is added meanwhile, and bound to its filters."""

import base64
import json
from urllib.parse import urlsplit

import pytest

from tests.api.described import as_described, as_problem
from tests.flows.build import WOMAN, alp, calcium, day, hemoglobin, panel, platelets


@pytest.fixture
def history(client):
    """Thirteen flags of three patients, several of which share a time of collection."""
    for number in range(3):
        patient = {**WOMAN, "id": f"patient-{number}"}
        client.post("/v1/panels", json=panel(calcium("11.9"), hemoglobin("9.1"), on=0, patient=patient))
        client.post("/v1/panels", json=panel(alp("250"), on=number, patient=patient))
    return client


def relative(address):
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"


def pages(client, path):
    while path:
        answer = client.get(path)
        body = answer.get_json()
        assert (answer.headers.get("Link") is None) == (body["next"] is None)
        if body["next"]:
            assert answer.headers["Link"] == f'<{body["next"]}>; rel="next"'
        yield body["items"]
        path = relative(body["next"]) if body["next"] else None


def ids(client, path):
    return [item["id"] for page in pages(client, path) for item in page]


@pytest.mark.parametrize("limit", [1, 2, 5, 12, 13, 14])
def test_pages_of_any_length_hold_every_flag_once_and_in_order(history, document, limit):
    whole = as_described(document, "/v1/flags", history.get("/v1/flags?limit=200"))["items"]

    found = ids(history, f"/v1/flags?limit={limit}")

    assert len(whole) == 13
    assert found == [item["id"] for item in whole]
    order = [(item["collected_at"], item["id"]) for item in whole]
    assert order == sorted(order, reverse=True)


def test_a_page_holds_no_more_than_asked_for(history):
    assert [len(page) for page in pages(history, "/v1/flags?limit=5")] == [5, 5, 3]


def test_flags_that_are_added_meanwhile_neither_repeat_nor_hide_those_of_the_old_pages(history):
    before = ids(history, "/v1/flags?limit=200")
    found = []

    for number, page in enumerate(pages(history, "/v1/flags?limit=2")):
        found += [item["id"] for item in page]
        for on in (-3 - number, 9 + number):  # before and after everything that there is
            patient = {**WOMAN, "id": "newcomer"}
            history.post("/v1/panels", json=panel(calcium("11.9"), on=on, patient=patient))
        if number > 12:
            break

    assert len(found) == len(set(found))
    assert [name for name in found if name in before] == before


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("finding=anemia", lambda flag: flag["finding"] == "anemia"),
        ("finding=anemia&finding=raised_alp", lambda flag: flag["finding"] in {"anemia", "raised_alp"}),
        ("severity=info", lambda flag: flag["severity"] == "info"),
        ("state=superseded", lambda flag: flag["state"] == "superseded"),
        ("source=lab-1", lambda flag: True),
        ("source=lab-2", lambda flag: False),
        ("patient=patient-1", lambda flag: flag["patient"]["id"] == "patient-1"),
        ("patient=patient-1&authority=hospital-a", lambda flag: flag["patient"]["id"] == "patient-1"),
        ("collected_from=2026-11-02T08:00:00Z", lambda flag: flag["collected_at"] >= "2026-11-02T08:00:00Z"),
        ("collected_to=2026-11-02T08:00:00Z", lambda flag: flag["collected_at"] <= "2026-11-02T08:00:00Z"),
        ("collected_from=2026-11-02T09:00:00%2B01:00&collected_to=2026-11-02T08:00:00Z",
         lambda flag: flag["collected_at"] == "2026-11-02T08:00:00Z"),
        ("finding=hypercalcemia&state=open&severity=moderate&limit=1",
         lambda flag: (flag["finding"], flag["state"]) == ("hypercalcemia", "open")),
    ],
)  # fmt: skip
def test_a_filter_keeps_exactly_what_it_names(history, query, wanted):
    history.post("/v1/panels", json=panel(hemoglobin("13.1"), status="corrected", patient={**WOMAN, "id": "patient-0"}))
    everything = [item for page in pages(history, "/v1/flags") for item in page]

    found = ids(history, f"/v1/flags?{query}")

    assert found == [item["id"] for item in everything if wanted(item)]


def test_the_history_of_one_patient_is_theirs_alone(history):
    items = [item for page in pages(history, "/v1/patients/patient-2/flags?limit=3") for item in page]

    assert len(items) == 4
    assert {item["patient"]["id"] for item in items} == {"patient-2"}


def test_the_same_identifier_of_another_authority_is_not_mixed_in(history):
    other = {**WOMAN, "id": "patient-2", "authority": "hospital-b"}
    history.post("/v1/panels", json=panel(platelets("70"), patient=other))

    items = history.get("/v1/patients/patient-2/flags?authority=hospital-b").get_json()["items"]

    assert [item["finding"] for item in items] == ["thrombocytopenia"]


def test_the_next_page_keeps_the_filters(history):
    first = history.get("/v1/flags?finding=hypercalcemia&limit=1").get_json()

    second = history.get(relative(first["next"])).get_json()

    assert [item["finding"] for item in second["items"]] == ["hypercalcemia"]


@pytest.mark.parametrize("other", ["finding=anemia", "", "state=open", "collected_from=2026-11-02T08:00:00Z"])
def test_a_cursor_is_bound_to_its_filters(history, document, other):
    following = history.get("/v1/flags?finding=hypercalcemia&limit=1").get_json()["next"]
    cursor = following.partition("cursor=")[2].partition("&")[0]

    answer = history.get(f"/v1/flags?{other}&limit=1&cursor={cursor}")

    as_problem(answer, "invalid-cursor")
    as_described(document, "/v1/flags", answer)


def test_a_cursor_of_one_patient_opens_no_page_of_another(history):
    following = history.get("/v1/patients/patient-0/flags?limit=1").get_json()["next"]
    cursor = following.partition("cursor=")[2]

    as_problem(history.get(f"/v1/patients/patient-1/flags?limit=1&cursor={cursor}"), "invalid-cursor")


def forged(*parts):
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "é", "====", "AAAA", forged(), forged(1, 2, 3), forged("2026", "flg", None), forged(day(0).isoformat()),
     base64.urlsafe_b64encode(b"[" * 40_000).decode()[:3000],
     forged("0001-01-01T00:00:00+14:00", "flg_1", "x")],
)  # fmt: skip
def test_a_cursor_that_was_made_up_is_refused(history, cursor):
    as_problem(history.get("/v1/flags", query_string={"cursor": cursor}), "invalid-cursor")


@pytest.mark.parametrize("name", ["a\x00b", "\ud800"])
def test_a_cursor_with_unusable_text_is_refused(history, name):
    following = history.get("/v1/flags?limit=1").get_json()["next"]
    cursor = following.partition("cursor=")[2]
    at, _, bound = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))

    as_problem(history.get("/v1/flags", query_string={"limit": 1, "cursor": forged(at, name, bound)}), "invalid-cursor")


def test_links_lead_to_the_host_that_was_asked(history):
    body = history.get("/v1/flags?limit=1", headers={"Host": "alerts.example"}).get_json()

    assert body["next"].startswith("http://alerts.example/v1/flags?")


def test_nobody_has_no_history(client):
    assert client.get("/v1/flags").get_json() == {
        "items": [],
        "next": None,
        "intended_use": client.get("/v1/notes").get_json()["intended_use"],
    }
