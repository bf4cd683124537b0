"""The operator's look at who is told: ``lab-alerts subscriptions``.

Law: a subscription is named by its name. No secret is printed, and no query of an endpoint.
"""

from datetime import UTC, datetime

import click

from service.catalogue.load import load
from service.cli_common import audited, migrated, print_rows, settings_in_effect, told
from service.domain.subscriptions import Subscription
from service.flows import subscriptions as flow
from service.flows.means import Means
from service.flows.subscriptions import Shown
from service.formats.subscription_asked import Again


def _means() -> Means:
    return Means(database=migrated(), catalogue=load(settings_in_effect().ruleset))


@click.group("subscriptions")
def subscriptions() -> None:
    """Subscriptions: who is told, how they are doing; pause, resume, replay."""


@subscriptions.command("list")
@told
def list_() -> None:
    """List every subscription and how it is doing."""
    heads = ("name", "channel", "endpoint", "state", "waiting", "failed", "last sent")
    print_rows(heads, map(_row, flow.listed(_means())))


def _row(one: Shown) -> tuple[str, ...]:
    found, health = one.subscription, one.health
    state = f"{found.state}: {found.why}" if found.why else str(found.state)
    sent = "never" if health.last_sent_at is None else f"{health.last_sent_at.astimezone(UTC):%Y-%m-%d %H:%M}Z"
    counts = (f"{health.waiting:,}", f"{health.failed:,}")
    return found.name, str(found.channel), flow.masked(found.endpoint), state, *counts, sent


@subscriptions.command("pause")
@click.argument("name")
@told
def pause(name: str) -> None:
    """Send nothing to a subscription for now; what comes about meanwhile waits."""
    means = _means()
    with audited(means.database, "cli:subscriptions:pause", subscription=name):
        found = flow.pause(flow.named(name, means).id, means, now=datetime.now(UTC))
    _say(found)


@subscriptions.command("resume")
@click.argument("name")
@told
def resume(name: str) -> None:
    """Send to a subscription again, also to one that was disabled or has failed."""
    means = _means()
    with audited(means.database, "cli:subscriptions:resume", subscription=name):
        found = flow.resume(flow.named(name, means).id, means, now=datetime.now(UTC))
    _say(found)


def _say(found: Subscription) -> None:
    click.echo(f"{found.name}: {found.state}.")


@subscriptions.command("replay")
@click.argument("name")
@click.option(
    "--since",
    required=True,
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"]),
    help="What was given up at this time (UTC) or later.",
)
@click.option("--dry-run", is_flag=True, help="Only count.")
@told
def replay(name: str, *, since: datetime, dry_run: bool) -> None:
    """Send once more what was given up, each event under the same id."""
    means = _means()
    asked = Again(failed_since=since.replace(tzinfo=UTC), dry_run=dry_run)
    with audited(means.database, "cli:subscriptions:replay", subscription=name) as noted:
        done = flow.replay_failed(flow.named(name, means).id, asked, means, now=datetime.now(UTC))
        noted.detail["count"] = done.count
    click.echo(f"{name}: {done.count:,} {'would be ' if dry_run else ''}sent once more.")
