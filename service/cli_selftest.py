"""Is a running service well, through every door? ``lab-alerts selftest URL --key …``.

Law: it speaks to the service as any other system does, and only with a key of the source for trials.
"""

import sys

import click
from rich.console import Console
from rich.table import Table

from service import selftest
from service.cli_common import told
from service.selftest import Target, Trial
from service.storage.panels import TRIALS


@click.command("selftest")
@click.argument("url")
@click.option("--key", envvar="LAB_ALERTS_SELFTEST_KEY", required=True, help=f"A key with the source {TRIALS}.")
@click.option("--mllp", "listener", metavar="HOST:PORT", help="Where lab-alerts mllp listens.")
@click.option("--cds-token", metavar="JWT", help="For CDS Hooks, where its callers are checked.")
@told
def command(url: str, *, key: str, listener: str | None, cds_token: str | None) -> None:
    """Try a running service through every door, and print what came of each."""
    target = Target(url=url, key=key, mllp=_address(listener), cds_token=cds_token)
    _refuse_other_sources(target)
    found = list(selftest.trials(target, now=selftest.clock()))
    Console().print(_table(found))
    if any(one.fault for one in found):
        sys.exit(1)


def _address(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise click.UsageError("--mllp needs HOST:PORT, for example 127.0.0.1:2575")
    return host, int(port)


def _refuse_other_sources(target: Target) -> None:
    try:
        answer = selftest.asked(target, "/v1/key")
        key = answer.data if answer.status == 200 else {}
    except (OSError, ValueError):
        raise click.ClickException("nobody answers at this address as lab-alerts does") from None
    if answer.status != 200:
        raise click.ClickException(f"the key is refused ({answer.status})")
    if key.get("source") != TRIALS:
        raise click.ClickException(
            f"the key sends as another source; flags of trials must notify nobody: lab-alerts keys add {TRIALS} "
            f"--scope panels:write --scope flags:read"
        )


def _table(found: list[Trial]) -> Table:
    table = Table("Door", "Result", "Milliseconds")
    for one in found:
        result = f"FAILED: {one.fault}" if one.fault else f"not tried: {one.left_out}" if one.left_out else "works"
        table.add_row(one.door, result, f"{one.milliseconds:.0f}" if result == "works" else "")
    return table
