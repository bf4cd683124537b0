"""Calls about critical values over HTTP: recorded as they were, and how long it took until somebody knew."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from service.flows.callbacks import nearest_rank
from service.storage.tables_acts import callbacks
from tests.api.described import as_described, as_problem
from tests.flows.build import NOW, Sender, alp, calcium, hemoglobin, panel

PATH, REPORT = "/v1/episodes/{name}/callbacks", "/v1/reports/callbacks"
CALL = {"told_to": "Dr Okafor, ward 7", "how": "phone", "outcome": "reached", "read_back": True}
FAILED = {"told_to": "ward 7", "how": "phone", "outcome": "no_answer"}


@pytest.fixture
def raised(client):
    """Send a panel; answers where the calls about the first episode that was told are kept."""

    def send(*brought, **more):
        answer = client.post("/v1/panels", json=panel(*brought, **more))
        return PATH.format(name=answer.get_json()["changes"][0]["episode"])

    return send


def items(client, document, path):
    return as_described(document, PATH, client.get(path))["items"]


def test_a_call_is_recorded_with_the_value_as_it_was_then(client, document, raised):
    path = raised(calcium("13.6"))

    answer = client.post(path, json=CALL | {"at": "2026-11-20T11:58:00Z"})

    assert answer.status_code == 201
    (call,) = as_described(document, PATH, answer)["callbacks"]
    assert [call] == items(client, document, path)
    assert (call["told_to"], call["at"], call["read_back"]) == ("Dr Okafor, ward 7", "2026-11-20T11:58:00Z", True)
    assert (call["value"]["sent"], call["value"]["unit"], call["result_version"]) == ("13.6", "mg/dL", 1)
    assert (call["by"]["name"], call["recorded_at"][:16]) == ("laboratory", "2026-11-20T12:00")


def test_what_was_told_stays_whatever_becomes_of_the_value(client, document, raised):
    path = raised(calcium("13.6", id="R-1"))
    client.post(path, json=CALL)
    told = items(client, document, path)

    client.post("/v1/panels", json=panel(calcium("9.5", id="R-1"), status="corrected"))

    assert items(client, document, path) == told


def test_attempts_that_failed_are_kept_as_well_in_their_order(client, document, raised):
    path = raised(calcium("13.6"))

    for body in (FAILED, FAILED | {"outcome": "wrong_person"}, CALL):
        assert client.post(path, json=body).status_code == 201

    assert [one["outcome"] for one in items(client, document, path)] == ["no_answer", "wrong_person", "reached"]


def test_a_call_after_the_end_of_the_episode_can_be_recorded(client, document, raised):
    path = raised(calcium("13.6"))
    client.post("/v1/panels", json=panel(calcium("9.5"), on=1))

    assert client.post(path, json=CALL).status_code == 201


def test_the_same_call_sent_twice_is_one(client, document, raised):
    path, call = raised(calcium("13.6")), CALL | {"at": "2026-11-20T11:58:00Z"}

    found = [client.post(path, json=call).status_code for _ in range(2)]

    assert found == [201, 200]
    assert len(items(client, document, path)) == 1


def test_a_call_may_be_about_an_earlier_flag_of_the_episode_and_of_no_other(client, document, raised):
    path = raised(calcium("13.6"))
    (first,) = client.get("/v1/flags").get_json()["items"]
    client.post("/v1/panels", json=panel(calcium("13.9"), hemoglobin("9.1"), on=1))
    others = client.get("/v1/flags?finding=anemia").get_json()["items"]

    of_first = client.post(path, json=CALL | {"flag": first["id"]})
    of_another = client.post(path, json=CALL | {"flag": others[0]["id"]})

    assert [one["value"]["sent"] for one in items(client, document, path)] == ["13.6"]
    assert of_first.status_code == 201
    as_problem(of_another, "not-found")


def test_a_call_that_may_be_about_several_flags_must_say_which(client, document, raised):
    path = raised(calcium("13.6"))
    client.post("/v1/panels", json=panel(calcium("10.9"), on=1))
    names = {one["severity"]: one["id"] for one in client.get("/v1/flags").get_json()["items"]}

    refused = client.post(path, json=CALL)
    taken = client.post(path, json=CALL | {"flag": names["critical"]})

    (fault,) = as_problem(refused, "invalid-act")["errors"]
    assert (refused.status_code, fault["pointer"], fault["code"]) == (422, "/flag", "flag-ambiguous")
    assert len(names) == 2
    assert all(name in fault["hint"] for name in names.values())
    assert taken.status_code == 201
    assert [one["value"]["sent"] for one in items(client, document, path)] == ["13.6"]


@pytest.mark.parametrize(
    ("sent_at", "corrected_at", "called_at", "value"),
    [
        (-60, -10, -30, "13.6"),
        (-60, -10, -5, "10.9"),
        (-60, -10, -10, "10.9"),
    ],
    ids=["before the correction", "after it", "at its moment"],
)
def test_a_call_recorded_late_is_about_what_stood_when_it_was_made(
    client, document, means, sent_at, corrected_at, called_at, value
):
    lab = Sender(means)
    receipt = lab.send(panel(calcium("13.6", id="R-1")), at=NOW + timedelta(minutes=sent_at))
    lab.send(panel(calcium("10.9", id="R-1"), status="corrected"), at=NOW + timedelta(minutes=corrected_at))
    path = PATH.format(name=receipt.told[0].episode)

    answer = client.post(path, json=CALL | {"at": (NOW + timedelta(minutes=called_at)).isoformat()})

    assert answer.status_code == 201
    assert [one["value"]["sent"] for one in items(client, document, path)] == [value]


@pytest.mark.parametrize("more", [(), ("12.9",)], ids=["one came", "several came"])
def test_a_call_before_the_message_is_about_what_came(client, document, means, more):
    lab = Sender(means)
    receipt = lab.send(panel(calcium("13.6")), at=NOW - timedelta(minutes=30))
    for value in more:
        lab.send(panel(calcium(value), collected_at="2026-11-01T09:00:00Z"), at=NOW - timedelta(minutes=20))
    path = PATH.format(name=receipt.told[0].episode)

    answer = client.post(path, json=CALL | {"at": (NOW - timedelta(minutes=40)).isoformat()})

    assert answer.status_code == (422 if more else 201)
    assert [one["value"]["sent"] for one in items(client, document, path)] == ([] if more else ["13.6"])


def test_a_call_about_a_pattern_says_which_findings(client, raised):
    path = raised(calcium("11.9"), alp("250"))
    name = client.get("/v1/patients/88204113/episodes?finding=pattern").get_json()["items"][0]["id"]

    answer = client.post(PATH.format(name=name), json=CALL)

    assert path != PATH.format(name=name)
    assert answer.get_json()["callbacks"][0]["value"] == {"findings": ["hypercalcemia", "raised_alp"]}


# What is sent, and the faults: pointer and code.
FAULTS = [
    ({}, [("/told_to", "required"), ("/how", "required"), ("/outcome", "required")]),
    (CALL | {"read_back": False}, [("/read_back", "required")]),
    (FAILED | {"read_back": True}, [("/read_back", "contradiction")]),
    (FAILED | {"no_read_back": "x"}, [("/no_read_back", "contradiction")]),
    (CALL | {"no_read_back": "x"}, [("/no_read_back", "contradiction")]),
    (CALL | {"told_to": "x" * 201}, [("/told_to", "too-long")]),
    (CALL | {"told_to": "a\x00b"}, None),
    (CALL | {"told_to": "a\tb"}, [("/told_to", "control-character")]),
    (CALL | {"told_to": "\u200b"}, [("/told_to", "empty")]),
    (CALL | {"read_back": False, "no_read_back": "\u2060"}, [("/no_read_back", "empty")]),
    (CALL | {"note": "\u00ad"}, [("/note", "empty")]),
    (CALL | {"how": "fax"}, [("/how", "not-a-choice")]),
    (CALL | {"at": "2026-11-20T13:00:00Z"}, [("/at", "time-in-future")]),
    (CALL | {"at": "2026-11-01T07:59:59Z"}, [("/at", "before-flag")]),
    (CALL | {"at": "2026-11-20"}, [("/at", "time-invalid")]),
    (CALL | {"recorded_at": "2026-11-20T12:00:00Z"}, [("/recorded_at", "unknown-field")]),
]


@pytest.mark.parametrize(("sent", "faults"), FAULTS, ids=[str(one) for one in range(len(FAULTS))])
def test_a_call_that_cannot_have_been_so_is_refused(client, document, raised, sent, faults):
    path = raised(calcium("13.6"))

    answer = client.post(path, json=sent)

    as_described(document, PATH, answer)
    found = [(one["pointer"], one["code"]) for one in answer.get_json().get("errors", ())]
    assert answer.status_code in (400, 422)
    assert faults is None or found == faults
    assert items(client, document, path) == []


def test_somebody_reached_without_reading_back_needs_a_reason(client, raised):
    sent = CALL | {"read_back": False, "no_read_back": "in the resuscitation room"}

    assert client.post(raised(calcium("13.6")), json=sent).status_code == 201


def test_the_database_refuses_a_reached_call_without_either(client, raised, database):
    client.post(raised(calcium("13.6")), json=CALL)
    with database.reading() as connection:
        row = connection.execute(select(callbacks)).one()._asdict()

    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(insert(callbacks).values(row | {"id": "cal_2", "read_back": False}))


# --------------------------------------------------------------------------------------------------------- the report
def test_the_nearest_rank_is_the_smallest_that_so_many_do_not_exceed():
    ten = list(range(10, 101, 10))

    found = [(nearest_rank(ten[:count], 50), nearest_rank(ten[:count], 90)) for count in (0, 1, 2, 3, 4, 9, 10)]

    assert found == [(None, None), (10, 10), (10, 20), (20, 30), (20, 40), (50, 90), (50, 90)]


@pytest.fixture
def critical(means, client):
    """Have a critical flag raised some minutes before noon, and somebody reached so many minutes later."""

    def raise_(patient, before, told_after=None, *, value="13.6", source="lab-1", **more):
        at = NOW - timedelta(minutes=before)
        who = {"id": patient, "authority": "hospital-a", "sex": "female", "birth_date": "1968-03-14"}
        receipt = Sender(means, source).send(panel(calcium(value, id="R-1"), patient=who, **more), at=at)
        if told_after is not None:
            told_at = (at + timedelta(minutes=told_after)).isoformat()
            name = receipt.told[0].episode
            assert client.post(PATH.format(name=name), json=CALL | {"at": told_at}).status_code == 201
        return receipt

    return raise_


def report(client, document, query=""):
    return as_described(document, REPORT, client.get(f"{REPORT}{query}"))


def test_the_report_accounts_for_every_critical_flag(client, document, critical):
    for number, minutes in enumerate((5, 10, 20, 60)):
        critical(f"told-{number}", 200, minutes)
    waiting = critical("waiting", 90)
    critical("corrected", 80)
    critical("corrected", 70, value="9.5", status="corrected")
    critical("milder", 60, value="12.9")
    critical("other", 30, 7, source="lab-2")

    first, second = report(client, document)["items"]

    assert (first["source"], first["raised"], first["told"], first["taken_back"], first["still_open"]) == (
        "lab-1", 6, 4, 1, 1,
    )  # fmt: skip
    assert first["minutes"] == {"median": 10, "percentile_90": 60}
    (open_one,) = first["oldest_open"]
    assert (open_one["flag"], open_one["minutes"]) == (waiting.flags[0].flag.id, 90)
    assert (second["source"], second["told"], second["minutes"]) == ("lab-2", 1, {"median": 7, "percentile_90": 7})


def test_one_that_ended_without_anybody_being_told_still_waits(client, document, critical):
    critical("gone", 90)
    critical("gone", 60, value="9.5", on=1)
    critical("gone", 60, value="9.5", collected_at="2026-11-02T08:00:00Z")

    (one,) = report(client, document)["items"]

    assert (one["told"], one["still_open"] + one["taken_back"]) == (0, 1)


def test_a_failed_attempt_tells_nobody_and_the_first_success_counts(client, document, critical):
    receipt = critical("p", 60)
    path = PATH.format(name=receipt.told[0].episode)
    for body, after in ((FAILED, 5), (CALL, 40), (CALL, 20)):
        client.post(path, json=body | {"at": (NOW - timedelta(minutes=60 - after)).isoformat()})

    (one,) = report(client, document)["items"]

    assert one["minutes"] == {"median": 20, "percentile_90": 20}


def test_who_was_told_before_the_message_came_waited_for_nothing(client, document, critical):
    critical("p", 60, -30)

    assert report(client, document)["items"][0]["minutes"] == {"median": 0, "percentile_90": 0}


@pytest.mark.parametrize(
    ("query", "raised_"),
    [
        ("?source=lab-2", 0),
        ("?source=lab-1", 2),
        ("?from=2026-11-20T11:00:00Z", 1),
        ("?from=2026-11-20T10:20:00Z&to=2026-11-20T11:30:00Z", 1),
        ("?from=2026-11-20T10:20:00Z&to=2026-11-20T11:30:00.000001Z", 2),
    ],
)
def test_the_report_is_of_a_period_and_perhaps_of_one_source(client, document, critical, query, raised_):
    critical("one", 100)
    critical("two", 30)

    assert sum(one["raised"] for one in report(client, document, query)["items"]) == raised_


@pytest.mark.parametrize(("told_after", "told", "minutes"), [(None, 0, None), (5, 1, 5)], ids=["untold", "told before"])
def test_a_correction_that_stays_critical_is_the_same_news(client, document, critical, told_after, told, minutes):
    critical("p", 120, told_after)
    critical("p", 10, value="13.9", status="corrected")

    (found,) = report(client, document)["items"]

    assert (found["raised"], found["told"], found["taken_back"], found["minutes"]["median"]) == (1, told, 0, minutes)
    assert [one["minutes"] for one in found["oldest_open"]] == ([] if told else [120])


def test_trials_are_left_out(client, document, critical):
    critical("p", 30, source="selftest")

    assert report(client, document)["items"] == []


def test_a_parameter_that_there_is_not_is_answered_with_those_that_there_are(client):
    (fault,) = as_problem(client.get(f"{REPORT}?since=x"), "invalid-query")["errors"]

    assert fault["hint"] == "known: from, to, source"


@pytest.mark.parametrize(
    "query",
    ["?from=2026-11-20T12:00:00Z&to=2026-11-20T12:00:00Z", "?from=2025-01-01T00:00:00Z", "?to=2026-11-20", "?since=x"],
)
def test_a_period_that_cannot_be_meant_is_refused(client, query):
    as_problem(client.get(f"{REPORT}{query}"), "invalid-query")
