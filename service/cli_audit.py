"""The operator's look at the audit: ``lab-alerts audit``.

Law: it changes no entry. A chain that cannot be right ends in exit status 1, with the first place that is wrong.
"""

import re
import sys
from datetime import UTC, datetime
from typing import Any

import click

from service.cli_common import audited, migrated, told
from service.domain.audit import Mark
from service.flows import audit as flow
from service.flows.audit import Verified
from service.storage.audit import AuditFilter

_MARK = re.compile(r"([0-9a-f]{64})@([0-9]{1,18})", re.ASCII)


def _mark(_context: click.Context, _option: click.Parameter, given: str | None) -> Mark | None:
    if given is None:
        return None
    found = _MARK.fullmatch(given.strip())
    if found is None:
        raise click.BadParameter("write it as it was printed: HASH@PLACE")
    return Mark(place=int(found[2]), hash=found[1])


def _moment(_context: click.Context, _option: click.Parameter, given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given)
        # A day alone begins at midnight, as the audit counts its time.
        return found.replace(tzinfo=UTC) if len(given) == len("2026-11-20") else _aware(found)
    except (ValueError, OverflowError):
        raise click.BadParameter("write for example 2026-11-20 or 2026-11-20T08:12:00+01:00") from None


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return moment.astimezone(UTC)


@click.group()
def audit() -> None:
    """Who read and wrote what: check it, hand it out."""


@audit.command()
@click.option("--head", "noted", metavar="HASH@PLACE", callback=_mark, help="A head that was noted earlier.")
@told
def verify(noted: Mark | None) -> None:
    """Check the whole chain, and that a head which was noted earlier is in it."""
    found = flow.verify(migrated(), noted=noted)
    click.echo(_said(found))
    if found.broken is not None:
        click.echo(f"Place {found.broken.place}: {found.broken.why}.", err=True)
        sys.exit(1)
    if found.last.place:
        click.echo(f"Head: {found.last.hash}@{found.last.place}\n{_WRITE_DOWN}")


_WRITE_DOWN = "Write it down elsewhere: whoever can write the database could cut the end off and set the head back."


def _said(found: Verified) -> str:
    begins = found.kept_after.place
    kept = f" Older ones were purged: it begins after place {begins:,}." if begins else ""
    if found.first_at is None or found.last_at is None:
        return f"Good entries: 0.{kept}"
    return f"Good entries: {found.entries:,}, from {_text(found.first_at)} to {_text(found.last_at)}.{kept}"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@audit.command("export")
@click.option("--since", metavar="TIME", callback=_moment, help="Only what was done at this time or later.")
@click.option("--until", metavar="TIME", callback=_moment, help="Only what was done before this time.")
@told
def export(since: datetime | None, until: datetime | None) -> None:
    """Print the entries in the order of the chain, one on each line, as JSON."""
    database, wanted = migrated(), AuditFilter(since=since, until=until)
    with audited(database, "cli:audit export", **_period(wanted)) as noted:
        noted.detail["entries"] = 0
        for line in flow.lines(database, wanted):
            sys.stdout.buffer.write(line)
            noted.detail["entries"] += 1
        sys.stdout.buffer.flush()


def _period(wanted: AuditFilter) -> dict[str, Any]:
    both = {"since": wanted.since, "until": wanted.until}
    return {name: _text(moment) for name, moment in both.items() if moment is not None}
