"""A patient is erased while messages about them are on their way: what is not being sent stays here, and all who may
have been told are named.
"""

import threading

import pytest
from sqlalchemy import select, update

from service.delivery.outcome import Sent
from service.flows.erase import erase, foreseen
from service.storage.database import Database
from service.storage.tables import outbox, patients
from service.storage.tables_delivery import deliveries
from tests.flows.build import NOW, WOMAN, Sender, alp, calcium, hemoglobin, panel
from tests.flows.telling import fan_all_out, subscribe
from tests.service.test_dispatcher import Receiver, worker

OTHER = {"id": "99000001", "authority": "hospital-a", "sex": "male", "birth_date": "1950-01-01"}


@pytest.fixture
def events(means, database):
    """What there is to tell a ward of her and of somebody else: the ids of the events of each."""
    subscribe(database, "ward")
    for who in (WOMAN, OTHER):
        Sender(means).send(panel(calcium("11.9"), hemoglobin("7.7"), alp("500"), patient=who))
    with database.reading() as connection:
        rows = connection.execute(
            select(patients.c.identifier, outbox.c.id).join(outbox, outbox.c.patient_id == patients.c.id)
        ).all()
    return {who["id"]: {name for identifier, name in rows if identifier == who["id"]} for who in (WOMAN, OTHER)}


def test_what_waits_for_a_thread_is_not_sent_any_more(means, database, address, events):
    met, go_on = threading.Event(), threading.Event()

    def answers(_letter):
        met.set()
        go_on.wait(30)
        return Sent(status=204)

    receiver, own = Receiver(answers), Database.open(address)
    dispatcher = worker(means, receiver, threads=1)
    dispatcher.round()
    met.wait(30)
    erase(own, WOMAN["id"], None, now=NOW)
    own.close()
    dispatcher.round()
    go_on.set()
    dispatcher.once()

    assert min(map(len, events.values())) > 2
    assert len(events[WOMAN["id"]] & set(receiver.taken)) <= 1  # the one that was being sent
    assert events[OTHER["id"]] <= set(receiver.taken)


@pytest.mark.usefixtures("events")
def test_whoever_is_being_told_at_this_moment_is_named(means, database):
    fan_all_out(means)
    with database.transaction() as connection:
        c = deliveries.c
        mine = select(c.id).where(c.patient_id.in_(hers())).order_by(c.number).limit(1)
        claimed = {"claim": "dsp_1", "claimed_at": NOW, "claimed_until": NOW}
        connection.execute(update(deliveries).where(c.id.in_(mine)).values(**claimed))

    expected = foreseen(database, WOMAN["id"], None)
    done = erase(database, WOMAN["id"], None, now=NOW)

    assert [(one.name, one.sent, one.unsure) for one in done.told] == [("ward", 0, 1)]
    assert done == expected


def hers():
    return select(patients.c.id).where(patients.c.identifier == WOMAN["id"])
