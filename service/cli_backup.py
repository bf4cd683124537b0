"""The operator's copy of an SQLite database: ``lab-alerts backup``.

Law: the service may run; nothing of the database is changed, and no file is written over.
"""

from dataclasses import asdict
from pathlib import Path

import click
import orjson

from service.cli_common import audited, migrated, told
from service.storage.backup import copy_out


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@told
def backup(file: Path, *, as_json: bool) -> None:
    """Copy the SQLite database into FILE while the service runs, and check the copy. FILE must be a new one."""
    database = migrated()
    if database.dialect != "sqlite":
        raise click.UsageError(_OF_POSTGRESQL)
    try:
        with audited(database, "cli:backup"):
            copy = copy_out(database, file)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
    if as_json:
        click.echo(orjson.dumps({"file": str(file), **asdict(copy)}).decode())
        return
    click.echo(
        f"{file}: {copy.bytes:,} bytes, {copy.panels:,} panels, {copy.flags:,} flags, step {copy.step}. Checked."
    )


_OF_POSTGRESQL = (
    "the database is PostgreSQL, which has a program of its own for this: "
    "pg_dump --format=custom --file=FILE postgresql://user@host:port/name (see the README, Backup and restore)"
)
