"""Health says which part failed, and nothing of why."""

import pytest

from service.flows.means import Means
from service.storage import schema
from service.storage.database import Database
from tests.api.described import as_described

ALL = {"database", "migrations", "ruleset"}


@pytest.fixture
def asked(one_app):
    """Call it with a database to ask a service on top of it whether it is ready."""
    before = one_app.extensions["lab_alerts"]

    def ask(database, catalogue=before.catalogue):
        one_app.extensions["lab_alerts"] = Means(database=database, catalogue=catalogue)
        answer = one_app.test_client().get("/health/ready")
        assert answer.mimetype == "application/health+json"
        return answer

    yield ask
    one_app.extensions["lab_alerts"] = before


def failed(answer):
    checks = answer.get_json()["checks"]
    assert set(checks) == ALL
    return {name for name, (told,) in checks.items() if told["status"] != "pass"}


def test_a_service_with_everything_is_ready(asked, database, document):
    answer = asked(database)

    as_described(document, "/health/ready", answer)
    assert (answer.status_code, answer.get_json()["status"], failed(answer)) == (200, "pass", set())


def test_a_database_that_was_never_brought_up_to_date_is_named(asked, bare_address, document):
    database = Database.open(bare_address)

    answer = asked(database)
    database.close()

    as_described(document, "/health/ready", answer)
    assert (answer.status_code, answer.get_json()["status"], failed(answer)) == (503, "fail", {"migrations"})


def test_a_database_that_is_ahead_of_this_program_is_named(asked, bare_address):
    database = Database.open(bare_address)
    schema.upgrade(database)
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    answer = asked(database)
    database.close()

    assert failed(answer) == {"migrations"}


def test_a_file_that_is_no_database_is_named(asked, tmp_path):
    path = tmp_path / "noise.db"
    path.write_bytes(b"this is no database, but it is long enough to be taken for one" * 100)
    database = Database.open(f"sqlite:///{path}")

    answer = asked(database)
    database.close()

    assert (answer.status_code, failed(answer)) == (503, {"database", "migrations"})


def test_a_database_that_is_gone_is_named(asked):
    database = Database.open("postgresql+psycopg://nobody@127.0.0.1:1/none", timeout=1)

    answer = asked(database)
    database.close()

    assert (answer.status_code, failed(answer)) == (503, {"database", "migrations"})
    assert "127.0.0.1" not in answer.text


def test_the_process_is_alive_without_a_database(one_app):
    answer = one_app.test_client().get("/health/live")

    assert (answer.status_code, answer.get_json()["status"]) == (200, "pass")
