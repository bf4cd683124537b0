"""Acts whose clocks differ, that are sent again, and that meet what is no longer there."""

from datetime import timedelta
from itertools import count

import pytest
import time_machine

from service.domain.errors import NotFound
from service.flows import acknowledge
from service.storage import patients
from tests.flows.build import NOW, calcium, panel


@pytest.fixture
def episode(client):
    """The path of an open critical episode."""
    answer = client.post("/v1/panels", json=panel(calcium("13.6")))
    return f"/v1/episodes/{answer.json['flags'][0]['episode']}"


def test_an_undo_undoes_whatever_clock_the_acts_before_had(client, episode, monkeypatch):
    numbers = count(900, -1)  # each machine behind the one before
    monkeypatch.setattr(acknowledge, "new_id", lambda prefix: f"{prefix}_{next(numbers)}")
    for _ in range(2):
        client.post(f"{episode}/acknowledgements", json={"reason": "acting", "note": "seen"})
        answer = client.post(f"{episode}/acknowledgements/undo", json={})

        assert answer.status_code == 201
        assert "acknowledged" not in answer.json


def test_who_has_an_episode_is_who_was_named_last_whatever_clock_they_had(client, episode, monkeypatch):
    numbers = count(900, -1)
    monkeypatch.setattr(acknowledge, "new_id", lambda prefix: f"{prefix}_{next(numbers)}")

    for name in ("red", "blue"):
        client.post(f"{episode}/assignment", json={"assignee": name})

    assert client.get(episode).json["assigned"]["to"] == "blue"


def test_a_comment_can_be_made_again_and_one_that_was_sent_twice_is_kept_once(client, episode):
    statuses = []
    for minutes in (0, 1, 60):
        with time_machine.travel(NOW + timedelta(minutes=minutes), tick=False):
            statuses.append(client.post(f"{episode}/comments", json={"text": "no answer"}).status_code)

    assert statuses == [201, 200, 201]


def test_a_call_without_a_time_that_was_sent_twice_is_kept_once(client, episode):
    call = {"told_to": "ward 7", "how": "phone", "outcome": "no_answer"}
    statuses = []
    for minutes in (0, 1, 60):
        with time_machine.travel(NOW + timedelta(minutes=minutes), tick=False):
            statuses.append(client.post(f"{episode}/callbacks", json=call).status_code)

    assert statuses == [201, 200, 201]


def test_a_call_about_a_specimen_from_a_clock_that_is_ahead_can_be_recorded(client):
    ahead = (NOW + timedelta(minutes=20)).isoformat()
    sent = {**panel(calcium("13.6")), "collected_at": ahead}
    flag = client.post("/v1/panels", json=sent).json["flags"][0]

    call = {"told_to": "ward 7", "how": "phone", "outcome": "reached", "read_back": True}
    answer = client.post(f"/v1/episodes/{flag['episode']}/callbacks", json=call)

    assert answer.status_code == 201


def test_a_patient_who_was_erased_meanwhile_is_not_found(database):
    with database.transaction() as connection, pytest.raises(NotFound):
        patients.hold(connection, "pat_gone")


@pytest.mark.parametrize("tag", ['""', 'W/"1"', '"x"', "nonsense"])
def test_an_odd_if_match_is_another_version_and_no_fault_of_ours(client, episode, tag):
    answer = client.post(f"{episode}/comments", json={"text": "x"}, headers={"If-Match": tag})

    assert answer.status_code in (201, 412)


@pytest.mark.parametrize("until", ["0001-01-01T00:00:00Z", "0001-01-20T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_report_of_the_beginning_of_time_is_no_fault_of_ours(client, until):
    assert client.get(f"/v1/reports/callbacks?to={until}").status_code in (200, 400)
