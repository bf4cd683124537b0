"""What every command of ``lab-alerts`` stands on: the settings, the database, and errors in words.

Law: only here does the command line read the environment, and no error leaves it with a traceback.
"""

import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service import logs
from service.config import Settings, SettingsError
from service.domain.actors import OPERATOR
from service.domain.audit import Entry
from service.domain.errors import Ambiguous, BadInput, LabAlertsError, Unavailable
from service.flows.audit import record
from service.storage import schema
from service.storage.database import Database, is_there


def told(command: Callable[..., Any]) -> Callable[..., Any]:
    """Say what went wrong in words, without a traceback."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except BadInput as error:
            raise click.ClickException("; ".join(fault_line(fault) for fault in error.faults)) from None
        except Ambiguous as error:
            raise click.ClickException(f"{error}: {', '.join(error.choices)}") from None
        except (LabAlertsError, SettingsError) as error:
            raise click.ClickException(str(error)) from None

    return run


class Noted:
    """What is to be noted in the audit of a command: whose patient it is about, and counts and words of ours."""

    def __init__(self, detail: dict[str, Any]) -> None:
        self.subject: str | None = None
        self.detail = detail

    def about(self, patient: str) -> None:
        """The command is about one patient, by our own name for them."""
        self.subject = patient


@contextmanager
def audited(database: Database, action: str, **detail: Any) -> Iterator[Noted]:
    """Write down that an operator has done something, when it has ended, also when it has failed.

    A command whose deed cannot be written down says so, and has done it all the same.
    """
    noted, outcome = Noted(dict(detail)), "failed"
    try:
        yield noted
        outcome = "done"
    finally:
        entry = Entry(
            at=datetime.now(UTC),
            kind=OPERATOR.kind.value,
            actor=OPERATOR.id,
            action=action,
            subject=noted.subject,
            outcome=outcome,
            detail=noted.detail,
        )
        try:
            record(database, [entry])
        except Unavailable as error:
            click.echo(f"Not written to the audit: {error.why}.", err=True)


def fault_line(fault: Any) -> str:
    """A fault in one line, without its place where it is about the whole."""
    place = f"{fault.pointer}: " if fault.pointer else ""
    return f"{place}{fault.detail}" + (f" ({fault.hint})" if fault.hint else "")


def settings_in_effect() -> Settings:
    """The settings of this process. Raises ``SettingsError``."""
    settings = Settings.from_environ(os.environ)
    logs.configure(settings)
    return settings


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process, and what it does not say itself."""
    return {**more, **os.environ}


def database_of(settings: Settings) -> Database:
    """The database that the settings name, with one connection; it is closed when the command ends."""
    database = Database.open(settings.database_url, pool_size=1, timeout=settings.database_timeout_seconds)
    click.get_current_context().call_on_close(database.close)
    return database


def migrated() -> Database:
    """The database, where it has its tables. One that is not there is not made: its address may be mistyped."""
    settings = settings_in_effect()
    if not is_there(settings.database_url):
        raise click.ClickException(
            "there is no file at LAB_ALERTS_DATABASE_URL: correct it, or run lab-alerts migrate first"
        )
    database = database_of(settings)
    if schema.present(database) is None:
        raise click.ClickException("the database has no tables yet: run lab-alerts migrate first")
    return database


def print_rows(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of data: as a table on a terminal, and with tabs between the cells, in full, to whatever reads them.

    What others wrote stands in them: nothing of it is taken for a command of the terminal.
    """
    cells = [[_harmless(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in (heads, *cells):
            click.echo("\t".join(row))
        return
    table = Table(*heads)
    for row in cells:
        table.add_row(*map(Text, row))
    Console().print(table)


def _harmless(cell: str) -> str:
    return "".join(" " if unicodedata.category(sign) == "Cc" else sign for sign in cell)
