"""The backtest of stored results (goal 12): nothing to measure yet.

Law: a goal that cannot be measured is named in the table, not left out.
"""

from bench.common import Better, Row, Size


def measure(_size: Size) -> list[Row]:
    """The row that says why there is no figure."""
    return [
        Row(
            number="12",
            measure="backtest of 10 million stored results",
            ours=None,
            unit="s",
            goal=60,
            floor=300,
            better=Better.LESS,
            note="left out: there is one rule set, and no backtest yet",
        )
    ]
