"""Episodes over HTTP: acknowledged, undone, commented on, assigned, snoozed, one by one and several at once."""

import pytest
from sqlalchemy import select

from service.domain.acts import LONGEST_NOTE, REASONS
from service.storage.tables_acts import acts
from tests.api.described import as_described, as_problem
from tests.flows.build import NOW, WOMAN, calcium, hemoglobin, panel

ONE = "/v1/episodes/{name}"
ACK = {"reason": "acting", "note": "Ward 7 told."}
# The path of each act, and a body for it.
ACTS = {
    "acknowledgements": ACK,
    "comments": {"text": "asked for the old results"},
    "assignment": {"assignee": "team-red"},
    "snoozes": {"until": "time", "time": "2026-11-20T16:00:00Z", "note": "asleep"},
    "callbacks": {"told_to": "Dr Okafor", "how": "phone", "outcome": "reached", "read_back": True},
}
UNDOES = {"acknowledgements/undo": "acknowledgements", "snoozes/undo": "snoozes"}


@pytest.fixture
def raised(client):
    """Send a panel; answers the id of the episode of the finding that was told first."""

    def send(*brought, **more):
        answer = client.post("/v1/panels", json=panel(*brought, **more))
        return answer.get_json()["changes"][0]["episode"]

    return send


def here(name, *steps):
    return "/".join(["/v1/episodes", name, *steps])


def shown(client, document, name):
    return as_described(document, ONE, client.get(here(name)))


def test_an_episode_shows_all_that_there_is_of_it(client, document, raised):
    name = raised(calcium("11.9"))

    body = shown(client, document, name)

    assert body["patient"] == {"id": "88204113", "authority": "hospital-a"}
    assert (body["finding"], body["state"], body["severity"], body["version"]) == (
        "hypercalcemia",
        "open",
        "moderate",
        1,
    )
    assert [one["state"] for one in body["flags"]] == ["open"]
    assert (body["acts"], body["callbacks"]) == ([], [])
    assert not {"acknowledged", "snoozed", "assigned"} & set(body)


def test_it_is_acknowledged_by_whom_the_service_knows_at_the_time_of_the_service(client, document, raised):
    name = raised(calcium("11.9"))
    sent = ACK | {"at": "2020-01-01T00:00:00Z"}

    refused = client.post(here(name, "acknowledgements"), json=sent)
    answer = client.post(here(name, "acknowledgements"), json=ACK)

    assert as_problem(refused, "invalid-act")["errors"][0]["pointer"] == "/at"
    body = as_described(document, f"{ONE}/acknowledgements", answer)
    assert answer.status_code == 201
    (act,) = body["acts"]
    assert act["by"]["kind"] == "key"
    assert act["by"]["name"] == "laboratory"
    assert (act["reason"], act["note"], act["at"][:16]) == ("acting", "Ward 7 told.", "2026-11-20T12:00")
    assert body["acknowledged"] == {"act": act["id"], "at": act["at"], "reason": "acting", "by": act["by"]}
    assert [one["state"] for one in body["flags"]] == ["acknowledged"]
    assert answer.headers["Content-Location"] == here(name)
    assert client.get(here(name)).headers["ETag"] == answer.headers["ETag"]


def test_flags_and_episodes_say_that_they_are_acknowledged_wherever_they_are_shown(client, document, raised):
    name = raised(calcium("11.9"))
    done = client.post(here(name, "acknowledgements"), json=ACK).get_json()
    flag = done["flags"][0]["id"]

    (listed,) = as_described(document, "/v1/flags", client.get("/v1/flags?state=acknowledged"))["items"]
    view = as_described(document, "/v1/flags/{flag_id}", client.get(f"/v1/flags/{flag}"))
    path = "/v1/patients/{patient_id}/episodes"
    (episode,) = as_described(document, path, client.get("/v1/patients/88204113/episodes"))["items"]

    assert (listed["id"], listed["state"]) == (flag, "acknowledged")
    assert view["episode"]["acknowledged"] == episode["acknowledged"] == done["acknowledged"]
    assert [one["type"] for one in view["history"]] == ["lab.flag.raised", "lab.flag.acknowledged"]
    assert episode["href"] == here(name)


def test_what_comes_in_says_that_it_is_acknowledged_already(client, raised):
    name = raised(calcium("11.9"))
    client.post(here(name, "acknowledgements"), json=ACK)

    same = client.post("/v1/panels", json=panel(calcium("11.9"), on=1)).get_json()
    worse = client.post("/v1/panels", json=panel(calcium("12.9"), on=2)).get_json()

    assert [one["state"] for one in same["flags"]] == ["acknowledged"]
    assert [one["state"] for one in worse["flags"]] == ["open"]
    assert [one["type"] for one in worse["changes"]] == ["lab.flag.escalated"]


def test_the_same_acknowledgement_again_is_answered_with_the_first(client, document, raised):
    name = raised(calcium("11.9"))
    first = client.post(here(name, "acknowledgements"), json=ACK)

    again = client.post(here(name, "acknowledgements"), json=ACK, headers={"If-Match": '"1"'})

    assert (first.status_code, again.status_code) == (201, 200)
    assert as_described(document, f"{ONE}/acknowledgements", again) == first.get_json()


def test_another_one_hears_that_somebody_was_first(client, doors, raised):
    name = raised(calcium("11.9"))
    first = client.post(here(name, "acknowledgements"), json=ACK).get_json()

    answer = doors.with_scopes("episodes:write").post(here(name, "acknowledgements"), json=ACK)

    assert first["acknowledged"]["act"] in as_problem(answer, "already-acknowledged")["detail"]


@pytest.mark.parametrize("what", UNDOES)
def test_an_undoing_is_a_second_entry_that_names_the_first(client, document, raised, what):
    name, path = raised(calcium("11.9")), f"{ONE}/{what}"
    client.post(here(name, UNDOES[what]), json=ACTS[UNDOES[what]])

    answer = client.post(here(name, what), json={"note": "wrong patient"})
    again = client.post(here(name, what), json={"note": "wrong patient"})
    nothing = client.post(here(name, what))

    first, second = as_described(document, path, answer)["acts"]
    assert (second["undoes"], first["undone_by"], second["note"]) == (first["id"], second["id"], "wrong patient")
    assert not {"acknowledged", "snoozed"} & set(answer.get_json())
    assert (answer.status_code, again.status_code) == (201, 200)
    as_problem(nothing, "nothing-to-undo")


@pytest.mark.parametrize("what", [*ACTS, *UNDOES])
def test_what_was_looked_at_too_long_ago_is_not_acted_on(client, document, raised, what):
    name = raised(calcium("11.9"))
    if what in UNDOES:
        client.post(here(name, UNDOES[what]), json=ACTS[UNDOES[what]])
    looked_at = client.get(here(name)).headers["ETag"]
    client.post(here(name, "comments"), json={"text": "meanwhile"})
    body = ACTS.get(what, {})

    stale = client.post(here(name, what), json=body, headers={"If-Match": looked_at})
    current = client.get(here(name)).headers["ETag"]
    done = client.post(here(name, what), json=body, headers={"If-Match": current})

    as_described(document, f"{ONE}/{what}", stale)
    as_problem(stale, "precondition-failed")
    assert (done.status_code, done.headers["ETag"] != current) == (201, True)


def test_what_is_held_already_is_not_sent_again(client, raised):
    name = raised(calcium("11.9"))
    tag = client.get(here(name)).headers["ETag"]

    unchanged = client.get(here(name), headers={"If-None-Match": tag})
    client.post(here(name, "comments"), json={"text": "x"})
    changed = client.get(here(name), headers={"If-None-Match": tag})

    assert (unchanged.status_code, changed.status_code) == (304, 200)


# What is sent, and the faults: pointer and code.
FAULTS = [
    ("acknowledgements", {}, [("/reason", "required")]),
    ("acknowledgements", {"reason": "seen"}, [("/reason", "not-a-choice")]),
    ("acknowledgements", {"reason": "acting", "nota": "x"}, [("/nota", "unknown-field")]),
    ("acknowledgements", {"reason": "acting", "note": "x" * (LONGEST_NOTE + 1)}, [("/note", "too-long")]),
    ("acknowledgements", {"reason": "acting", "note": "bell \a"}, [("/note", "control-character")]),
    ("acknowledgements", {"reason": "acting", "note": " "}, [("/note", "empty")]),
    ("acknowledgements", {"reason": "other", "note": "\u200b\u2060"}, [("/note", "empty")]),
    ("acknowledgements/undo", {"note": "\ufeff"}, [("/note", "empty")]),
    ("comments", {"text": "\u3164"}, [("/text", "empty")]),
    ("assignment", {"assignee": "\u00ad"}, [("/assignee", "empty")]),
    ("snoozes", {"until": "worse", "note": "\ufe0f\u0301"}, [("/note", "empty")]),
    ("acknowledgements", {"reason": "other"}, [("/note", "required")]),
    ("acknowledgements", [], [("", "type")]),
    ("acknowledgements/undo", {"note": 1}, [("/note", "type")]),
    ("comments", {}, [("/text", "required")]),
    ("comments", {"text": "\x1b[2J"}, [("/text", "control-character")]),
    ("comments", {"text": "x" * (LONGEST_NOTE + 1)}, [("/text", "too-long")]),
    ("assignment", {}, [("/assignee", "required")]),
    ("assignment", {"assignee": "x" * 101}, [("/assignee", "too-long")]),
    ("assignment", {"assignee": "two\nlines"}, [("/assignee", "control-character")]),
    ("snoozes", {}, [("/until", "required")]),
    ("snoozes", {"until": "time"}, [("/time", "required")]),
    ("snoozes", {"until": "worse", "time": "2026-11-20T16:00:00Z"}, [("/time", "contradiction")]),
    ("snoozes", {"until": "time", "time": "2026-11-20T16:00:00"}, [("/time", "time-without-offset")]),
    ("snoozes", {"until": "time", "time": "2026-11-20T11:00:00Z"}, [("/time", "time-in-past")]),
    ("snoozes", {"until": "time", "time": "2026-11-28T12:00:00Z"}, [("/time", "too-long")]),
]


@pytest.mark.parametrize(("what", "sent", "faults"), FAULTS, ids=[str(one) for one in range(len(FAULTS))])
def test_what_has_faults_is_refused_and_nothing_of_it_is_kept(client, document, raised, database, what, sent, faults):
    name = raised(calcium("11.9"))

    answer = client.post(here(name, what), json=sent)

    as_described(document, f"{ONE}/{what}", answer)
    problem = as_problem(answer, "invalid-act")
    assert [(one["pointer"], one["code"]) for one in problem["errors"]] == faults
    with database.reading() as connection:
        assert connection.execute(select(acts)).all() == []


def test_a_comment_may_have_lines_and_any_letters(client, raised):
    name, text = raised(calcium("11.9")), "Müller, 3 Uhr:\n\tnüchtern? 患者 ok"

    answer = client.post(here(name, "comments"), json={"text": text})

    assert [one["note"] for one in answer.get_json()["acts"]] == [text]


def test_who_has_it_is_shown_until_it_is_given_back(client, document, raised):
    name = raised(calcium("11.9"))

    given = client.post(here(name, "assignment"), json={"assignee": "team-red"})
    back = client.post(here(name, "assignment"), json={"assignee": None})

    assert as_described(document, f"{ONE}/assignment", given)["assigned"]["to"] == "team-red"
    assert "assigned" not in as_described(document, f"{ONE}/assignment", back)


def test_a_snooze_says_until_when_and_by_whom(client, document, raised):
    name = raised(calcium("11.9"))

    answer = client.post(here(name, "snoozes"), json={"until": "next_result"})

    snoozed = as_described(document, f"{ONE}/snoozes", answer)["snoozed"]
    assert (snoozed["until"], snoozed["ends_at"][:16]) == ("next_result", "2026-11-27T12:00")
    assert snoozed["by"]["name"] == "laboratory"
    client.post("/v1/panels", json=panel(calcium("11.9"), on=1))
    assert "snoozed" not in client.get(here(name)).get_json()


@pytest.mark.parametrize("what", ["acknowledgements", "assignment", "snoozes"])
def test_what_has_ended_needs_nobody_any_more(client, document, raised, what):
    name = raised(calcium("11.9"))
    client.post("/v1/panels", json=panel(calcium("9.5"), on=1))

    answer = client.post(here(name, what), json=ACTS[what])

    as_described(document, f"{ONE}/{what}", answer)
    as_problem(answer, "episode-not-open")


@pytest.mark.parametrize("what", [*ACTS, *UNDOES])
def test_an_episode_that_there_is_not_is_not_found(client, what):
    as_problem(client.post(here("eps_nobody", what), json=ACTS.get(what, {})), "not-found")


@pytest.mark.parametrize("what", ["", "/callbacks"])
def test_an_episode_that_there_is_not_cannot_be_shown(client, what):
    as_problem(client.get(here("eps_nobody") + what), "not-found")


@pytest.mark.parametrize("what", [*ACTS, *UNDOES])
def test_who_may_only_read_may_not_act(doors, raised, what):
    name, reader = raised(calcium("11.9")), doors.with_scopes("flags:read")

    as_problem(reader.post(here(name, what), json=ACTS.get(what, {})), "forbidden")
    assert reader.get(here(name)).status_code == 200


@pytest.mark.parametrize("what", [*ACTS, "acknowledgements/undo"])
def test_only_json_is_read(client, raised, what):
    answer = client.post(here(raised(calcium("11.9")), what), data=b"x=1", content_type="text/plain")

    as_problem(answer, "unsupported-media-type")


def test_every_reason_is_taken_and_described(client, document, raised):
    described = document["components"]["schemas"]["AcknowledgementShape"]["properties"]["reason"]
    found = described["enum"]

    for number, reason in enumerate(found):
        name = raised(calcium("11.9"), patient={**WOMAN, "id": f"p{number}"})
        assert client.post(here(name, "acknowledgements"), json=ACK | {"reason": reason}).status_code == 201

    assert found == [reason.value for reason in REASONS]
    assert all(f"{reason}: {words}" in described["description"].lower() for reason, words in REASONS.items())


# -------------------------------------------------------------------------------------------------- several at once
def test_several_are_acknowledged_and_each_that_is_not_says_why(client, document, raised):
    mild, severe, critical, ended, changed = (
        raised(calcium(value), patient={**WOMAN, "id": value}) for value in ("11.0", "12.9", "13.6", "11.9", "11.1")
    )
    client.post("/v1/panels", json=panel(calcium("9.5"), on=1, patient={**WOMAN, "id": "11.9"}))
    client.post(here(changed, "comments"), json={"text": "meanwhile"})
    versions = {name: client.get(here(name)).get_json()["version"] for name in (mild, severe, critical, ended)}
    names = [mild, severe, critical, ended, changed, "eps_nobody", mild]
    seen = [{"episode": name, "version": versions.get(name, 1)} for name in names]

    answer = client.post("/v1/acknowledgements", json={"episodes": seen, "reason": "known_and_expected"})

    body = as_described(document, "/v1/acknowledgements", answer)
    told = [(one["episode"], one["status"], one.get("problem", {}).get("type")) for one in body["items"]]
    assert told == [
        (mild, 201, None),
        (severe, 422, "/problems/invalid-act"),
        (critical, 409, "/problems/one-by-one"),
        (ended, 409, "/problems/episode-not-open"),
        (changed, 412, "/problems/precondition-failed"),
        ("eps_nobody", 404, "/problems/not-found"),
        (mild, 200, None),
    ]
    assert (body["acknowledged"], body["refused"]) == (2, 5)
    assert "acknowledged" not in client.get(here(changed)).get_json()
    assert body["items"][1]["problem"]["errors"][0]["pointer"] == "/note"
    assert client.get(here(mild)).get_json()["acknowledged"]["reason"] == "known_and_expected"
    assert "acknowledged" not in client.get(here(critical)).get_json()


def test_of_several_none_is_acknowledged_that_became_worse_since_it_was_seen(client, raised):
    name = raised(calcium("11.0"))
    (listed,) = client.get("/v1/patients/88204113/episodes").get_json()["items"]
    client.post("/v1/panels", json=panel(calcium("12.3"), on=1))

    answer = client.post(
        "/v1/acknowledgements",
        json={"episodes": [{"episode": name, "version": listed["version"]}], "reason": "known_and_expected"},
    )

    assert [one["status"] for one in answer.get_json()["items"]] == [412]
    assert "acknowledged" not in client.get(here(name)).get_json()


def test_several_sent_again_with_the_versions_of_then_are_answered_the_same(client, raised):
    sent = {"episodes": [{"episode": raised(calcium("11.0")), "version": 1}], "reason": "known_and_expected"}

    first, again = (client.post("/v1/acknowledgements", json=sent).get_json() for _ in range(2))

    assert (first["items"][0]["status"], again["items"][0]["status"]) == (201, 200)
    assert first["items"][0]["acknowledged"] == again["items"][0]["acknowledged"]


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"reason": "acting"}, "/episodes"),
        ({"reason": "acting", "episodes": [{"episode": "e", "version": 1}] * 101}, "/episodes"),
        ({"reason": "acting", "episodes": [{"episode": "e"}]}, "/episodes/0/version"),
        ({"reason": "acting", "episodes": [{"episode": "e", "version": 0}]}, "/episodes/0/version"),
        ({"reason": "acting", "episodes": [{"episode": "e", "version": "1"}]}, "/episodes/0/version"),
    ],
    ids=["none", "too-many", "unseen", "before-the-first", "no-number"],
)
def test_a_list_has_its_bounds(client, sent, pointer):
    problem = as_problem(client.post("/v1/acknowledgements", json=sent), "invalid-act")

    assert [one["pointer"] for one in problem["errors"]] == [pointer]


def test_an_acknowledgement_is_shown_in_fhir_as_a_mitigation(client, raised):
    name = raised(calcium("11.9"), hemoglobin("9.1"))
    act = client.post(here(name, "acknowledgements"), json=ACK).get_json()["acknowledged"]

    found = client.get("/fhir/R4/DetectedIssue").get_json()["entry"]

    shown_ = {one["resource"]["code"]["coding"][0]["code"]: one["resource"].get("mitigation") for one in found}
    (mitigation,) = shown_.pop("hypercalcemia")
    assert mitigation["action"]["coding"][0]["code"] == "acting"
    assert (mitigation["author"], mitigation["date"][:16]) == ({"display": "laboratory"}, act["at"][:16])
    assert set(shown_.values()) == {None}
    assert act["at"] >= NOW.isoformat()[:16]
