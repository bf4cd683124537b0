"""The operator's listener for HL7 v2 over MLLP: ``lab-alerts mllp``.

Law: MLLP knows no password. Whoever is not on this machine is let in by address or by certificate, or not at all.
"""

import asyncio
import ssl
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from service.catalogue.load import load
from service.cli_common import migrated, settings_in_effect, told
from service.config import Settings
from service.flows.means import Means
from service.mllp import Listening, Network, listen
from service.storage.database import Database

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _networks(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(one) for one in given)
    except ValueError:
        raise click.BadParameter("write an address or a network, for example 10.1.0.0/16") from None


def _zone(_context: click.Context, _option: click.Parameter, given: str) -> ZoneInfo:
    try:
        return ZoneInfo(given)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise click.BadParameter("is not a time zone; write for example Europe/Berlin") from None


@click.command("mllp")
@click.option("--source", required=True, help="Name of the system that sends; its results are kept under it.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=2575, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option(
    "--allow", multiple=True, callback=_networks, help="Address or network that may connect. May be repeated."
)
@click.option("--tls-cert", type=_FILE, help="Certificate chain (PEM): connections are encrypted.")
@click.option("--tls-key", type=_FILE, help="Its private key (PEM).")
@click.option("--tls-client-ca", type=_FILE, help="Only clients with a certificate of this authority (PEM).")
@click.option("--zone", default="UTC", show_default=True, callback=_zone, help="Time zone of times without an offset.")
@click.option("--partial", is_flag=True, help="Keep the good results of a message in which others have faults.")
@click.option("--connections", default=64, show_default=True, type=click.IntRange(1, 10_000), help="At most so many.")
@click.option("--threads", default=4, show_default=True, type=click.IntRange(1, 64), help="Messages at the same time.")
@click.option("--read-timeout", default=30, show_default=True, type=click.IntRange(1, 600), help="Seconds for a frame.")
@click.option("--idle-timeout", default=600, show_default=True, type=click.IntRange(1, 86_400), help="Between frames.")
@told
def mllp(  # noqa: PLR0913  click hands over each option by its name
    *,
    source: str,
    host: str,
    port: int,
    allow: tuple[Network, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    zone: ZoneInfo,
    partial: bool,
    connections: int,
    threads: int,
    read_timeout: int,
    idle_timeout: int,
) -> None:
    """Listen for HL7 v2 messages over MLLP until asked to stop."""
    tls = _tls(tls_cert, tls_key, tls_client_ca)
    if not _loopback(host) and not allow and tls_client_ca is None:
        raise click.UsageError("on an address that others reach, name who may connect: --allow or --tls-client-ca")
    settings = settings_in_effect()
    listening = Listening(
        host=host,
        port=port,
        source=source,
        allow=allow,
        tls=tls,
        connections=connections,
        threads=threads,
        largest=settings.max_body_bytes,
        read=read_timeout,
        idle=idle_timeout,
        graceful=settings.graceful_seconds,
        zone=zone,
        partial=partial,
        remember=timedelta(hours=settings.remember_hours),
    )
    _listen(listening, settings)


def _listen(listening: Listening, settings: Settings) -> None:
    migrated().close()
    database = Database.open(
        settings.database_url, pool_size=listening.threads + 1, timeout=settings.database_timeout_seconds
    )
    means = Means(database=database, catalogue=load(settings.ruleset), keep_names=settings.keep_names)
    try:
        asyncio.run(listen(listening, means))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {listening.host}:{listening.port} ({error.strerror})") from None
    finally:
        database.close()


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tls(certificate: Path | None, key: Path | None, client_ca: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key or client_ca:
            raise click.UsageError("--tls-key and --tls-client-ca need --tls-cert")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError:  # also ssl.SSLError
        raise click.ClickException(
            "the certificate or the key cannot be read, or they do not belong together"
        ) from None
    return context
