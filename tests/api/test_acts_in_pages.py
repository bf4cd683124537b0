"""An episode about which very much was done: what it is answered with is bounded, and everything is found in pages."""

import pytest
from sqlalchemy import event, insert, select

from service.storage.episodes import LATEST
from service.storage.tables_acts import acts, callbacks
from tests.api.described import as_described, as_problem
from tests.flows.build import calcium, panel

CALL = {"told_to": "Dr Okafor", "how": "phone", "outcome": "reached", "read_back": True}


@pytest.fixture
def episode(client):
    """The path of an open episode."""
    return f"/v1/episodes/{raised(client)}"


def raised(client, value="11.9", **more):
    return client.post("/v1/panels", json=panel(calcium(value), **more)).get_json()["changes"][0]["episode"]


def comments(client, episode, numbers):
    for number in numbers:
        client.post(f"{episode}/comments", json={"text": str(number)})


def more(database, table, numbers):
    """Put copies of the first act or call beside it, each with its number for a note."""
    with database.transaction() as connection:
        row = connection.execute(select(table).order_by(table.c.id)).first()._asdict()
        for number in numbers:
            own = {"id": f"{row['id']}{number:06}", "note": str(number)}
            own |= {"version": row["version"] + number} if table is acts else {}
            connection.execute(insert(table).values(row | own))


def walk(client, document, address, path):
    """Every item of a list, page by page."""
    found, pages = [], 0
    while address is not None:
        body = as_described(document, path, client.get(address))
        found, address, pages = found + body["items"], body["next"], pages + 1
    return found, pages


def test_all_acts_stand_in_their_order_in_pages(client, document, episode):
    comments(client, episode, range(5))

    found, pages = walk(client, document, f"{episode}/acts?limit=2", "/v1/episodes/{name}/acts")

    assert ([one["note"] for one in found], pages) == (["0", "1", "2", "3", "4"], 3)
    assert found == client.get(episode).get_json()["acts"]


def test_all_calls_stand_in_their_order_in_pages(client, document, episode):
    for name in "abcde":
        client.post(f"{episode}/callbacks", json=CALL | {"told_to": name})

    found, pages = walk(client, document, f"{episode}/callbacks?limit=2", "/v1/episodes/{name}/callbacks")

    assert ([one["told_to"] for one in found], pages) == (list("abcde"), 3)
    assert found == client.get(episode).get_json()["callbacks"]


def test_an_episode_shows_the_last_of_many_and_where_all_are(client, document, database, episode):
    client.post(f"{episode}/comments", json={"text": "1"})
    client.post(f"{episode}/callbacks", json=CALL)
    full = client.get(episode).get_json()
    more(database, acts, range(2, LATEST + 2))
    more(database, callbacks, range(2, LATEST + 2))

    body = as_described(document, "/v1/episodes/{name}", client.get(episode))

    assert not {"all_acts", "all_callbacks"} & set(full)
    assert [one["note"] for one in body["acts"]] == [str(number) for number in range(2, LATEST + 2)]
    assert [one["note"] for one in body["callbacks"]] == [str(number) for number in range(2, LATEST + 2)]
    assert body["all_acts"] == f"{episode}/acts"
    assert body["all_callbacks"] == f"{episode}/callbacks"


def test_what_holds_is_shown_however_long_ago_it_was_done(client, database, episode):
    client.post(f"{episode}/acknowledgements", json={"reason": "acting"})
    client.post(f"{episode}/assignment", json={"assignee": "team-red"})
    client.post(f"{episode}/snoozes", json={"until": "worse"})
    before = client.get(episode).get_json()
    comments(client, episode, range(LATEST))

    after = client.get(episode).get_json()

    held = ("acknowledged", "assigned", "snoozed")
    assert [one["kind"] for one in after["acts"]] == ["comment"] * LATEST
    assert [after[name] for name in held] == [before[name] for name in held]


def test_an_act_on_one_page_says_that_one_on_another_undoes_it(client, document, episode):
    client.post(f"{episode}/acknowledgements", json={"reason": "acting"})
    comments(client, episode, range(2))
    client.post(f"{episode}/acknowledgements/undo", json={})

    found, _ = walk(client, document, f"{episode}/acts?limit=1", "/v1/episodes/{name}/acts")

    assert found[0]["undone_by"] == found[-1]["id"]


def test_the_same_act_again_is_known_again_behind_very_many_others(client, episode):
    sent = {"reason": "acting"}
    client.post(f"{episode}/acknowledgements", json=sent)
    comments(client, episode, range(LATEST + 1))

    assert client.post(f"{episode}/acknowledgements", json=sent).status_code == 200


def test_acts_of_what_was_merged_stand_before_those_of_the_one_it_goes_on_in(client, document):
    first = f"/v1/episodes/{raised(client, '11.9', on=0)}"
    comments(client, first, range(3))
    client.post("/v1/panels", json=panel(calcium("9.5", id="C1"), on=1))
    second = f"/v1/episodes/{raised(client, '11.8', on=2)}"
    comments(client, second, range(3, 6))
    client.post("/v1/panels", json=panel(calcium("9.5", id="C1", status="entered-in-error"), on=1))
    living = next(one for one in (first, second) if client.get(one).get_json()["state"] == "open")

    found, _ = walk(client, document, f"{living}/acts?limit=2", "/v1/episodes/{name}/acts")

    ends = ["0", "1", "2", "3", "4", "5"] if living == second else ["3", "4", "5", "0", "1", "2"]
    assert [one["note"] for one in found] == ends
    assert [one["note"] for one in client.get(living).get_json()["acts"]] == ends


def test_what_is_answered_and_asked_of_the_database_does_not_grow_with_what_was_done(client, database, episode):
    client.post(f"{episode}/comments", json={"text": "1"})
    sizes, asked = [], []

    @event.listens_for(database.engine, "after_cursor_execute")
    def note(*_):
        asked.append(1)

    for numbers in (range(1_000, 1_100), range(1_100, 1_500)):
        more(database, acts, numbers)
        asked.clear()
        sizes.append((len(client.get(episode).data), len(asked)))

    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("what", ["acts", "callbacks"])
@pytest.mark.parametrize("query", ["limit=0", "limit=201", "cursor=x", "order=newest"])
def test_a_page_that_there_is_not_is_refused(client, episode, what, query):
    assert client.get(f"{episode}/{what}?{query}").status_code == 400


def test_a_cursor_belongs_to_its_list(client, episode):
    comments(client, episode, range(2))
    cursor = client.get(f"{episode}/acts?limit=1").get_json()["next"].partition("cursor=")[2]
    other = raised(client, on=1, patient={"id": "2", "authority": "hospital-a"})

    for path in (f"{episode}/callbacks", f"/v1/episodes/{other}/acts"):
        as_problem(client.get(f"{path}?cursor={cursor}"), "invalid-cursor")


@pytest.mark.parametrize("what", ["acts", "callbacks"])
def test_a_list_of_an_episode_that_there_is_not_is_not_found(client, what):
    as_problem(client.get(f"/v1/episodes/eps_nobody/{what}"), "not-found")
