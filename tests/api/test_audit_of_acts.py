"""What is written down of an act that was refused: also about whom it was, where that was known."""

import json

import pytest
from sqlalchemy import select

from service.api import auditing
from service.flows.audit import lines
from service.storage.audit import AuditFilter
from service.storage.tables import patients
from tests.flows.build import calcium, panel


@pytest.fixture
def newest(app, database):
    """Call it for the outcome of the newest entry, and whether it is about the one patient there is."""

    def read():
        assert app.extensions[auditing.NAME].flush()
        entry = json.loads(list(lines(database, AuditFilter()))[-1])
        with database.reading() as connection:
            return entry["outcome"], entry["subject"] == connection.execute(select(patients.c.id)).scalar_one()

    return read


ACT = {"reason": "acting", "note": "seen"}
REFUSED = [
    # what is asked with which body and header, and how it is answered
    ("acknowledgements", ACT, {"If-Match": '"9"'}, 412),
    ("acknowledgements/undo", {}, {}, 409),
    ("acknowledgements", {"reason": "other"}, {}, 422),
    ("comments", {"text": "x"}, {"If-Match": '"9"'}, 412),
    ("callbacks", {"told_to": "x", "how": "phone", "outcome": "no_answer", "flag": "flg_nothing"}, {}, 404),
    ("callbacks", {"told_to": "x", "how": "phone", "outcome": "no_answer", "at": "2030-01-01T00:00:00Z"}, {}, 422),
]


@pytest.mark.parametrize(("what", "body", "headers", "status"), REFUSED, ids=[f"{one[3]}-{one[0]}" for one in REFUSED])
def test_an_act_that_was_refused_says_about_whom_it_was(client, newest, what, body, headers, status):
    episode = client.post("/v1/panels", json=panel(calcium("11.9"))).json["flags"][0]["episode"]

    client.post(f"/v1/episodes/{episode}/{what}", json=body, headers=headers)

    assert newest() == (str(status), True)


def test_several_that_were_refused_say_about_whom_they_were(client, newest):
    episode = client.post("/v1/panels", json=panel(calcium("13.6"))).json["flags"][0]["episode"]

    client.post("/v1/acknowledgements", json={**ACT, "episodes": [{"episode": episode, "version": 1}]})

    assert newest() == ("200", True)
