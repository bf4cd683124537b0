"""The one engine, and the two ways to use it: ``reading()`` and ``transaction()``.

Law: a transaction commits as a whole when its block ends, and not at all when the block raises. What the database
cannot do now becomes ``Unavailable``; texts of the database, which can repeat a row, stay here.
"""

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DatabaseError, DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import StaticPool

from service.domain.errors import Unavailable

_WRITES = "lab_alerts_writes"
# A statement waits for locks for one timeout; with its own work it may take so many of them.
_SLOWEST = 3


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
        code = _code(error)
        raise Unavailable(why, locked=code in _LOCKED, lost=code in _LOST) from error


# What each database calls it: PostgreSQL by SQLSTATE, SQLite by the name of its error.
_WRONG_STEP = frozenset({"42P01", "42703"})  # undefined table, undefined column
_NO_ROOM = frozenset({"53100", "SQLITE_FULL"})
_BUSY = frozenset({"40001", "40P01", "55P03", "57014", "SQLITE_BUSY", "SQLITE_LOCKED"})
_LOCKED = frozenset({"40001", "40P01", "55P03"})  # of PostgreSQL, where a row is locked and not everything
_LOST = frozenset({"40001", "40P01"})  # of PostgreSQL: a deadlock was found, and this transaction was ended
_READ_ONLY = frozenset({"25006", "SQLITE_READONLY"})


def _reason(error: DBAPIError) -> str | None:
    """Why it cannot be done now; None where the statement itself is at fault, now and later."""
    code, said = _code(error), str(error.orig).lower()
    if code in _WRONG_STEP or "no such table" in said or "no such column" in said:
        return "the database is not at the step that this program needs"
    if type(error) is DatabaseError:
        return "what is there is not a database"
    for codes, why in _WHY:
        if code in codes:
            return why
    # Of class 54 are limits of the server, like too long a value in an index: sending it again does not help.
    own_fault = code == "SQLITE_ERROR" or code.startswith("54")
    if own_fault or not isinstance(error, OperationalError | InterfaceError):
        return None
    return "the database cannot be reached"


_WHY = (
    (_NO_ROOM, "the database has no room left"),
    (_BUSY, "the database is busy"),
    (_READ_ONLY, "the database cannot be written"),
)


def _code(error: DBAPIError) -> str:
    """The database's own name for an error; SQLite's extended names begin with the plain ones."""
    name = str(getattr(error.orig, "sqlite_errorname", None) or "")
    plain = next(
        (one for one in (*_NO_ROOM, *_BUSY, *_READ_ONLY) if one.startswith("SQLITE") and name.startswith(one)), name
    )
    return str(getattr(error.orig, "sqlstate", None) or plain)


def _server(url: URL, pool_size: int, timeout: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=timeout,
        hide_parameters=True,
        connect_args={
            "connect_timeout": timeout,
            "application_name": "lab-alerts",
            "options": f"-c lock_timeout={timeout}s -c statement_timeout={_SLOWEST * timeout}s -c timezone=UTC",
            # A server that is gone without a word is noticed, too.
            "keepalives_idle": timeout,
            "tcp_user_timeout": timeout * 1000,
        },
    )
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _check_if_idle)
    return engine


_IDLE = 0.1  # seconds after which a connection is asked whether it still is one


def _note_use(_connection: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _check_if_idle(connection: Any, record: Any, _proxy: object) -> None:
    """Asking before every use would be a round trip more for every transaction; one that just worked still does.

    Raising ``DisconnectionError`` makes the pool open another one.
    """
    if time.monotonic() - record.info.get("used", math.inf) < _IDLE:  # a new one counts as just used
        return
    try:
        connection.execute("")
        connection.rollback()
    except psycopg.Error:
        raise DisconnectionError from None


def _sqlite(url: URL, pool_size: int, timeout: int) -> Engine:
    options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": timeout}
    if url.database in (None, "", ":memory:"):
        options = {"poolclass": StaticPool}
    else:
        _make_folder(Path(str(url.database)).parent)
    connect = {"timeout": timeout, "check_same_thread": False}
    engine = create_engine(url, hide_parameters=True, connect_args=connect, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def is_there(address: str) -> bool:
    """Is there a file at an SQLite address? Of a server nothing is known before it is asked."""
    url = make_url(address)
    name = str(url.database or "")
    return url.get_backend_name() != "sqlite" or name.startswith(("file:", ":memory:")) or Path(name).is_file()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable("the folder of the database cannot be made") from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions when it thinks fit; _begin_sqlite does it instead.
    connection.isolation_level = None
    try:
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")  # what was answered survives a power cut, not only a crash
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        connection.close()
        raise


def _use_wal(connection: Any) -> None:
    """Let readers and the writer not wait for each other.

    A new file is turned to it once, and SQLite does not wait then for another process that is doing the same.
    """
    for pause in _PAUSES:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY"):
                raise
            time.sleep(pause)
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")


_PAUSES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64)  # seconds


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: two that read first and then both want to write could not both go on.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
