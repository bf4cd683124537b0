"""Files in and out of the service: ``lab-alerts import`` and ``lab-alerts export``.

Law: what is asked for goes to standard output, how it goes on to standard error; the exit status is 0 only if all of it
was taken.
"""

import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from service.catalogue.load import load
from service.cli_common import audited, migrated, settings_in_effect, told
from service.domain.verdicts import Outcome
from service.flows import export as export_flow
from service.flows import importing
from service.flows.importing import Import, Order
from service.flows.means import Means
from service.storage import import_files

_ENDINGS = {".csv": importing.CSV, ".ndjson": importing.NDJSON, ".jsonl": importing.NDJSON}
_HEAD = 65_536
_PLAIN_EVERY = 5.0  # seconds between two lines where there is no terminal


def _files_told(command: Callable[..., Any]) -> Callable[..., Any]:
    """Say in words which file could not be read or written."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except BrokenPipeError:  # whoever reads has had enough; click ends quietly
            raise
        except OSError as error:
            raise click.FileError(str(error.filename or "a file"), hint=error.strerror) from None

    return run


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--source", required=True, help="Name of the system that the file comes from, as its API key names it.")
@click.option("--format", "form", type=click.Choice(importing.FORMATS), help="By the ending of FILE if left out.")
@click.option("--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Where refused lines go.")
@click.option("--dry-run", is_flag=True, help="Judge each panel with what is held, and keep nothing.")
@click.option("--strict", is_flag=True, help="Refuse panels with a fault that can be mended, like an unknown unit.")
@click.option("--quiet", is_flag=True, help="It is history: nobody is told of what it brings about.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@told
@_files_told
def import_(
    file: Path,
    *,
    source: str,
    form: str | None,
    rejects: Path | None,
    dry_run: bool,
    strict: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Take in a file of panels (CSV or NDJSON; - is standard input). Started again after a break, it goes on there."""
    form = form or _ENDINGS.get(file.suffix.lower())
    if form is None:
        raise click.UsageError("the ending of the file does not say what it is: add --format csv or --format ndjson")
    if rejects is not None and rejects.absolute() == file.absolute():
        raise click.UsageError("--rejects names the file itself")
    order = _order(file, form=form, source=source, rejects=rejects, dry_run=dry_run, strict=strict)
    order = replace(order, quiet=quiet)
    note, began = _note(order), time.monotonic()
    with _means() as means, audited(means.database, "cli:import", source=source, dry_run=dry_run) as noted:
        running = Import(order, means, note=note)
        try:
            _run(running, file)
        finally:
            noted.detail.update(running.accounts.outcomes)
    _print(_summary(running, seconds=time.monotonic() - began), as_json=as_json)
    _leave(running, file)


def _order(file: Path, *, form: str, source: str, rejects: Path | None, dry_run: bool, strict: bool) -> Order:
    options: dict[str, Any] = {"format": form, "source": source, "strict": strict}
    if str(file) == "-":
        return Order(**options, dry_run=dry_run, rejects=rejects)
    return Order(
        **options,
        dry_run=dry_run,
        of={**options, **_identity(file)},
        note=None if dry_run else file.with_name(f"{file.name}.import.json"),
        # A dry run leaves alone what an import that broke off has put there.
        rejects=rejects if rejects or dry_run else file.with_name(f"{file.stem}.rejects.{form}"),
    )


def _identity(file: Path) -> dict[str, Any]:
    """What tells a file from another one: its size, and a digest of its beginning."""
    with file.open("rb") as stream:
        head = hashlib.sha256(stream.read(_HEAD)).hexdigest()
    return {"size": file.stat().st_size, "head_sha256": head}


def _note(order: Order) -> Mapping[str, Any] | None:
    """The note of an import that broke off, if it was this one."""
    note = import_files.read_note(order.note) if order.note else None
    if note is None:
        return None
    if note.get("of") != dict(order.of):
        raise click.ClickException(
            f"{order.note} is of an import with another file, source, format or --strict: "
            "finish that one, or delete the note to begin again"
        )
    kept = order.rejects.stat().st_size if order.rejects and order.rejects.exists() else 0
    if kept < note["rejects_bytes"]:
        raise click.ClickException(
            f"{order.rejects} is not as the import left it: put it back, or delete {order.note} to begin again"
        )
    click.echo(f"Going on after line {note['line']}.", err=True)
    return note


@contextmanager
def _means() -> Iterator[Means]:
    settings = settings_in_effect()
    with closing(migrated()) as database:
        yield Means(database=database, catalogue=load(settings.ruleset), keep_names=settings.keep_names)


def _run(running: Import, file: Path) -> None:
    with _opened(file) as (stream, size), _progress(stream, size) as step:
        for _ in running.run(stream, clock=lambda: datetime.now(UTC)):
            step(running.line)


@contextmanager
def _opened(file: Path) -> Iterator[tuple[BinaryIO, int | None]]:
    if str(file) == "-":
        yield sys.stdin.buffer, None
        return
    with file.open("rb") as stream:
        yield stream, file.stat().st_size


@contextmanager
def _progress(stream: BinaryIO, size: int | None) -> Iterator[Callable[[int], None]]:
    """Something to call after every panel with the line reached: a bar on a terminal, a line now and then elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain()
        return
    columns = (TextColumn("line {task.fields[line]}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=size, line=0)
        yield lambda line: progress.update(task, completed=stream.tell() if size else 0, line=line)


def _plain() -> Callable[[int], None]:
    said = time.monotonic()

    def step(line: int) -> None:
        nonlocal said
        if time.monotonic() - said >= _PLAIN_EVERY:
            said = time.monotonic()
            click.echo(f"Line {line}", err=True)

    return step


def _summary(running: Import, *, seconds: float) -> dict[str, Any]:
    accounts = running.accounts
    counts = {"received": accounts.outcomes.total()} | {one.value: accounts.outcomes[one.value] for one in Outcome}
    return {
        "counts": counts,
        "not_judged": dict(accounts.not_judged.most_common()),
        "rejected": dict(accounts.rejected.most_common()),
        "duplicates": accounts.duplicates,
        "seconds": round(seconds, 1),
        "dry_run": running.order.dry_run,
        "complete": running.halted is None,
    }


def _print(summary: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(summary).decode())
        return
    table = Table("", "", show_header=False)
    table.columns[1].justify = "right"
    for name, count in summary["counts"].items():
        table.add_row(name.replace("_", " "), str(count))
        for reason, of_these in summary.get(name, {}).items():
            table.add_row(f"  {reason}", str(of_these))
    table.add_row("duplicates (among these)", str(summary["duplicates"]))
    table.add_row("seconds", str(summary["seconds"]))
    Console().print(table)


def _leave(running: Import, file: Path) -> None:
    """End the command: with what is left to do, where something is."""
    rejected = running.accounts.outcomes[Outcome.REJECTED.value]
    if rejected and running.order.rejects:
        click.echo(f"Refused lines are in {running.order.rejects}: mend them there and import that file.", err=True)
    if running.halted is not None:
        goes_on = "run the same command to go on there" if running.order.note else "send the rest again"
        click.echo(f"Halted after line {running.line} of {file}: {running.halted.why}; {goes_on}.", err=True)
    if rejected or running.halted is not None:
        sys.exit(1)


@click.command()
@click.argument("kind", type=click.Choice(export_flow.KINDS))
@click.option("--format", "form", type=click.Choice(tuple(export_flow.FORMATS)), required=True)
@click.option("--output", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), default="-")
@click.option("--patient", help="The identifier of one patient; all if left out.")
@click.option("--authority", help="Who gave out the identifier, where several have.")
@told
@_files_told
def export(kind: str, *, form: str, output: Path, patient: str | None, authority: str | None) -> None:
    """Print every version of what is kept: flags, results or episodes."""
    if authority is not None and patient is None:
        raise click.UsageError("--authority needs --patient")
    with (
        closing(migrated()) as database,
        audited(database, "cli:export", kind=kind, format=form) as noted,
        _destination(output) as stream,
    ):
        found = export_flow.lines(database, kind, form, identifier=patient, authority=authority, met=noted.about)
        for line in found:
            stream.write(line)
        stream.flush()


@contextmanager
def _destination(output: Path) -> Iterator[BinaryIO]:
    """Standard output, or a file: whoever finds the file finds all of it."""
    if str(output) == "-":
        yield sys.stdout.buffer
        return
    part = output.with_name(f"{output.name}.part")
    with part.open("wb") as stream:
        yield stream
    part.replace(output)
