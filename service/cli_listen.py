"""The operator's receiver: ``lab-alerts listen``.

Law: what it makes it removes when it ends. Started again after it was killed, it takes its old place.
"""

import signal
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event, Thread

import click

from service.catalogue.load import load
from service.cli_common import audited, migrated, settings_in_effect, told
from service.domain.actors import OPERATOR
from service.domain.errors import NotFound
from service.domain.subscriptions import ALL_TYPES, Channel, Filter, Format, Payload
from service.flows import subscriptions
from service.flows.means import Means
from service.flows.subscriptions import Made
from service.formats.subscription_asked import New
from service.listener import HOST, Listener, Listening

NAME = "listen"


@click.command("listen")
@click.option("--port", default=8099, show_default=True, type=click.IntRange(0, 65_535), help="0: any that is free.")
@click.option("--json", "as_json", is_flag=True, help="Print each message as JSON, with its whole body.")
@click.option("--fail", default=0, type=click.IntRange(0, 1_000), help="Answer 500 to so many, to see them come again.")
@told
def listen(*, port: int, as_json: bool, fail: int) -> None:
    """Receive alerts on this machine and print one line for each, until Ctrl-C."""
    means = Means(database=migrated(), catalogue=load(settings_in_effect().ruleset))
    ended = _asked_to_stop()
    with _opened(Listening(port=port, fail=fail, as_json=as_json, say=click.echo)) as listener:
        made = _made(listener, means)
        listener.secret = made.secret
        try:
            Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
            _explain(listener, made)
            ended.wait()
            listener.shutdown()
        finally:
            with suppress(NotFound):  # another listener has taken its place
                subscriptions.delete(made.subscription.id, means, now=datetime.now(UTC))
    click.echo(f"Removed the subscription {NAME}.", err=True)


def _asked_to_stop() -> Event:
    ended = Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    return ended


def _made(listener: Listener, means: Means) -> Made:
    with audited(means.database, "cli:listen"):
        return subscriptions.create(_asked(listener.endpoint), means, by=OPERATOR, now=datetime.now(UTC), instead=True)


def _opened(listening: Listening) -> Listener:
    try:
        return Listener(listening)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {HOST}:{listening.port} ({error.strerror})") from None


def _asked(endpoint: str) -> New:
    return New(
        name=NAME,
        channel=Channel.WEBHOOK,
        endpoint=endpoint,
        format=Format.NATIVE,
        payload=Payload.THIN,
        filter=Filter(types=ALL_TYPES),
        credential=None,
    )


def _explain(listener: Listener, made: Made) -> None:
    # Beside the messages, not among them: these may go into a file or a pipe.
    click.echo(_TEXT.format(endpoint=listener.endpoint, secret=made.secret, id=made.subscription.id), err=True)


_TEXT = """\
listening     {endpoint}  (Ctrl-C ends it)
subscription  listen, {id}: every event from now on
secret        {secret}

A dispatcher must be running: make run has one, so does every lab-alerts serve; or start lab-alerts dispatch.
It must be allowed to reach this machine. make run allows it; elsewhere set LAB_ALERTS_WEBHOOK_HTTP=true and
LAB_ALERTS_WEBHOOK_NETWORKS=127.0.0.0/8 for it.
"""
