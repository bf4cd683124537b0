"""Several processes that write the same patient at once lose nothing, and open one episode of a finding."""

import json
import subprocess
import sys
import time

import pytest
from sqlalchemy import func, select

from service.storage.tables import episodes, flags, patients
from tests.flows.build import (
    WOMAN,
    Sender,
    alp,
    calcium,
    day,
    episode_rows,
    events,
    hemoglobin,
    panel,
    platelets,
    row_counts,
    standing,
)


@pytest.fixture(scope="module")
def writers(request):
    """Eight processes that wait for something to write."""
    root = request.config.rootpath
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.flows.writer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=root,
            text=True,
        )
        for _ in range(8)
    ]
    assert [process.stdout.readline().strip() for process in processes] == ["ready"] * 8
    yield processes
    for process in processes:
        process.communicate(timeout=30)


def at_once(writers, address, sent):
    """Send each panel from a process of its own, all at the same moment; answers in the order of the panels."""
    at = time.time() + 0.2
    for process, one in zip(writers, sent, strict=False):
        process.stdin.write(json.dumps({"address": address, "panel": one, "at": at}) + "\n")
        process.stdin.flush()
    return [json.loads(process.stdout.readline()) for process in writers[: len(sent)]]


def different(number):
    """A panel with all four findings, each time in another order."""
    brought = [calcium("11.9"), hemoglobin("9.1"), alp("250"), platelets("70")]
    return panel(*brought[number % 4 :], *brought[: number % 4], on=number / 10)


@pytest.mark.parametrize("number", [2, 8])
def test_different_panels_of_a_new_patient_all_stay_in_one_episode_each(writers, address, database, number):
    answers = at_once(writers, address, [different(one) for one in range(number)])

    counts = row_counts(database)
    assert len({answer["id"] for answer in answers}) == number
    assert (counts["patients"], counts["panels"], counts["results"]) == (1, number, 4 * number)
    assert {(row[0], row[1], row[4], row[5]) for row in episode_rows(database)} == {
        (finding, "open", day(0), day((number - 1) / 10))
        for finding in ("hypercalcemia", "anemia", "raised_alp", "thrombocytopenia", "pattern")
    }
    assert len(standing(database)) == 5 * number
    assert len(events(database)) == sum(len(answer["told"]) for answer in answers)


def test_the_same_panel_from_all_sides_is_kept_once(writers, address, database):
    answers = at_once(writers, address, [different(0)] * 8)

    counts = row_counts(database)
    assert len({answer["id"] for answer in answers}) == 1
    assert sorted(answer["duplicate"] for answer in answers) == [False] + [True] * 7
    assert (counts["inbox"], counts["panels"], counts["results"], counts["flags"]) == (1, 1, 4, 5)


def test_versions_of_one_result_from_all_sides_end_in_the_one_issued_last(writers, address, database):
    values = ["9.9", "11.0", "11.9", "12.9", "9.9", "13.6", "11.0", "11.9"]
    sent = [
        panel(calcium(value), status="corrected", issued_at=day(1 + number / 10).isoformat())
        for number, value in enumerate(values)
    ]

    at_once(writers, address, sent)

    assert row_counts(database)["results"] == 8
    assert [(row[1], row[2]) for row in standing(database)] == [("hypercalcemia", "moderate")]
    assert [(row[0], row[1]) for row in episode_rows(database)] == [("hypercalcemia", "open")]


def test_different_new_patients_do_not_stand_in_each_others_way(writers, address, database):
    sent = [{**different(number), "patient": {**WOMAN, "id": str(number)}} for number in range(8)]

    at_once(writers, address, sent)

    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(patients)).scalar_one() == 8
        for table in (flags, episodes):
            found = connection.execute(select(table.c.patient_id, func.count()).group_by(table.c.patient_id)).all()
            assert sorted(count for _, count in found) == [5] * 8


def test_a_process_that_was_interrupted_leaves_no_lock_behind(writers, address, means, database):
    holder = subprocess.Popen(  # noqa: S603  our own program, with this interpreter
        [sys.executable, "-c", HOLDER, address], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline().strip() == "holding"
    holder.kill()
    holder.communicate()

    Sender(means).send(panel(calcium("11.9")))

    assert row_counts(database)["panels"] == 1


HOLDER = """
import sys, time
from service.storage import patients
from service.storage.database import Database
from tests.flows.build import NOW
with Database.open(sys.argv[1]).transaction() as connection:
    patients.lock(connection, [("hospital-a", "88204113")], now=NOW)
    print("holding", flush=True)
    time.sleep(60)
"""
