"""Panels taken in together end as if they had been taken in one after the other, and are answered the same."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from service.domain.errors import BadInput, Unavailable
from service.flows import bulk
from service.flows.incoming import order
from service.flows.intake import take_in, take_in_together
from service.flows.means import Means
from service.formats import native
from service.storage import outbox as outbox_rows
from service.storage.database import Database
from service.storage.panels import Message
from service.storage.tables import metadata, outbox, panels, patients
from tests.flows.build import (
    NOW,
    WOMAN,
    Sender,
    alp,
    calcium,
    encoded,
    episode_rows,
    flag_states,
    hemoglobin,
    outcomes,
    panel,
    platelets,
    row_counts,
    standing,
    told,
    verdicts_kept,
)

LEVELS = {calcium: ("9.9", "11.0", "13.6"), hemoglobin: ("13.1", "9.1", "6.5"), platelets: ("200", "20")}
STATUSES = ("final", "final", "final", "corrected", "entered-in-error")


@st.composite
def messages(draw):
    """Panels of three patients, mostly each newer than the one before; some late, corrected or sent twice."""
    sent = []
    for number in range(draw(st.integers(1, 14))):
        makes = draw(st.lists(st.sampled_from(sorted(LEVELS, key=str)), min_size=1, max_size=3, unique=True))
        status = draw(st.sampled_from(STATUSES))
        brought = [make(draw(st.sampled_from(LEVELS[make])), status=status) for make in makes]
        on = draw(st.sampled_from([number, number, number, 0, 3]))
        who = {**WOMAN, "id": draw(st.sampled_from("ABC")), "sex": draw(st.sampled_from(["female", "female", "male"]))}
        sent.append(panel(*brought, on=on, patient=who))
    return [*sent, *draw(st.lists(st.sampled_from(sent), max_size=3))]


@pytest.fixture
def fresh(migrated_file, catalogue):
    """Make a service with an empty SQLite database, as often as asked."""

    def make(home: str) -> Means:
        path = Path(home) / "lab-alerts.db"
        shutil.copy(migrated_file, path)
        return Means(database=Database.open(f"sqlite:///{path}"), catalogue=catalogue)

    return make


def orders(sent, means):
    for one in sent:
        body = encoded(one)
        message = Message(body=body, content_type="application/json", source="lab-1", received_at=NOW)
        yield order(native.read(body, now=NOW), message, means)


def answered(receipts):
    return [(one.duplicate, outcomes(one), told(one), [shown.state for shown in one.flags]) for one in receipts]


def ended(database):
    return standing(database), episode_rows(database), verdicts_kept(database), facts(database), told_of(database)


def facts(database):
    with database.reading() as connection:
        c = patients.c
        return set(connection.execute(select(c.identifier, c.sex, c.sex_as_of, c.born, c.last_collected_at)))


def told_of(database):
    """What was told of each patient, in its order."""
    with database.reading() as connection:
        joined = outbox.join(patients, outbox.c.patient_id == patients.c.id)
        rows = connection.execute(select(patients.c.identifier, outbox).select_from(joined).order_by(outbox.c.seq))
        found: dict[str, list[tuple[str, str]]] = {}
        for row in rows:
            found.setdefault(row.identifier, []).append((row.type, row.data["finding"]))
    return found


@settings(max_examples=40)
@given(sent=messages(), batch=st.integers(1, 20))
def test_together_is_as_one_after_the_other(fresh, sent, batch):
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        alone, together = fresh(first), fresh(second)
        one_by_one = [take_in(one, alone) for one in orders(sent, alone)]
        asked = list(orders(sent, together))
        in_groups = [
            receipt
            for start in range(0, len(asked), batch)
            for receipt in bulk._taken(asked[start : start + batch], together)
        ]
        found, expected = ended(together.database), ended(alone.database)
        alone.database.close()
        together.database.close()

    assert answered(in_groups) == answered(one_by_one)
    assert found == expected


COURSE = [panel(calcium(value), alp("250"), on=number) for number, value in enumerate(("11.0", "9.9", "11.9", "13.9"))]
OTHERS = [panel(hemoglobin("9.1"), patient={**WOMAN, "id": str(number)}) for number in range(5)]


def test_a_whole_course_of_one_patient_and_others_are_kept_in_one_transaction(means, database):
    receipts = take_in_together(list(orders([*COURSE, *OTHERS], means)), means)

    assert None not in receipts
    assert row_counts(database)["panels"] == len(receipts)
    assert sorted(flag_states(database)[:3]) == [
        ("hypercalcemia", "mild", "resolved"),
        ("pattern", "info", "resolved"),
        ("raised_alp", "mild", "open"),
    ]
    assert episode_rows(database) == ended_alone(COURSE + OTHERS, means, database)


def ended_alone(sent, means, database):
    """The same course under other identifiers, one panel after the other."""
    before = episode_rows(database)
    for one in sent:
        Sender(means).send({**one, "patient": {**one["patient"], "id": f"again-{one['patient']['id']}"}})
    assert episode_rows(database) == before
    return before


CORRECTED = [panel(calcium("11.9")), panel(calcium("9.9"), status="corrected"), panel(hemoglobin("9.1"), on=1)]


def test_a_correction_comes_in_with_what_it_corrects(means, database):
    taken = take_in_together(list(orders(CORRECTED, means)), means)

    assert [outcomes(one)[0][0] for one in taken if one] == ["flagged", "clear", "flagged"]
    assert row_counts(database)["panels"] == 3


def test_what_needs_another_pass_waits_when_the_time_is_over(means, database, monkeypatch):
    monkeypatch.setattr("service.flows.intake._SECONDS", 0)

    first, second, third = take_in_together(list(orders(CORRECTED, means)), means)

    assert (first is not None, second, third) == (True, None, None)
    assert row_counts(database)["panels"] == 1


def test_the_names_of_panels_sort_in_the_order_in_which_they_came(means, database):
    receipts = take_in_together(list(orders(COURSE, means)), means)

    names = [one.id for one in receipts]
    with database.reading() as connection:
        assert list(connection.execute(select(panels.c.id).order_by(panels.c.collected_at)).scalars()) == names
    assert names == sorted(names)


def test_nothing_of_a_group_is_kept_when_one_of_it_cannot_be(means, database, monkeypatch):
    def unavailable(*_):
        raise Unavailable("the database is busy")

    monkeypatch.setattr(outbox_rows, "keep", unavailable)
    with pytest.raises(Unavailable):
        take_in_together(list(orders([*COURSE, *OTHERS], means)), means)

    assert set(row_counts(database).values()) == {0}


def test_an_episode_that_ends_makes_room_for_one_that_opens_again_however_the_database_joins(means, database, kind):
    """Of the rows of one statement PostgreSQL chooses the order: by statistics, which it has after a while."""
    patients_ = [{**WOMAN, "id": str(number)} for number in range(120)]
    for who in patients_:
        history = [
            panel(calcium(value, id=name), on=on, patient=who)
            for name, value, on in (("R1", "13", 0), ("R5", "9.5", 10), ("R10", "13", 20))
        ]
        take_in_together(list(orders(history, means)), means)
    if kind == "postgresql":
        with database.transaction() as connection:
            connection.exec_driver_sql("ANALYZE")

    withdrawn = ["R5", "R10"]
    for who in patients_:
        for on, name in zip((10, 20), withdrawn, strict=True):
            Sender(means).send(panel(calcium("13", id=name), on=on, patient=who, status="entered-in-error"))

    assert {(state, finding) for finding, state, *_ in episode_rows(database)} == {("open", "hypercalcemia")}


def test_a_database_from_a_backup_that_lacks_a_note_gets_it(means, database):
    Sender(means).send(panel(calcium("11.9")))
    with database.transaction() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())

    Sender(means).send(panel(calcium("11.9")))

    assert row_counts(database)["notes"] == 1


def test_one_that_cannot_be_kept_by_anybody_does_not_sink_the_others(means, database, monkeypatch):
    real = outbox_rows.keep

    def refuses_the_third(writes, events):
        if any(event.data["finding"] == "anemia" for event in events):
            raise ValueError("poison")
        real(writes, events)

    monkeypatch.setattr(outbox_rows, "keep", refuses_the_third)
    asked = list(orders([*COURSE[:2], OTHERS[0], *COURSE[2:]], means))

    answers = list(bulk._taken(asked, means))

    assert [isinstance(one, BadInput) for one in answers] == [False, False, True, False, False]
    assert answers[2].kind == "internal-error"
    assert row_counts(database)["panels"] == 4
