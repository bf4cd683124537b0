"""What every command of ``lab-alerts`` stands on: the settings, the database, and errors in words.

Law: only here does the command line read the environment, and no error leaves it with a traceback.
"""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from service import logs
from service.config import Settings, SettingsError
from service.domain.errors import Ambiguous, BadInput, LabAlertsError
from service.storage import schema
from service.storage.database import Database


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


def fault_line(fault: Any) -> str:
    """A fault in one line, without its place where it is about the whole."""
    place = f"{fault.pointer}: " if fault.pointer else ""
    return f"{place}{fault.detail}" + (f" ({fault.hint})" if fault.hint else "")


def settings_in_effect() -> Settings:
    """The settings of this process. Raises ``SettingsError``."""
    settings = Settings.from_environ(os.environ)
    logs.configure(settings)
    return settings


def database_of(settings: Settings) -> Database:
    """The database that the settings name, with one connection; it is closed when the command ends."""
    database = Database.open(settings.database_url, pool_size=1, timeout=settings.database_timeout_seconds)
    click.get_current_context().call_on_close(database.close)
    return database


def migrated() -> Database:
    """The database, where it has its tables."""
    database = database_of(settings_in_effect())
    if schema.present(database) is None:
        raise click.ClickException("the database has no tables yet: run lab-alerts migrate first")
    return database
