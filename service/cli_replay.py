"""The operator's check that every flag can be had again: ``lab-alerts replay``.

Law: it reads only. What differs is named by flag and place, never by its value, and ends in exit status 1.
"""

import sys

import click

from service.catalogue.load import load
from service.cli_common import audited, database_of, migrated, settings_in_effect, told
from service.flows.means import Means
from service.flows.replay import Replay, replay_all
from service.flows.replay import replay as replay_one


@click.command("replay")
@click.argument("flags", metavar="[FLAG]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every flag ever raised.")
@told
def replay(flags: tuple[str, ...], every: bool) -> None:
    """Judge stored flags again, and say which ones come out otherwise."""
    if every == bool(flags):
        raise click.UsageError("name some flags, or say --all")
    means = _means()
    found = replay_all(means) if every else (replay_one(flag, means) for flag in flags)
    equal = different = by_facts_of_now = 0
    with audited(means.database, "cli:replay") as noted:
        for one in found:
            equal, different = equal + one.equal, different + (not one.equal)
            by_facts_of_now += not one.facts_then
            if not one.equal:
                click.echo(_line(one))
            if len(flags) == 1:
                noted.about(one.patient)
        noted.detail.update(flags=equal + different, different=different)
    click.echo(f"Flags: {equal + different}. Equal: {equal}. Different: {different}.")
    if by_facts_of_now:
        click.echo(f"Judged with the facts as known now, for the messages are not kept: {by_facts_of_now}.")
    sys.exit(1 if different else 0)


def _means() -> Means:
    settings = settings_in_effect()
    migrated().close()
    return Means(database=database_of(settings), catalogue=load(settings.ruleset), keep_names=settings.keep_names)


def _line(found: Replay) -> str:
    places = ", ".join(one.pointer or "not raised" for one in found.differences)
    return f"{found.flag}: {places}"
