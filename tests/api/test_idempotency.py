"""A request with an Idempotency-Key is carried out once and answered the same, however often it is sent."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import insert

from service.storage.tables import idempotency_keys
from tests.api.described import as_problem
from tests.flows.build import NOW, WOMAN, calcium, encoded, hemoglobin, panel, row_counts

KEY = '"8e03978e-40d5-43dd-bc93-6894a57f9324"'
RAISED = panel(calcium("11.9"))


def send(client, sent=RAISED, key=KEY, path="/v1/panels", **headers):
    named = {} if key is None else {"Idempotency-Key": key}
    return client.post(path, data=encoded(sent), content_type="application/json", headers={**named, **headers})


def test_the_same_request_is_answered_the_same_to_the_letter(client, database):
    first = send(client)

    again = send(client)

    assert (first.status_code, first.json["duplicate"]) == (201, False)
    assert (again.status_code, again.data, again.headers["Location"]) == (201, first.data, first.headers["Location"])
    assert again.content_type == first.content_type
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert row_counts(database)["panels"] == 1


def test_the_answer_stays_the_same_when_what_is_held_has_changed_since(client):
    first = send(client)
    send(client, panel(calcium("9.9"), status="corrected"), key=None)

    assert send(client).data == first.data


def test_without_a_key_the_same_panel_is_a_duplicate_as_ever(client):
    send(client)

    assert send(client, key=None).json["duplicate"] is True


def test_another_request_under_the_same_key_is_refused_and_nothing_of_it_is_kept(client, database):
    send(client)

    refused = send(client, panel(calcium("12.9"), on=1))

    as_problem(refused, "idempotency-key-reused")
    assert refused.status_code == 422
    assert row_counts(database)["panels"] == 1


def test_strict_handling_makes_it_another_request(client):
    send(client)

    as_problem(send(client, Prefer="handling=strict"), "idempotency-key-reused")


def test_the_answer_to_a_strict_request_is_remembered_with_its_headers(client):
    first = send(client, Prefer="handling=strict")

    again = send(client, Prefer="handling=strict")

    assert again.data == first.data
    assert again.headers["Preference-Applied"] == "handling=strict"
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_refused_request_may_be_mended_and_sent_under_the_same_key(client, database):
    assert send(client, {**RAISED, "collected_at": "yesterday"}).status_code == 422

    assert send(client).status_code == 201
    assert row_counts(database)["idempotency_keys"] == 1


def test_a_duplicate_is_remembered_as_well(client):
    send(client, key=None)

    first, again = send(client), send(client)

    assert (first.status_code, first.json["duplicate"]) == (200, True)
    assert (again.status_code, again.data) == (200, first.data)


def test_a_dry_run_neither_uses_nor_remembers_a_key(client, database):
    send(client, path="/v1/panels?dry_run=true")

    assert row_counts(database)["idempotency_keys"] == 0
    assert send(client).status_code == 201
    assert "Idempotent-Replayed" not in send(client, path="/v1/panels?dry_run=true").headers


def test_a_key_of_another_client_is_another_key(client, doors):
    other = doors.with_scopes("panels:write", name="other", source="lab-2")
    send(client)

    answer = send(other)

    assert answer.status_code == 201
    assert "Idempotent-Replayed" not in answer.headers


def test_a_key_is_the_same_with_and_without_quotes(client):
    send(client, key='"k-1"')

    assert send(client, key="k-1").headers["Idempotent-Replayed"] == "true"


def test_a_quote_and_a_backslash_may_stand_in_a_key(client):
    send(client, key=r'"a\"b\\c"')

    assert send(client, key=r'"a\"b\\c"').headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in send(client, key='"a"', sent=panel(calcium("9.9"), on=3)).headers


@pytest.mark.parametrize(
    "key", ["", " ", '""', '"', '"a', 'a"', '"a";b', "a, b", "a b", '"a\x7f"', '"é"', "k" * 256, f'"{"k" * 256}"']
)
def test_what_is_not_a_key_is_refused(client, database, key):
    as_problem(send(client, key=key), "bad-request")

    assert row_counts(database)["panels"] == 0


def test_the_longest_key_is_taken(client):
    assert send(client, key=f'"{"k" * 255}"').status_code == 201


def test_a_key_is_forgotten_when_its_time_is_over(client, database):
    send(client)

    with time_machine.travel(NOW + timedelta(hours=25)):
        answer = send(client, panel(hemoglobin("9.1"), on=2))

    assert answer.status_code == 201
    assert row_counts(database)["idempotency_keys"] == 1


def test_concurrent_identical_requests_end_in_one_panel_and_one_answer(client, database):
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: send(client), range(24)))

    assert {one.status_code for one in answers} == {201}
    assert len({one.data for one in answers}) == 1
    assert sum("Idempotent-Replayed" not in one.headers for one in answers) == 1
    assert row_counts(database)["panels"] == 1


def test_concurrent_requests_with_one_key_and_many_bodies_carry_out_one_of_them(client, database):
    bodies = [panel(calcium("11.9"), patient={**WOMAN, "id": str(number)}) for number in range(12)]

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda sent: send(client, sent), bodies))

    assert sorted(one.status_code for one in answers) == [201] + [422] * 11
    assert row_counts(database)["panels"] == 1


def test_a_key_that_another_process_is_using_is_said_to_be_in_use(client, database, monkeypatch):
    """The other process remembers its answer after we have looked, and before we write."""
    real = __import__("service.flows.remembering", fromlist=["memory"]).memory
    theirs = {"client": client_id(database), "route": "POST /v1/panels", "key": KEY.strip('"'), "fingerprint": "x"}

    def memory_then_theirs(connection, wishes, *, now):
        found = real(connection, wishes, now=now)
        times = {"created_at": now, "expires_at": now + timedelta(hours=1)}
        connection.execute(insert(idempotency_keys).values(**theirs, status=201, headers={}, body=b"", **times))
        return found

    monkeypatch.setattr("service.flows.desk.memory", memory_then_theirs)

    answer = send(client)

    as_problem(answer, "idempotency-key-in-use")
    assert (answer.status_code, answer.headers["Retry-After"]) == (409, "1")
    assert row_counts(database)["panels"] == 0


def client_id(database):
    with database.reading() as connection:
        return connection.exec_driver_sql("SELECT id FROM api_keys").scalar_one()
