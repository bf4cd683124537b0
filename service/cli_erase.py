"""The operator's erasing of one patient: ``lab-alerts erase``.

Law: nothing is deleted that was not asked for by ``--yes``; who was told of the patient is said before and after.
"""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

import click
import orjson

from service.cli_common import audited, migrated, told
from service.flows import erase as flow
from service.flows.erase import Erasure


@click.command("erase")
@click.option("--patient", required=True, help="The identifier of the patient.")
@click.option("--authority", help="Who gave out the identifier, where several have.")
@click.option("--dry-run", is_flag=True, help="Say what would go and who was told, and delete nothing.")
@click.option("--yes", is_flag=True, help="Delete it.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@told
def erase(*, patient: str, authority: str | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Erase one patient: results, flags, everything that was done about them, and the messages that brought them."""
    if dry_run == yes:
        raise click.UsageError("say --dry-run to see what would go, or --yes to delete it")
    database = migrated()
    if yes:
        found = flow.erase(database, patient, authority, now=datetime.now(UTC))
    else:
        with audited(database, "cli:erase", dry_run=True) as noted:
            found = flow.foreseen(database, patient, authority)
            noted.about(found.patient)
    if as_json:
        click.echo(orjson.dumps({"dry_run": dry_run, **asdict(found)}).decode())
        return
    for line in _lines(found, "would go" if dry_run else "went"):
        click.echo(line)


def _lines(found: Erasure, word: str) -> Iterator[str]:
    yield f"{found.patient}: {word}"
    for table, rows in found.rows.items():
        if rows:
            yield f"{rows:>10,}  {_WORDS.get(table, table.replace('_', ' '))}"
    yield from _who_knows(found)
    if found.namesakes:
        yield f"The same identifier was given out by {', '.join(found.namesakes)}: that is another patient here."


_WORDS = {
    "inbox": "messages that brought it, whole",
    flow.OTHERS: "other messages in which the identifier stands, whole",
    flow.ANSWERS: "remembered answers",
}


def _who_knows(found: Erasure) -> Iterator[str]:
    """Whoever was told must be told of the erasure (GDPR, Article 19)."""
    if not found.told and not found.shown:
        yield "Nobody was told of this patient's flags, as far as is kept."
        return
    yield "Who was told of this patient's flags, and is to be told that they were erased (GDPR, Article 19):"
    for one in found.told:
        unsure = f", {one.unsure} of which it is not known whether they arrived" if one.unsure else ""
        yield f"{one.sent:>10,}  {one.name} ({one.channel}){unsure}"
    for client, cards in found.shown.items():
        yield f"{cards:>10,}  cards shown to {client or 'anybody'} (CDS Hooks)"
