"""A real service writes down what it answers: soon by itself, and the rest when its workers end."""

import time
from pathlib import Path

import pytest
from sqlalchemy import select

from service.flows.audit import verify
from service.storage.database import Database
from service.storage.tables_audit import audit
from tests.service.test_workers import PATIENCE, Service, running

SENT = "POST /v1/panels"


def panels_written(database: Database) -> int:
    with database.reading() as connection:
        return len(connection.execute(select(audit.c.place).where(audit.c.action == SENT)).all())


def test_what_was_answered_just_before_the_end_is_written_down(
    address: str, tmp_path: Path, database: Database
) -> None:
    with running(address, tmp_path / "output.txt") as service:
        for _ in range(30):
            service.send()

    found = verify(database)
    assert panels_written(database) == 30
    assert found.broken is None
    assert "audit entries lost" not in (tmp_path / "output.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_worker_that_is_killed_loses_no_more_than_it_had_not_written_yet(
    address: str, tmp_path: Path, database: Database
) -> None:
    with running(address, tmp_path / "output.txt") as service:
        service.send()
        _wait_for(1, database)
        _kill_all(service)
        service.send()

    assert panels_written(database) == 2
    assert verify(database).broken is None


def _wait_for(count: int, database: Database) -> None:
    deadline = time.monotonic() + PATIENCE
    while panels_written(database) < count:
        assert time.monotonic() < deadline, "nothing was written"
        time.sleep(0.05)


def _kill_all(service: Service) -> None:
    for _ in service.workers():
        service.replace_one()
