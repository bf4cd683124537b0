"""The door to a flag judged again."""

from sqlalchemy import update

from service.storage.tables import flags
from tests.api.described import as_described, as_problem
from tests.flows.build import calcium, hemoglobin, panel


def raised(client, *brought, **more):
    return client.post("/v1/panels", json=panel(*brought, **more)).get_json()["flags"][0]


def test_a_flag_judged_again_is_equal_and_says_what_it_was_judged_from(client, document):
    flag = raised(client, calcium("11.9"), hemoglobin("13.1"))
    client.post("/v1/panels", json=panel(calcium("9.5"), status="corrected"))

    body = as_described(document, "/v1/flags/{flag_id}/replay", client.get(f"/v1/flags/{flag['id']}/replay"))

    assert (body["flag"], body["equal"], body["differences"]) == (flag["id"], True, [])
    assert body["facts"] == {"as_of": "raised", "changed_since": False}
    assert [one["version"] for one in body["results"]] == [1, 1]


def test_what_differs_is_shown_as_it_was_and_as_it_is(client, database, document):
    flag = raised(client, calcium("11.9"))
    with database.transaction() as connection:
        connection.execute(update(flags).where(flags.c.id == flag["id"]).values(severity="mild"))

    body = as_described(document, "/v1/flags/{flag_id}/replay", client.get(f"/v1/flags/{flag['id']}/replay"))

    assert not body["equal"]
    assert body["differences"] == [{"pointer": "/severity", "was": "mild", "now": "moderate"}]


def test_a_flag_that_is_not_known_cannot_be_judged_again(client, document):
    answer = client.get("/v1/flags/flg_unknown/replay")

    as_problem(answer, "not-found")
    as_described(document, "/v1/flags/{flag_id}/replay", answer)
