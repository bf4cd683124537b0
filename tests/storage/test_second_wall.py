"""The constraints of the database: what the code never does, the database refuses as well."""

from datetime import datetime

import pytest
from sqlalchemy import DateTime, insert, select, update
from sqlalchemy.exc import IntegrityError, StatementError

from service.flows import keys as key_flow
from service.storage.tables import Instant, api_keys, episodes, flags, metadata, panels, patients, results, verdicts
from tests.flows.build import NOW, Sender, calcium, day, hemoglobin, panel


@pytest.fixture
def one_patient(means, database):
    """A patient with an open and a resolved episode, a superseded flag and two versions of a result."""
    sender = Sender(means)
    sender.send(panel(calcium("11.0"), hemoglobin("9.1"), on=0))
    sender.send(panel(calcium("9.9"), on=1))
    sender.send(panel(calcium("11.9"), on=2))
    sender.send(panel(calcium("12.9"), on=2, status="corrected"))
    return database


def refused(database, statement):
    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(statement)


def a_row_of(database, table, **wanted):
    conditions = [table.c[name] == value for name, value in wanted.items()]
    with database.reading() as connection:
        return dict(connection.execute(select(table).where(*conditions)).first()._mapping)


def test_a_finding_has_no_two_open_episodes(one_patient):
    row = a_row_of(one_patient, episodes, finding="hypercalcemia", state="open")

    refused(one_patient, insert(episodes).values(**{**row, "id": "eps_second"}))


def test_a_resolved_episode_is_not_opened_beside_an_open_one(one_patient):
    row = a_row_of(one_patient, episodes, finding="hypercalcemia", state="resolved")

    refused(
        one_patient, update(episodes).where(episodes.c.id == row["id"]).values(state="open", resolved_at=None)
    )  # fmt: skip


def test_another_finding_may_have_an_open_episode_beside_it(one_patient):
    row = a_row_of(one_patient, episodes, finding="hypercalcemia", state="open")

    with one_patient.transaction() as connection:
        connection.execute(insert(episodes).values(**{**row, "id": "eps_other", "finding": "thrombocytopenia"}))


def test_a_result_has_no_two_current_versions(one_patient):
    row = a_row_of(one_patient, results, current=False)

    refused(
        one_patient,
        update(results).where(results.c.id == row["id"], results.c.version == row["version"]).values(current=True),
    )


def test_a_version_of_a_result_is_kept_once(one_patient):
    row = a_row_of(one_patient, results, current=True)

    refused(one_patient, insert(results).values(**{**row, "id": "res_other", "current": False}))


def test_a_result_has_no_two_current_verdicts(one_patient):
    row = a_row_of(one_patient, verdicts, current=True)

    refused(one_patient, insert(verdicts).values(**{**row, "id": "vrd_second"}))


def test_no_two_flags_of_a_finding_stand_on_one_result(one_patient):
    row = a_row_of(one_patient, flags, state="superseded", severity="moderate", finding="hypercalcemia")

    refused(one_patient, update(flags).where(flags.c.id == row["id"]).values(state="open"))


def test_a_patient_is_kept_once_for_an_authority(one_patient):
    row = a_row_of(one_patient, patients)

    refused(one_patient, insert(patients).values(**{**row, "id": "pat_second"}))


def test_a_key_is_kept_once_and_its_name_is_active_once(database):

    key_flow.add(database, name="lab", scopes=["admin"], now=NOW)
    row = a_row_of(database, api_keys)

    refused(database, insert(api_keys).values(**{**row, "id": "key_2", "name": "other"}))
    refused(database, insert(api_keys).values(**{**row, "id": "key_2", "digest": "other"}))


ODD = [
    (patients, {"sex": "both"}),
    (panels, {"trimester": 4}),
    (results, {"status": "perhaps"}),
    (results, {"version": 0}),
    (verdicts, {"outcome": "normal"}),
    (verdicts, {"outcome": "not_judged", "reason": None}),
    (verdicts, {"outcome": "flagged", "finding": None}),
    (verdicts, {"standing": "maybe"}),
    (flags, {"severity": "high"}),
    (flags, {"state": "closed"}),
    (flags, {"finding": "gout"}),
    (flags, {"direction": "up"}),
    (flags, {"why": None}),
    (episodes, {"finding": "gout"}),
    (episodes, {"state": "closed"}),
    (episodes, {"level": "high"}),
    (episodes, {"state": "resolved", "resolved_at": None}),
    (episodes, {"state": "open", "resolved_at": NOW}),
]


@pytest.mark.parametrize(("table", "values"), ODD, ids=lambda one: getattr(one, "name", None) or "-".join(one))
def test_a_word_or_a_state_that_there_is_not_is_refused(one_patient, table, values):
    refused(one_patient, update(table).values(**values))


LOST = [
    (panels, {"patient_id": "pat_nobody"}),
    (results, {"panel_id": "pnl_none"}),
    (verdicts, {"result_version": 99}),
    (flags, {"episode_id": "eps_none"}),
    (flags, {"note_id": "none"}),
    (episodes, {"patient_id": "pat_nobody"}),
]


@pytest.mark.parametrize(("table", "values"), LOST, ids=lambda one: getattr(one, "name", None) or "-".join(one))
def test_nothing_hangs_on_what_is_not_there(one_patient, table, values):
    refused(one_patient, update(table).values(**values))


def test_a_patient_with_results_is_not_deleted(one_patient):
    refused(one_patient, patients.delete())


def times():
    columns = [(table, column) for table in metadata.tables.values() for column in table.c]
    return [(table, column) for table, column in columns if isinstance(column.type, DateTime | Instant)]


def test_every_time_is_kept_with_its_zone():
    assert len(times()) > 10
    assert all(isinstance(column.type, Instant) for _, column in times())


def test_a_time_without_a_zone_is_not_kept(one_patient):
    naive = datetime(2026, 11, 1, 8)  # noqa: DTZ001  this is the point

    for table, column in times():
        with pytest.raises(StatementError, match="without a zone"), one_patient.transaction() as connection:
            connection.execute(update(table).values({column.name: naive}))


def test_a_time_comes_back_as_the_same_moment_whatever_its_zone(means, database):
    sent = panel(calcium("11.9"), collected_at="2026-11-01T08:00:00.123456+05:30")

    Sender(means).send(sent)

    row = a_row_of(database, panels)
    assert row["collected_at"].isoformat() == "2026-11-01T02:30:00.123456+00:00"
    assert a_row_of(database, flags)["raised_at"] == NOW
    assert row["collected_at"] < day(0)
