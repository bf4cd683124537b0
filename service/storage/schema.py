"""The shape of the database, and the steps to it.

Law: a database is only used in the shape that this program was written for; it is brought there by the steps in
``migrations/``, by one process at a time.
"""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from service.domain.errors import Unavailable
from service.storage import tables_acts, tables_audit, tables_cds, tables_delivery, tables_people, tables_watch
from service.storage.database import Database

# Every module adds its tables to the same metadata; naming them here leaves none out.
_PLACES = (tables_acts, tables_audit, tables_cds, tables_delivery, tables_people, tables_watch)
(metadata,) = {place.metadata for place in _PLACES}

# Any number will do, as long as nothing else in the same database takes it; this one spells "lab" and "alrt".
_ADVISORY_LOCK = 0x6C6162616C7274


def upgrade(database: Database, to: str = "head") -> None:
    """Bring the database up to a step; to the newest one by default."""
    _run(database, lambda config: command.upgrade(config, to))


def downgrade(database: Database, to: str) -> None:
    """Take the database back to a step; ``base`` is the empty database."""
    _run(database, lambda config: command.downgrade(config, to))


def newest() -> str | None:
    """The newest step that this program knows."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def present(database: Database) -> str | None:
    """The step at which the database is; None before the first one."""
    with database.reading() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def differences(database: Database) -> list[Any]:
    """What tells the database from the tables as the code has them."""
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _run(database: Database, step: Callable[[Config], None]) -> None:
    with database.transaction() as connection:
        if database.dialect == "postgresql":
            # A step may take longer than a request may.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            # Several processes that start together take turns; those that come later find nothing left to do.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        try:
            step(_config(connection))
        except CommandError:
            raise Unavailable(
                "the database is at a step, or is to go to one, that this program does not know"
            ) from None
