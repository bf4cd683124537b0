"""The operator's dispatcher: ``lab-alerts dispatch``.

Law: it runs until asked to stop, in any number on any machine, and finishes what it is sending.
"""

import os
import signal
from collections.abc import Mapping
from functools import partial
from threading import Thread
from typing import Any

import click
import structlog
from sqlalchemy import Connection

from service.api import answers, fhir_shown
from service.catalogue.load import load
from service.cli_common import migrated, settings_in_effect, told
from service.config import Settings
from service.delivery.door import channels
from service.dispatcher import Chore, Dispatcher, Work
from service.flows.dispatch import Shown
from service.flows.escalation import escalate
from service.flows.feeds import watch_feeds
from service.flows.means import Means
from service.storage.database import Database
from service.storage.history import FlagView

_LOOK = 1.0  # seconds between two looks at whether the parent is still there
# What comes due by itself, whichever dispatcher looks first.
CHORES: tuple[Chore, ...] = (escalate, watch_feeds)


@click.command("dispatch")
@click.option("--once", is_flag=True, help="Send what is due now, and end.")
@click.option("--beside", is_flag=True, hidden=True, help="End when the process that started this one ends.")
@told
def dispatch(*, once: bool, beside: bool) -> None:
    """Send alerts to those who subscribed, until asked to stop."""
    settings = settings_in_effect()
    migrated().close()
    database = Database.open(settings.database_url, pool_size=2, timeout=settings.database_timeout_seconds)
    means = Means(database=database, catalogue=load(settings.ruleset), keep_names=settings.keep_names)
    running = Dispatcher(work_from(settings, means))
    try:
        if once:
            click.echo(f"Tried: {running.once()}")
        else:
            _run(running, settings, beside=beside)
    finally:
        database.close()


def work_from(settings: Settings, means: Means) -> Work:
    """What a dispatcher works with, as the settings say."""
    source, intended_use = settings.public_url or "urn:lab-alerts", means.catalogue.intended_use
    return Work(
        means=means,
        senders=channels(settings),
        shown=Shown(
            flag=partial(answers.flag_view, intended_use=intended_use),
            resource=partial(_resource, address=source, intended_use=intended_use),
            source=source,
        ),
        threads=settings.dispatch_threads,
        chores=CHORES,
        graceful=settings.graceful_seconds,
    )


def _resource(connection: Connection, view: FlagView, *, address: str, intended_use: str) -> Mapping[str, Any]:
    (found,) = fhir_shown.issues(connection, [view.flag], address=address, intended_use=intended_use)
    return found


def _run(running: Dispatcher, settings: Settings, *, beside: bool) -> None:
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: running.stop())
    if beside:
        Thread(target=_watch, args=(running, os.getppid()), daemon=True).start()
    structlog.get_logger().info("the dispatcher is running", dispatcher=running.id, threads=settings.dispatch_threads)
    running.run()


def _watch(running: Dispatcher, parent: int) -> None:
    """Stop when the process that started this one is no more."""
    while os.getppid() == parent and not running.stopped(_LOOK):
        pass
    running.stop()
