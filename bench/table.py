"""The table that is printed at the end.

Law: each figure stands beside the one that it was measured against, and below is said what sets the pace.
"""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.common import Row


def told(console: Console, rows: Sequence[Row]) -> None:
    """Print the table, and below it what limits each row."""
    table = Table(*_HEADS, title="ours / baseline, in one run", title_justify="left")
    for head in table.columns[2:-1]:
        head.justify = "right"
    for row in rows:
        table.add_row(*_cells(row))
    console.print(table)
    for row in rows:
        if row.limit:
            console.print(f"{row.number or '-':>3} {row.measure}: {row.limit}", highlight=False)


_HEADS = ("#", "measure", "ours", "baseline", "unit", "ratio", "lowest - highest", "goal", "floor", "reached", "note")


def _cells(row: Row) -> tuple[str, ...]:
    spread = "" if row.low is None or row.high is None else f"{figure(row.low)} - {figure(row.high)}"
    numbers = (figure(row.ours), figure(row.baseline), row.unit, figure(row.ratio), spread)
    return (row.number, row.measure, *numbers, figure(row.goal), figure(row.floor), row.standing, row.note)


def figure(value: float | None) -> str:
    """A figure to three digits, or nothing."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
