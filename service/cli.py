"""The shell for operators: ``lab-alerts``.

Law: a command is arguments in, one call, lines out. What went wrong is said in one line and in the exit status.
"""

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import NoReturn
from urllib.request import ProxyHandler, build_opener

import click

from service import __version__
from service.catalogue.load import load
from service.cli_audit import audit
from service.cli_backup import backup
from service.cli_bulk import export, import_
from service.cli_common import audited, database_of, environment, migrated, print_rows, settings_in_effect, told
from service.cli_demo import demo
from service.cli_dispatch import dispatch
from service.cli_erase import erase
from service.cli_listen import listen
from service.cli_mllp import mllp
from service.cli_purge import purge
from service.cli_replay import replay
from service.cli_selftest import command as selftest
from service.cli_sources import sources
from service.cli_subscriptions import subscriptions
from service.cli_users import users
from service.config import Settings
from service.flows import keys as key_flow
from service.storage import schema
from service.storage.database import Database
from service.storage.keys import SCOPES, ApiKey

QUICKSTART = "quickstart"
_QUICKSTART_SCOPES = ("panels:write", "flags:read", "rules:read", "episodes:write", "subscriptions:write")


@click.group(help="Flags possible blood findings in laboratory panels, and says why.")
@click.version_option(__version__, prog_name="lab-alerts")
def main() -> None:
    """The command line."""


@main.command()
@click.option("--quickstart", is_flag=True, help="Make a key for trying out, and print a request to paste.")
@told
def serve(quickstart: bool) -> None:
    """Bring the database up to date and serve with gunicorn."""
    settings = settings_in_effect()
    load(settings.ruleset)
    database = database_of(settings)
    if settings.migrate_on_start:
        schema.upgrade(database)
    if quickstart:
        _print_quickstart(settings, database)
    database.close()
    _exec_gunicorn(_TRIAL if quickstart and settings.bind.startswith(_THIS_MACHINE) else {})


_THIS_MACHINE = ("127.", "localhost:", "[::1]:")
# A trial that only this machine reaches may send to this machine, in the open.
_TRIAL = {"LAB_ALERTS_WEBHOOK_HTTP": "true", "LAB_ALERTS_WEBHOOK_NETWORKS": "127.0.0.0/8,::1/128"}


def _exec_gunicorn(more: Mapping[str, str]) -> NoReturn:
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "python:service.gunicorn_conf"]
    # Nothing of this comes from outside: the arguments are fixed, and the program is this interpreter.
    os.execve(sys.executable, gunicorn, environment(more))  # noqa: S606  a fixed command


def _print_quickstart(settings: Settings, database: Database) -> None:
    with audited(database, "cli:serve", key=QUICKSTART, scopes=" ".join(_QUICKSTART_SCOPES)):
        secret = key_flow.add(
            database, name=QUICKSTART, scopes=_QUICKSTART_SCOPES, now=datetime.now(UTC), days=30, replace=True
        )
    base = _reached(settings.bind)
    click.echo(_QUICKSTART_TEXT.format(base=base, secret=secret))


def _reached(bind: str) -> str:
    """The address under which this machine reaches what listens on ``bind``."""
    host, _, port = bind.rpartition(":")
    every = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  addresses to compare with, not to listen on
    return f"http://{every.get(host, host)}:{port}"


_QUICKSTART_TEXT = """
lab-alerts  {base}          what it can do: {base}/docs
API key     {secret}
            (made anew at every start like this one; it expires after 30 days)
examples    lab-alerts demo, in another terminal, loads a synthetic history to look at
alerts      lab-alerts listen, in another terminal, shows each alert as it is sent
pages       lab-alerts users add ME --name ME --role clinician makes an account to sign in with

Send a panel:

curl -sS {base}/v1/panels \\
  -H 'Authorization: Bearer {secret}' \\
  -H 'Content-Type: application/json' \\
  -d '{{"patient": {{"id": "88204113", "authority": "hospital-a", "sex": "female", "birth_date": "1968-03-14"}},
       "accession": "A-2026-000123", "collected_at": "2026-11-20T08:12:00+01:00",
       "results": [{{"analyte": "calcium", "value": "11.9", "unit": "mg/dL",
                    "reference_range": {{"low": "8.6", "high": "10.3"}}}}]}}'

Read the flag history:

curl -sS {base}/v1/patients/88204113/flags -H 'Authorization: Bearer {secret}'
"""


@main.command()
@click.option("--to", default="head", show_default=True, help="The step to go to, for example 0001 or base.")
@click.option("--down", is_flag=True, help="Go back to the step. What the later steps keep is lost.")
@told
def migrate(to: str, down: bool) -> None:
    """Bring the database schema to a step."""
    database = database_of(settings_in_effect())
    if down and to == "head":
        raise click.UsageError("--down needs --to")
    (schema.downgrade if down else schema.upgrade)(database, to)
    click.echo(f"The database is at {schema.present(database) or 'base'}; this program knows {schema.newest()}.")


@main.command()
@click.option("--show", is_flag=True, help="Print every setting in effect; secrets are hidden.")
@told
def check(show: bool) -> None:
    """Check the settings and the catalogue of analytes, rule sets and notes."""
    settings = settings_in_effect()
    catalogue = load(settings.ruleset)
    if show:
        _print_settings(settings)
    book = catalogue.rulebook
    click.echo(f"Settings: valid. Analytes: {len(book.analytes.all)}. Notes: {len(catalogue.notes)}.")
    for ruleset in book.rulesets.values():
        rows = sum(len(rule.rows) for rule in ruleset.graded)
        mark = " (current)" if ruleset.version == book.current else ""
        click.echo(
            f"Rule set {ruleset.version}{mark}: {len(ruleset.graded)} rules, {rows} rows, "
            f"{len(ruleset.examples)} examples hold, checksum {ruleset.checksum[:12]}."
        )


def _print_settings(settings: Settings) -> None:
    for row in Settings.table():
        value = getattr(settings, row.name.removeprefix("LAB_ALERTS_").lower())
        click.echo(f"{row.name}={'(hidden)' if row.secret else '' if value is None else value}")


@main.command()
def healthcheck() -> None:
    """Ask the service on this machine whether it is ready; for the container's HEALTHCHECK."""
    address = f"{_reached(settings_in_effect().bind)}/health/ready"
    try:
        # Whatever proxy the environment names for others, this machine is asked directly.
        with build_opener(ProxyHandler({})).open(address, timeout=4) as answer:
            ready = answer.status == HTTPStatus.OK
    except OSError:  # refused, timed out, or an answer that says no
        ready = False
    sys.exit(0 if ready else 1)


@main.group()
def keys() -> None:
    """API keys: give out, list, revoke."""


@keys.command("add")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="May be repeated.")
@click.option("--source", help="Name of the system that sends with it; the key's name if left out.")
@click.option("--days", type=click.IntRange(1, 3650), help="Expires after so many days; never if left out.")
@click.option("--replace", is_flag=True, help="Revoke the active key of this name first.")
@told
def add_key(name: str, *, scopes: tuple[str, ...], source: str | None, days: int | None, replace: bool) -> None:
    """Make a key. It is printed once and cannot be shown again."""
    database = migrated()
    with audited(database, "cli:keys add", key=name, scopes=" ".join(scopes), source=source or name):
        secret = key_flow.add(
            database,
            name=name,
            scopes=scopes,
            source=source,
            days=days,
            replace=replace,
            now=datetime.now(UTC),
        )
    click.echo(secret)


@keys.command("list")
@told
def list_keys() -> None:
    """List every key ever made, without the keys themselves."""
    now = datetime.now(UTC)
    rows = [
        (key.name, key.source, " ".join(key.scopes), _day(key.created_at), _day(key.expires_at), _state(key, now))
        for key in key_flow.listed(migrated())
    ]
    print_rows(("name", "source", "scopes", "made", "expires", "state"), rows)


def _day(moment: datetime | None) -> str:
    return "never" if moment is None else moment.date().isoformat()


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {_day(key.revoked_at)}"
    return "active" if key.usable(now) else "expired"


@keys.command("revoke")
@click.argument("name")
@told
def revoke_key(name: str) -> None:
    """Revoke the active key of a name, at once."""
    database = migrated()
    with audited(database, "cli:keys revoke", key=name):
        key_flow.revoke(database, name, datetime.now(UTC))
    click.echo(f"Revoked: {name}")


main.add_command(import_)
main.add_command(export)
main.add_command(demo)
main.add_command(replay)
main.add_command(purge)
main.add_command(erase)
main.add_command(audit)
main.add_command(backup)
main.add_command(selftest)
main.add_command(sources)
main.add_command(mllp)
main.add_command(dispatch)
main.add_command(users)
main.add_command(listen)
main.add_command(subscriptions)
