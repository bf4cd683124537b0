"""The one engine, and the two ways to use it: ``reading()`` and ``transaction()``.

Law: a transaction commits as a whole when its block ends, and not at all when the block raises. What the database
cannot do now becomes ``Unavailable``; texts of the database, which can repeat a row, stay here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import StaticPool

from service.domain.errors import Unavailable

_WRITES = "lab_alerts_writes"


class Database:
    """A database that is known by its address. Nothing is connected before it is used."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, address: str, *, pool_size: int = 5, timeout: int = 10) -> "Database":
        """The database at an SQLAlchemy address. ``timeout`` (seconds) bounds every wait for it."""
        url = make_url(address)
        engine = (
            _sqlite(url, pool_size, timeout) if url.get_backend_name() == "sqlite" else _server(url, pool_size, timeout)
        )
        return cls(engine)

    @property
    def dialect(self) -> str:
        return self.engine.dialect.name

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection whose statements are all kept when the block ends, and none of them if it raises."""
        with _translated(), self.engine.connect() as connection:
            connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database throughout the block and writes nothing."""
        with _translated(), self.engine.connect() as connection:
            if self.dialect == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    def check(self) -> None:
        """Raise ``Unavailable`` unless the database answers."""
        with self.reading() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeout:
        raise Unavailable("every database connection is in use") from None
    except DBAPIError as error:
        why = _reason(error)
        if why is None:
            raise
        raise Unavailable(why) from error


# PostgreSQL's SQLSTATE for a table and a column that are not there.
_UNDEFINED = frozenset({"42P01", "42703"})


def _reason(error: DBAPIError) -> str | None:
    """Why it cannot be done now; None where the statement itself is at fault, now and later."""
    said = str(error.orig).lower()
    if getattr(error.orig, "sqlstate", None) in _UNDEFINED or "no such table" in said or "no such column" in said:
        return "the database is not at the step that this program needs"
    if type(error) is DatabaseError:
        return "what is there is not a database"
    if not isinstance(error, OperationalError | InterfaceError) or _names(error, "SQLITE_ERROR"):
        return None
    if "full" in said or "no space" in said:
        return "the database has no room left"
    if any(word in said for word in ("locked", "lock timeout", "deadlock")):
        return "the database is busy"
    return "the database cannot be reached"


def _names(error: DBAPIError, name: str) -> bool:
    return getattr(error.orig, "sqlite_errorname", None) == name


def _server(url: URL, pool_size: int, timeout: int) -> Engine:
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=timeout,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "connect_timeout": timeout,
            "application_name": "lab-alerts",
            "options": f"-c lock_timeout={timeout}s -c timezone=UTC",
        },
    )


def _sqlite(url: URL, pool_size: int, timeout: int) -> Engine:
    options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": timeout}
    if url.database in (None, "", ":memory:"):
        options = {"poolclass": StaticPool}
    else:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    connect = {"timeout": timeout, "check_same_thread": False}
    engine = create_engine(url, hide_parameters=True, connect_args=connect, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions when it thinks fit; _begin_sqlite does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait for each other
    cursor.execute("PRAGMA synchronous = FULL")  # what was answered survives a power cut, not only a crash
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: two that read first and then both want to write could not both go on.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
