"""``python -m stress [names] [--short]``: run trials one after the other and print one table.

Law: a trial that is named runs or says why it cannot; exit status 1 when one of them found a fault.
"""

import argparse
import signal
import sys
import time

from rich.console import Console
from rich.table import Table

from stress.common import Found, Place, Size, place
from stress.trials import TRIALS


def main() -> None:
    """Read the arguments, run, print."""
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that everything is taken away on the way out
    size = Size.SHORT if given.short else Size.FULL
    with place(given.first_port) as here:
        found = [_tried(name, here, size) for name in given.names or TRIALS]
    Console(width=None if sys.stdout.isatty() else 160).print(_table(found))
    for name, one, _ in found:
        for fault in one.faults:
            print(f"{name}: {fault}")
    sys.exit(any(one.faults for _, one, _ in found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stress", description="Proof of what is promised, under stress.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"some of {', '.join(TRIALS)}; all if left out")
    parser.add_argument("--short", action="store_true", help="seconds instead of minutes, as in the tests")
    parser.add_argument("--first-port", type=int, help="first port to listen on; any free one if left out")
    given = parser.parse_args()
    unknown = set(given.names) - set(TRIALS)
    if unknown:
        parser.error(f"no such trial: {', '.join(sorted(unknown))}")
    return given


def _tried(name: str, here: Place, size: Size) -> tuple[str, Found, float]:
    print(f"{name} ({size}) ...", end=" ", file=sys.stderr, flush=True)
    begun = time.monotonic()
    found = TRIALS[name](here, size)
    took = time.monotonic() - begun
    print(f"{took:.0f} s", file=sys.stderr, flush=True)
    return name, found, took


def _table(found: list[tuple[str, Found, float]]) -> Table:
    table = Table("trial", "what was done", "counts", "result")
    table.columns[0].no_wrap = True
    for name, one, took in found:
        verdict = f"skipped: {one.skipped}" if one.skipped else f"{len(one.faults)} faults" if one.faults else "holds"
        counts = ", ".join(f"{what} {times:,}" for what, times in sorted(one.counts.items()))
        table.add_row(name, f"{one.did} ({took:.0f} s)", counts, verdict)
    return table


if __name__ == "__main__":
    main()
