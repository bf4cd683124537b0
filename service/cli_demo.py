"""The command ``lab-alerts demo``: a synthetic history to look at.

Law: a command is arguments in, one call, lines out.
"""

from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table

from service.catalogue.load import load as load_catalogue
from service.cli_common import audited, migrated, settings_in_effect, told
from service.domain.rules import Severity
from service.flows.demo.load import Line, Loaded, load
from service.flows.means import Means


@click.command()
@click.option(
    "--seed", default=1, show_default=True, type=click.IntRange(0, 999_999), help="Another one, other values."
)
@click.option("--patients", default=12, show_default=True, type=click.IntRange(1, 99), help="Beyond 12, all are well.")
@told
def demo(seed: int, patients: int) -> None:
    """Load a synthetic history of two years, to look at. Nobody in it exists, and nothing takes it out again."""
    settings = settings_in_effect()
    means = Means(database=migrated(), catalogue=load_catalogue(settings.ruleset))
    with audited(means.database, "cli:demo") as noted:
        loaded = load(means, seed=seed, patients=patients, now=datetime.now(UTC))
        noted.detail["panels"] = loaded.new
    _print(loaded)
    click.echo(_LOOK.format(base=settings.public_url or f"http://{settings.bind}"))


_LOOK = """
Look at one of them, with a key that has the scope flags:read:

curl -sS {base}/v1/patients/demo-01/flags -H "Authorization: Bearer $KEY"
"""


def _print(loaded: Loaded) -> None:
    table = Table("patient", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("story", min_width=24)
    table.add_column("panels", justify="right")
    table.add_column("flags", min_width=14)
    table.add_column("taken\nback", justify="right")
    table.add_column("open", min_width=16)
    for line in loaded.lines:
        table.add_row(*_cells(line))
    Console().print(table)
    held = f"; {loaded.known} were held already" if loaded.known else ""
    click.echo(f"\n{loaded.new} panels loaded{held}. The last collection is of {loaded.last.date().isoformat()}.")


def _cells(line: Line) -> tuple[str, ...]:
    held = line.held
    worst_first = [one for one in reversed(Severity) if held.flags.get(one.value)]
    flags = ", ".join(f"{held.flags[one.value]} {one.value}" for one in worst_first)
    taken_back = str(held.taken_back or "")
    return (held.patient, line.title, str(held.panels), flags, taken_back, "\n".join(held.open_findings))
