"""A message of several panels comes in whole, is answered once, and is kept to the last word."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from service.domain.errors import BadInput, InUse
from service.domain.panels import Code, SentRange, Status
from service.flows.whole import Once, take_in_whole
from service.formats import native
from service.storage import results
from service.storage.idempotency import Answer, Claim
from service.storage.panels import Message
from service.storage.tables import inbox, outbox, patients
from service.storage.tables import results as result_rows
from tests.flows.build import (
    NOW,
    WOMAN,
    alp,
    calcium,
    encoded,
    flag_states,
    hemoglobin,
    kept,
    outcomes,
    panel,
    platelets,
    row_counts,
)

MESSAGE = Message(body=b"the bytes", content_type="x/y", source="lab-1", received_at=NOW)


def read(*sent):
    return [native.read(encoded(one), now=NOW) for one in sent]


def once(fingerprint="f", rendered=None):
    def render(receipts):
        said = ",".join(str(len(one.items)) for one in receipts)
        if rendered is not None:
            rendered.append(said)
        return Answer(status=200, headers={}, body=said.encode())

    claim = Claim(client="lab-1", route="hl7v2", key="A1", fingerprint=fingerprint)
    return Once(claim=claim, until=NOW + timedelta(hours=1), render=render)


def test_all_panels_of_a_message_rest_on_one_message(means, database):
    other = {**WOMAN, "id": "another"}

    taken = take_in_whole(read(panel(calcium("11.9")), panel(alp("300"), patient=other)), MESSAGE, means)

    assert [outcomes(one) for one in taken.receipts] == [[("flagged", None)], [("flagged", None)]]
    counts = row_counts(database)
    assert (counts["inbox"], counts["panels"], counts["flags"]) == (1, 2, 2)


def test_a_message_that_brings_nothing_is_kept(means, database):
    taken = take_in_whole([], MESSAGE, means, once=once())

    assert (taken.receipts, taken.answer.body) == ((), b"")
    assert row_counts(database)["inbox"] == 1


def test_panels_of_one_patient_in_any_order_end_as_if_they_came_alone(means, database):
    sent = [
        panel(calcium("11.9"), on=2),
        panel(hemoglobin("9.1"), on=0),
        panel(calcium("9.9"), on=2, status="corrected"),
    ]

    taken = take_in_whole(read(*sent), MESSAGE, means)

    assert len(taken.receipts) == 3
    assert flag_states(database) == [("anemia", "moderate", "open"), ("hypercalcemia", "moderate", "superseded")]


def test_every_fault_of_every_panel_refuses_the_whole_message(means, database):
    twice = [
        panel(calcium("11.9"), calcium("11.9")),
        panel(alp("300"), alp("300"), on=1),
        panel(platelets("200"), on=2),
    ]

    with pytest.raises(BadInput) as refused:
        take_in_whole(read(*twice), MESSAGE, means)

    assert [fault.code for fault in refused.value.faults] == ["result-repeated"] * 2
    assert row_counts(database)["inbox"] == 0


def test_the_same_message_is_answered_the_same_and_kept_once(means, database):
    rendered = []
    first = take_in_whole(read(panel(calcium("11.9"))), MESSAGE, means, once=once(rendered=rendered))
    before = kept(database)

    again = take_in_whole(read(panel(calcium("11.9"))), MESSAGE, means, once=once(rendered=rendered))

    assert (again.answer, again.recalled, again.receipts) == (first.answer, True, ())
    assert rendered == ["1"]
    assert kept(database) == before


def test_the_claim_of_another_message_is_refused(means, database):
    take_in_whole(read(panel(calcium("11.9"))), MESSAGE, means, once=once())

    with pytest.raises(BadInput) as refused:
        take_in_whole(read(panel(calcium("12.9"))), MESSAGE, means, once=once(fingerprint="other"))

    assert refused.value.kind == "idempotency-key-reused"
    assert row_counts(database)["panels"] == 1


def test_a_dry_run_judges_and_keeps_nothing(means, database):
    taken = take_in_whole(read(panel(calcium("11.9"))), MESSAGE, means, dry_run=True)

    assert outcomes(taken.receipts[0]) == [("flagged", None)]
    assert row_counts(database)["inbox"] == 0


def test_the_events_of_a_trial_are_marked(means, database):
    take_in_whole(read(panel(calcium("11.9"))), replace(MESSAGE, test=True), means)

    with database.reading() as connection:
        assert connection.execute(select(inbox.c.test)).scalar_one() is True
        assert connection.execute(select(outbox.c.data)).scalar_one()["test"] is True


def test_what_few_senders_say_comes_back_from_the_rows(means, database):
    (brought,) = read(panel(platelets("100"), calcium("9.5")))
    said = replace(
        brought.results[0],
        text="10-20",
        number=Decimal("10"),
        upper=Decimal("20"),
        other_codes=(Code(code="PLT", system="urn:local"),),
        interpretation=("LL", "A"),
    )
    unclear = replace(brought.results[1], range=SentRange(unclear="two fit"))

    taken = take_in_whole([replace(brought, results=(said, unclear))], MESSAGE, means)

    with database.reading() as connection:
        rows = {row.analyte: results.held(row).result for row in connection.execute(select(result_rows))}
    assert replace(rows["platelets"], pointer=said.pointer) == said
    assert rows["calcium"].range == unclear.range
    assert outcomes(taken.receipts[0]) == [("flagged", None), ("not_judged", "reference_range_unusable")]


def promoting(sent):
    (brought,) = read(sent)
    empty = replace(brought.results[0], text="", number=None, absent="unchanged", promotes=True, status=Status.FINAL)
    return replace(brought, results=(empty,))


def test_a_status_alone_makes_the_value_that_was_sent_final(means, database):
    take_in_whole(read(panel(calcium("11.9", status="preliminary"))), MESSAGE, means)

    taken = take_in_whole([promoting(panel(calcium("1")))], MESSAGE, means)

    ((arrival, verdict),) = taken.receipts[0].items
    assert (arrival.held.result.text, arrival.held.status, verdict.provisional) == ("11.9", "final", False)
    assert [state for *_, state in flag_states(database)] == ["superseded", "open"]
    assert take_in_whole([promoting(panel(calcium("1")))], MESSAGE, means).receipts[0].duplicate


def test_a_status_alone_without_any_value_is_not_judged(means):
    taken = take_in_whole([promoting(panel(calcium("1")))], MESSAGE, means)

    assert outcomes(taken.receipts[0]) == [("not_judged", "value_absent")]


def test_a_status_alone_in_the_message_of_its_value_waits_for_it(means):
    value, status = read(panel(calcium("11.9", status="preliminary")))[0], promoting(panel(calcium("1")))

    taken = take_in_whole([value, status], MESSAGE, means)

    assert [one.items[0][1].provisional for one in taken.receipts] == [True, False]


def test_too_many_results_are_refused_before_anything_is_held_up(means, database, monkeypatch):
    monkeypatch.setattr("service.flows.whole.MOST_RESULTS", 2)

    with pytest.raises(BadInput) as refused:
        take_in_whole(read(panel(calcium("9.5"), alp("90")), panel(platelets("200"), on=1)), MESSAGE, means)

    assert [(one.pointer, one.code) for one in refused.value.faults] == [("/results/0", "too-many")]
    assert row_counts(database)["inbox"] == 0


def test_what_the_check_refuses_is_not_kept(means, database):
    def check(connection):
        raise InUse("somebody was first")

    with pytest.raises(InUse):
        take_in_whole(read(panel(calcium("11.9"))), MESSAGE, means, check=check)

    assert (row_counts(database)["inbox"], row_counts(database)["patients"]) == (0, 0)


def test_a_trial_of_the_sender_touches_nothing_of_the_real_patient(means, database):
    take_in_whole(read(panel(calcium("11.9"))), MESSAGE, means)
    taken_back = panel(calcium("11.9", status="entered-in-error"))

    take_in_whole(read(taken_back), replace(MESSAGE, test=True), means)

    assert flag_states(database) == [("hypercalcemia", "moderate", "open")]
    with database.reading() as connection:
        found = set(connection.execute(select(patients.c.authority)).scalars())
    assert found == {"hospital-a", "urn:lab-alerts:trial:hospital-a"}
