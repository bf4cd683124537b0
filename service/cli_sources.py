"""The operator's and the integrator's view of the sources: ``lab-alerts sources``.

Law: what ``show`` prints can be changed and given back to ``set``. Codes and units are printed, and nothing of anybody.
"""

from datetime import UTC, datetime
from pathlib import Path

import click
import orjson

from service.catalogue.load import load
from service.cli_common import migrated, print_rows, settings_in_effect, told
from service.flows import source_maps, unmapped
from service.flows.means import Means
from service.flows.unmapped import Lacking
from service.formats import source_map
from service.storage.source_maps import as_data

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _means() -> Means:
    settings = settings_in_effect()
    return Means(database=migrated(), catalogue=load(settings.ruleset), keep_names=settings.keep_names)


@click.group("sources")
def sources() -> None:
    """Sources: what their codes and units are in the catalogue, and what is not mapped."""


@sources.command("list")
@told
def list_() -> None:
    """List every source that has sent a panel, has a key or has a map."""
    rows = [
        (one.name, _moment(one.last_seen_at), f"{one.panels:,}", f"version {one.version}" if one.version else "none")
        for one in source_maps.listed(_means(), now=datetime.now(UTC))
    ]
    print_rows(("source", "last seen", "panels of a day", "map"), rows)


def _moment(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}Z"


@sources.command("show")
@click.argument("name")
@click.option("--version", type=click.IntRange(0), help="This version; the newest if left out.")
@told
def show(name: str, *, version: int | None) -> None:
    """Print the map of a source as JSON."""
    kept = source_maps.shown(name, _means(), version=version)
    click.echo(orjson.dumps(as_data(kept.map), option=orjson.OPT_INDENT_2).decode())


@sources.command("set")
@click.argument("name")
@click.argument("file", type=_FILE)
@told
def set_(name: str, file: Path) -> None:
    """Set the map of a source, as a whole, from a file of JSON."""
    wanted = source_map.read(file.read_bytes(), name=name)
    done = source_maps.set_map(wanted, _means(), now=datetime.now(UTC))
    said = "set" if done.new else "says the same already"
    click.echo(f"Map of {name}: version {done.kept.map.version}, {said}.")


@sources.command("unmapped")
@click.argument("name")
@click.option("--days", default=unmapped.DAYS, show_default=True, type=click.IntRange(1, unmapped.MOST_DAYS))
@told
def unmapped_(name: str, *, days: int) -> None:
    """List the codes, names and units that neither the catalogue nor the map knows, the most frequent first."""
    found = unmapped.lack(name, _means(), now=datetime.now(UTC), days=days)
    rows = [(*_named(one), _units(one), f"{one.count:,}", _moment(one.last_seen_at), one.panel) for one in found.items]
    print_rows(("system", "code", "analyte", "units", "results", "last seen", "example"), rows)
    left = f" {found.more} more are not listed." if found.more else ""
    click.echo(f"Looked through {found.window.panels:,} panels.{left}")


def _named(one: Lacking) -> tuple[str, str, str]:
    return one.system or "", one.code or "", one.analyte or ""


def _units(one: Lacking) -> str:
    return ", ".join(one.units)
