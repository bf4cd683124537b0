"""A start that cannot be is told in words."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from service.cli import main
from service.config import Settings
from service.logs import logging_config
from service.storage import schema
from service.storage.database import Database


def test_a_database_of_a_newer_program_is_not_touched_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"sqlite:///{tmp_path / 'x.db'}"
    database = Database.open(address)
    schema.upgrade(database)
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", address)

    told = CliRunner().invoke(main, ["serve"])

    assert told.exit_code == 1
    assert "that this program does not know" in told.output


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", f"sqlite:///{tmp_path / 'file' / 'x.db'}")

    told = CliRunner().invoke(main, ["migrate"])

    assert told.exit_code == 1
    assert "the folder of the database cannot be made" in told.output


def test_the_request_lines_of_gunicorn_are_never_logged() -> None:
    told = logging_config(Settings(log_level="debug"))

    assert told["loggers"]["gunicorn.error"]["level"] == "INFO"
