"""Lines of CSV (RFC 4180), as everything here writes them.

Law: what was written reads back as the same cells.
"""

import csv
from collections.abc import Callable, Sequence
from typing import Any, cast

# Before Python 3.13 a line break in a cell is put into quotes only if it is one that ends the lines. So both are named
# as the end of a line, and taken off again.
_END = "\r\n"


class _Echo:
    """Stands where a file would: a writer answers what it is answered, and so the line itself."""

    @staticmethod
    def write(text: str) -> str:
        return text


def writer() -> Callable[[Sequence[str]], str]:
    """What makes a line of cells, without its end. Not for several threads at once."""
    write = cast("Callable[[Sequence[str]], str]", csv.writer(cast("Any", _Echo()), lineterminator=_END).writerow)
    return lambda cells: write(cells)[: -len(_END)]
