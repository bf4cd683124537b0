"""Several people at the same moment, and the walls that the database itself puts up."""

import threading

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from service.flows.means import Means
from service.storage.database import Database
from service.storage.tables import episodes
from service.storage.tables_acts import acts
from tests.flows.acting import ACK, OKAFOR, PATEL, Ward
from tests.flows.build import NOW, Sender, calcium, panel


@pytest.fixture
def ward(means):
    return Ward(means)


def at_once(*works):
    """Do several things at the same moment; answers what each came to, or what it raised."""
    barrier, found = threading.Barrier(len(works)), {}

    def run(place, work):
        barrier.wait()
        try:
            found[place] = work()
        except Exception as error:  # noqa: BLE001  what it is is asserted below
            found[place] = error

    threads = [threading.Thread(target=run, args=one) for one in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[place] for place in range(len(works))]


def test_of_two_people_who_acknowledge_what_they_both_looked_at_one_is_refused(ward):
    ward.take("11.9 on 0")
    name, version = ward.episode().id, ward.episode().version

    def acknowledged(by):
        return lambda: ward.do(ACK, by=by, name=name, wish=lambda held: held == version)

    found = at_once(acknowledged(PATEL), acknowledged(OKAFOR))

    assert sorted(type(one).__name__ for one in found) == ["Done", "Stale"]
    assert len(ward.told()) == 2


@pytest.mark.parametrize("round_", range(5))
def test_nobody_acknowledges_what_got_worse_at_the_same_moment(ward, address, round_):
    ward.take("11.9 on 0")
    name = ward.episode().id
    other = Means(database=Database.open(address, timeout=10), catalogue=ward.means.catalogue)
    worse = panel(calcium("13.6"), on=1)

    sent, done = at_once(lambda: Sender(other).send(worse, at=ward.now), lambda: ward.do(ACK, name=name))
    other.database.close()

    row = ward.episode()
    first_worse = done.view.episode.holds.acknowledged.severity == "critical"
    assert (row.level, row.acknowledged_by is not None) == ("critical", first_worse)
    assert ward.flags() == ("acknowledged acknowledged" if first_worse else "open open")
    assert sent.id is not None
    assert ward.told()[1:] == (["escalated", "acknowledged"] if first_worse else ["acknowledged", "escalated"])


ACT = {
    "id": "act_1", "version": 9, "kind": "comment", "at": NOW, "actor_kind": "person", "actor_id": "u",
    "actor_name": "n", "reason": None, "note": "x", "assignee": None, "until_kind": None, "until": None,
    "undoes": None, "severity": "mild", "flag_id": "flg_1",
}  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "delete"},
        {"kind": "acknowledge"},
        {"reason": "acting"},
        {"note": None},
        {"assignee": "x"},
        {"kind": "snooze"},
        {"kind": "snooze", "until_kind": "worse"},
        {"until": NOW},
        {"kind": "undo"},
        {"undoes": "act_0"},
        {"episode_id": "eps_nobody"},
    ],
    ids=str,
)
def test_the_database_refuses_acts_that_cannot_be(ward, wrong):
    ward.take("11.9 on 0")
    row = ward.episode()
    whole = ACT | {"patient_id": row.patient_id, "episode_id": row.id}

    with pytest.raises(IntegrityError), ward.means.database.transaction() as connection:
        connection.execute(insert(acts).values(whole | wrong))

    with ward.means.database.transaction() as connection:
        connection.execute(insert(acts).values(whole))


def test_the_database_refuses_an_acknowledgement_of_what_is_not_open(ward):
    ward.take("11.9 on 0")
    ward.take("acknowledge")
    ended = {"state": "resolved", "resolved_at": NOW}

    with pytest.raises(IntegrityError), ward.means.database.transaction() as connection:
        connection.execute(episodes.update().values(**ended))
