"""The operator's retention: ``lab-alerts purge``.

Law: nothing is deleted that was not asked for by ``--yes``. What went goes to standard output, its log to standard
error, as counts.
"""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table

from service.cli_common import audited, migrated, settings_in_effect, told
from service.flows import purge as flow
from service.flows.purge import Share

_WORDS = {
    "messages": "messages as they came",
    "answers": "remembered answers",
    "deliveries": "what was sent to whom",
    "audit": "entries of the audit",
}
_FOR_EVER = {
    "messages": "Messages are kept for ever: set LAB_ALERTS_KEEP_INBOX_DAYS, or say --older-than DAYS.",
    "deliveries": "What was sent to whom is kept for ever: set LAB_ALERTS_KEEP_DELIVERIES_DAYS.",
    "audit": "The audit is kept for ever: set LAB_ALERTS_KEEP_AUDIT_DAYS.",
}


@click.command("purge")
@click.option("--dry-run", is_flag=True, help="Say what would go, and delete nothing.")
@click.option("--yes", is_flag=True, help="Delete it.")
@click.option(
    "--older-than",
    "days",
    metavar="DAYS",
    type=click.IntRange(1, 36_500),
    help="Messages older than so many days; LAB_ALERTS_KEEP_INBOX_DAYS if left out.",
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@told
def purge(*, dry_run: bool, yes: bool, days: int | None, as_json: bool) -> None:
    """Delete messages as they came, remembered answers, what was sent to whom, and entries of the audit, each once its
    time is over. All else is always kept.
    """
    if dry_run == yes:
        raise click.UsageError("say --dry-run to see what would go, or --yes to delete it")
    settings = settings_in_effect()
    limits = flow.limits(
        keep_inbox_days=days or settings.keep_inbox_days,
        keep_deliveries_days=settings.keep_deliveries_days,
        keep_audit_days=settings.keep_audit_days,
        now=datetime.now(UTC),
    )
    database = migrated()
    with redirect_stdout(sys.stderr), audited(database, "cli:purge", dry_run=dry_run) as noted:
        shares = (flow.purge if yes else flow.foreseen)(database, limits)
        noted.detail.update({share.kind: share.rows for share in shares})
    _print_json(shares, dry_run=dry_run) if as_json else _print(shares, dry_run=dry_run)


def _print_json(shares: Sequence[Share], *, dry_run: bool) -> None:
    click.echo(orjson.dumps({"dry_run": dry_run} | {share.kind: _as_data(share) for share in shares}).decode())


def _as_data(share: Share) -> dict[str, Any]:
    return {
        "older_than": _moment(share.before),
        "rows": share.rows,
        "bytes": share.bytes,
        "oldest": _moment(share.oldest),
        "newest": _moment(share.newest),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _day(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).date().isoformat()


def _print(shares: Sequence[Share], *, dry_run: bool) -> None:
    table = Table("would go" if dry_run else "went", "older than", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("rows", "bytes", "oldest", "newest"):
        table.add_column(name, justify="right")
    for share in shares:
        numbers = f"{share.rows:,}", f"{share.bytes:,}"
        table.add_row(_WORDS[share.kind], _day(share.before), *numbers, _day(share.oldest), _day(share.newest))
    Console().print(table)
    for share in shares:
        if share.before is None:
            click.echo(_FOR_EVER[share.kind])
