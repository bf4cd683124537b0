"""A patient is erased: nothing of them is left in any table, nobody else loses anything, and the chain still holds."""

import json
import threading
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from service.api import auditing
from service.domain.errors import Ambiguous, NotFound
from service.flows.audit import verify
from service.flows.erase import ANSWERS, OTHERS, erase, foreseen
from service.flows.fan_out import fan_out
from service.formats.hl7v2.reader import MEDIA_TYPE as HL7V2
from service.storage.database import Database
from service.storage.tables import inbox, metadata, panels, patients
from service.storage.tables_audit import audit
from service.storage.tables_cds import cds_cards, cds_feedback
from service.storage.tables_delivery import deliveries, delivery_attempts, subscriptions
from tests.api.fhir.speak import calcium as fhir_calcium
from tests.api.fhir.speak import post, transaction
from tests.flows.build import NOW, WOMAN, calcium, hemoglobin, kept, panel, row_counts
from tests.formats.hl7v2.build import msh, obx, report

# Everything that tells of her: who she is and what was measured. No other patient of these tests has any of it.
IDENTITY = ("88204113", "1968-03-14", "19680314", "Mustermann", "11.93", "7.77", "SHIBBOLETH")
OTHER = {"id": "99000001", "authority": "hospital-a", "sex": "male", "birth_date": "1950-01-01"}
NAMED = {**WOMAN, "name": "Erika Mustermann"}
HER_PID = "PID|1||88204113^^^hospital-a^MR||Mustermann^Erika||19680314|F"


def everything(database):
    """Every cell of every table, as text."""
    with database.reading() as connection:
        return {
            name: [
                [value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in row]
                for row in connection.execute(select(table))
            ]
            for name, table in metadata.tables.items()
        }


def mentions(database, *words):
    """The tables in which any of some words stands."""
    return {
        name
        for name, rows in everything(database).items()
        if any(word in cell for row in rows for cell in row for word in words)
    }


def pseudonym(database, who=WOMAN):
    with database.reading() as connection:
        wanted = (patients.c.identifier == who["id"]) & (patients.c.authority == "hospital-a")
        return connection.execute(select(patients.c.id).where(wanted)).scalar_one()


@pytest.fixture
def full(client, means, database):
    """She and somebody else, with something in every table that a patient can be in."""
    means = means_with_names(means)
    client.application.extensions["lab_alerts"] = means
    sent = panel(calcium("11.93", note="SHIBBOLETH"), hemoglobin("7.77"), patient=NAMED)
    client.post("/v1/panels", json=sent, headers={"Idempotency-Key": '"hers"'})
    client.post("/v1/panels", json=sent, headers={"Idempotency-Key": '"hers again"'})
    client.post("/v1/panels", json=panel(calcium("10.01", id="c-1"), on=1, patient=NAMED))
    client.post("/v1/panels", json=panel(calcium("13.4"), patient=OTHER), headers={"Idempotency-Key": '"his"'})
    client.post("/hl7v2", data=report(obx("11.93"), pid=HER_PID), content_type=HL7V2)
    # The same again under another number: it brings nothing new, and is kept all the same.
    client.post("/hl7v2", data=report(obx("11.93"), pid=HER_PID, head=msh(control="M2")), content_type=HL7V2)
    post(client, transaction(fhir_calcium(11.93)))
    show_a_card(database)
    deliver(means, database)
    client.application.extensions[auditing.NAME].flush()


def means_with_names(means):
    return type(means)(database=means.database, catalogue=means.catalogue, keep_names=True)


def show_a_card(database):
    with database.transaction() as connection:
        flag = connection.execute(
            select(metadata.tables["flags"].c.id).where(metadata.tables["flags"].c.patient_id == pseudonym(database))
        ).scalars()
        card = {"id": "card-1", "shown_at": NOW, "client": "ehr", "service": "s", "instance": "i"}
        connection.execute(insert(cds_cards).values(**card, indicator="info", flag_id=next(flag)))
        said = {"card": "card-1", "outcome": "overridden", "outcome_at": NOW, "suggestion": "", "received_at": NOW}
        connection.execute(
            insert(cds_feedback).values(**said, client="ehr", service="s", orphan=False, comment="of SHIBBOLETH")
        )


def subscription(**changed):
    row = {
        "id": "sub_1",
        "name": "ward",
        "channel": "webhook",
        "endpoint": "https://ward.example/hook",
        "format": "native",
        "payload": "thin",
        "filter": {},
        "state": "active",
        "from_seq": 0,
        "told": 0,
        "failures": 0,
        "version": 1,
        "created_at": NOW,
        "created_by": "key_1",
        "changed_at": NOW,
    }
    return {**row, **changed}


def deliver(means, database):
    """Fan everything out to one subscription, and say that the first message went and the second may have."""
    with database.transaction() as connection:
        connection.execute(insert(subscriptions).values(**subscription()))
    fan_out(means, now=NOW)
    with database.transaction() as connection:
        c = deliveries.c
        mine = select(c.id).where(c.patient_id == pseudonym(database)).order_by(c.number)
        first, second, *_ = connection.execute(mine).scalars()
        done = {"state": "sent", "attempts": 1, "done_at": NOW}
        connection.execute(deliveries.update().where(c.id == first).values(**done))
        connection.execute(deliveries.update().where(c.id == second).values(attempts=1))
        for one in (first, second):
            tried = {"delivery_id": one, "number": 1, "at": NOW, "outcome": "sent", "milliseconds": 3}
            connection.execute(insert(delivery_attempts).values(**tried))


def hers(database):
    return erase(database, WOMAN["id"], "hospital-a", now=NOW)


@pytest.mark.usefixtures("full")
def test_nothing_of_the_patient_is_left_in_any_table(database):
    name = pseudonym(database)
    before = mentions(database, *IDENTITY)

    hers(database)
    erase(database, WOMAN["id"], "urn:oid:1.2.3", now=NOW)  # whom FHIR has told of under another authority

    assert {"patients", "inbox", "results", "idempotency_keys", "cds_feedback", "panels"} <= before
    assert mentions(database, *IDENTITY) == set()
    assert mentions(database, name) == {"audit"}


@pytest.mark.usefixtures("full")
def test_everybody_else_keeps_everything(client, database):
    name = pseudonym(database, OTHER)
    mine = {table: [row for row in rows if name in row] for table, rows in everything(database).items()}
    listed = client.get("/v1/patients/99000001/flags").json

    hers(database)

    after = everything(database)
    assert {table: [row for row in rows if name in row] for table, rows in after.items()} == mine
    assert client.get("/v1/patients/99000001/flags").json == listed
    assert "his" in str(after["idempotency_keys"])
    assert len(after["subscriptions"]) == 1
    assert len(after["notes"]) > 0


@pytest.mark.usefixtures("full")
def test_what_is_foreseen_is_what_goes(database):
    expected = foreseen(database, WOMAN["id"], "hospital-a")

    done = hers(database)

    assert done == expected
    counted = {"patients": 1, "panels": 3, "results": 4, "delivery_attempts": 2, "cds_cards": 1, "cds_feedback": 1}
    assert {name: done.rows[name] for name in counted} == counted
    assert done.rows["inbox"] == 3
    assert (done.rows[OTHERS], done.rows[ANSWERS]) == (2, 5)


@pytest.mark.usefixtures("full")
def test_what_is_foreseen_is_still_there(database):
    before = kept(database)

    foreseen(database, WOMAN["id"], "hospital-a")

    assert kept(database) == before


@pytest.mark.usefixtures("full")
def test_who_was_told_is_listed(database):
    found = foreseen(database, WOMAN["id"], "hospital-a")

    assert [(one.name, one.channel, one.sent, one.unsure) for one in found.told] == [("ward", "webhook", 1, 1)]
    assert found.shown == {"ehr": 1}


@pytest.mark.usefixtures("full")
def test_nobody_is_told_of_what_waits(database):
    name = pseudonym(database)

    hers(database)

    with database.reading() as connection:
        waiting = connection.execute(select(deliveries.c.patient_id)).scalars().all()
    assert name not in waiting
    assert len(waiting) > 0


@pytest.mark.usefixtures("full")
def test_the_chain_can_still_be_checked_and_says_what_was_done(database):
    name, noted = pseudonym(database), verify(database).last

    done = hers(database)

    found = verify(database, noted=noted)
    assert (found.broken, found.last.place) == (None, noted.place + 1)
    with database.reading() as connection:
        last = connection.execute(select(audit).order_by(audit.c.place.desc()).limit(1)).one()
    assert (last.action, last.subject, last.actor, last.outcome) == ("cli:erase", name, "operator", "done")
    assert last.detail == {table: count for table, count in done.rows.items() if count}


@pytest.mark.usefixtures("full")
def test_every_flag_that_is_left_can_still_be_judged_again(client, database):
    hers(database)

    (flag,) = client.get("/v1/patients/99000001/flags").json["items"]
    again = client.get(f"/v1/flags/{flag['id']}/replay").json
    assert (again["equal"], again["facts"]["as_of"]) == (True, "raised")


@pytest.mark.usefixtures("full")
def test_what_is_sent_again_makes_a_new_patient(client, database):
    name = pseudonym(database)
    hers(database)

    sent = panel(calcium("11.93", note="SHIBBOLETH"), hemoglobin("7.77"), patient=NAMED)
    answer = client.post("/v1/panels", json=sent, headers={"Idempotency-Key": '"hers"'})
    again = report(obx("11.93"), pid=HER_PID, head=msh(control="M2"))
    acknowledged = client.post("/hl7v2", data=again, content_type=HL7V2)

    assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (201, False)
    assert b"MSA|AA" in acknowledged.data
    assert pseudonym(database) != name
    with database.reading() as connection:
        mine = select(panels.c.id).where(panels.c.patient_id == pseudonym(database))
        assert len(connection.execute(mine).all()) == 2  # each was kept, and not only acknowledged from memory


def test_a_message_shared_with_others_goes_whole_and_the_others_can_be_judged_again(client, database):
    both = report(obx("11.93"), pid=HER_PID)[:-1].split(b"\r")
    his = report(obx("13.4"), pid="PID|1||99000001^^^hospital-a^MR||||19500101|M").split(b"\r")
    client.post("/hl7v2", data=b"\r".join([*both, *his[1:]]), content_type=HL7V2)

    done = hers(database)

    (flag,) = client.get("/v1/patients/99000001/flags").json["items"]
    assert (done.rows["inbox"], row_counts(database)["inbox"]) == (1, 0)
    assert client.get(f"/v1/flags/{flag['id']}/replay").json["equal"]
    assert mentions(database, "88204113") == set()


def test_a_longer_number_that_holds_the_identifier_is_somebody_else(client, database):
    client.post("/hl7v2", data=report(obx("11.93"), pid=HER_PID), content_type=HL7V2)
    longer = HER_PID.replace("88204113", "988204113")
    client.post("/hl7v2", data=report(obx(), pid=longer, head=msh(control="M2")), content_type=HL7V2)

    hers(database)

    assert row_counts(database)["inbox"] == 1


@pytest.mark.parametrize("identifier", ["Zoë/1", "患者", "a.*b", 'q"uote'])
def test_identifiers_of_any_kind_are_found(client, database, identifier):
    who = {**WOMAN, "id": identifier}
    client.post("/v1/panels", json=panel(calcium("11.9"), patient=who), headers={"Idempotency-Key": '"k"'})
    client.post("/v1/panels", json=panel(calcium("11.9"), patient=OTHER))

    erase(database, identifier, None, now=NOW)

    assert mentions(database, identifier, json.dumps(identifier)[1:-1]) == set()
    assert row_counts(database)["inbox"] == 1


def test_one_who_is_not_there_is_said_not_to_be(database):
    with pytest.raises(NotFound):
        erase(database, "nobody", None, now=NOW)
    with pytest.raises(NotFound):
        foreseen(database, "nobody", None)


def test_of_two_with_one_identifier_the_authority_has_to_be_said_and_the_other_is_named(client, database):
    client.post("/v1/panels", json=panel(calcium("11.9")))
    client.post("/v1/panels", json=panel(calcium("11.9"), patient={**WOMAN, "authority": "hospital-b"}))

    with pytest.raises(Ambiguous):
        erase(database, WOMAN["id"], None, now=NOW)
    done = erase(database, WOMAN["id"], "hospital-b", now=NOW)

    assert done.namesakes == ("hospital-a",)
    assert row_counts(database)["patients"] == 1


@pytest.mark.usefixtures("full")
def test_when_it_breaks_off_nothing_went(database, monkeypatch):
    before = kept(database)

    def break_off(*_):
        raise OSError

    monkeypatch.setattr("service.storage.audit.append", break_off)
    with pytest.raises(OSError):  # noqa: PT011  the very one of above
        hers(database)

    assert kept(database) == before


def test_beside_messages_of_the_patient_that_come_in_meanwhile_all_goes_or_a_new_patient_begins(
    client, database, address
):
    client.post("/v1/panels", json=panel(calcium("11.9")))
    answers, stop = [], threading.Event()

    def go_on_sending():
        number = 0
        while not stop.is_set():
            number += 1
            answers.append(client.post("/v1/panels", json=panel(calcium("11.9"), on=number / 100)).status_code)

    sending = threading.Thread(target=go_on_sending)
    sending.start()
    own = Database.open(address)
    try:
        for _ in range(5):
            while client.get("/v1/patients/88204113/flags").status_code != 200:
                stop.wait(0.01)
            hers(own)
    finally:
        stop.set()
        sending.join()
        own.close()

    assert set(answers) <= {200, 201, 503}
    with database.reading() as connection:
        alone = select(panels.c.id).where(panels.c.patient_id.not_in(select(patients.c.id)))
        assert connection.execute(alone).all() == []
        unlinked = select(inbox.c.id).where(inbox.c.id.not_in(select(panels.c.inbox_id)))
        assert connection.execute(unlinked).all() == []
    assert verify(database).broken is None


@pytest.mark.parametrize("kind", ["sqlite"])
@pytest.mark.usefixtures("full")
def test_the_bytes_are_gone_from_the_file_once_the_service_stops(database, tmp_path):
    database.close()
    before = (tmp_path / "lab-alerts.db").read_bytes()

    hers(database)
    database.close()

    after = (tmp_path / "lab-alerts.db").read_bytes()
    assert before.count(b"SHIBBOLETH") >= 3
    assert after.count(b"SHIBBOLETH") == 0


def test_what_was_received_lately_is_looked_at_again(database, client):
    """A message that comes in while the long search is under way is found as well."""
    client.post("/hl7v2", data=report(obx("11.93"), pid=HER_PID), content_type=HL7V2)
    with database.transaction() as connection:
        row = connection.execute(select(inbox)).one()._asdict()
        late = {**row, "id": "msg_late", "received_at": NOW - timedelta(seconds=1)}
        connection.execute(insert(inbox).values(**late))

    hers(database)

    assert row_counts(database)["inbox"] == 0
