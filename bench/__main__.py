"""``python -m bench [names] [--size small|full]``: run benches one after the other and print one table.

Law: a bench that is named runs or fails loudly; none is left out quietly.
"""

import argparse
import importlib
import signal
import sys
import time
from collections.abc import Sequence

from rich.console import Console

from bench.common import Row, Size
from bench.databases import databases
from bench.table import told

# In the order in which they run.
BENCHES = ("check", "judge", "posts", "bulk", "pages", "memory", "depth", "dispatch", "backtest")


def measure(names: Sequence[str], size: Size) -> None:
    """Run some benches and print their rows; those before one that fails are printed, too."""
    rows: list[Row] = []
    try:
        with databases():
            for name in names:
                rows += _measured(name, size)
    finally:
        told(Console(width=None if sys.stdout.isatty() else 200), rows)


def _measured(name: str, size: Size) -> list[Row]:
    started = time.monotonic()
    print(f"{name} ({size}) ...", end=" ", file=sys.stderr, flush=True)
    found: list[Row] = importlib.import_module(f"bench.{name}").measure(size)
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Ratios, measured side by side in one run.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"some of {', '.join(BENCHES)}; all if left out")
    parser.add_argument("--size", type=Size, choices=list(Size), default=Size.SMALL)
    given = parser.parse_args()
    unknown = set(given.names) - set(BENCHES)
    if unknown:
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    # Whoever ends it ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    measure(given.names or BENCHES, given.size)


if __name__ == "__main__":
    main()
