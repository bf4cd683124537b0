"""Reading the project's own pages: blocks, tables, and answers that are shown with gaps.

Law: a page is read as a stranger reads it. What is shown as an answer must be the answer; only ``…`` is a gap.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
GAP = "…"

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    """The text of one of the pages."""
    return (ROOT / name).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its language, its text, and the line at which it begins."""

    language: str
    text: str
    line: int


def blocks(text: str) -> list[Block]:
    """Every fenced block of a page, in order."""
    return [
        Block(language=found[1], text=found[2], line=text.count("\n", 0, found.start()) + 1)
        for found in _BLOCK.finditer(text)
    ]


def words(text: str) -> list[str]:
    """Everything that stands in backquotes, outside of blocks."""
    return re.findall(r"`([^`\n]+)`", _BLOCK.sub("", text))


def tables(text: str) -> Iterator[list[list[str]]]:
    """Every table of a page: rows of cells, the head first, without the line of dashes."""
    for lines in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines.strip().split("\n")]
        yield [row for number, row in enumerate(rows) if number != 1]


def table(text: str, head: str) -> list[list[str]]:
    """The rows below the head of the one table whose first column is called ``head``."""
    (found,) = (rows for rows in tables(text) if rows[0][0] == head)
    return found[1:]


def section(text: str, title: str) -> str:
    """What stands under a heading of the second level."""
    return re.split(r"^## ", text.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def misfits(shown: Any, real: Any, place: str = "") -> Iterator[str]:
    """Where an answer is not what is shown of it. A gap stands for anything, or for further members or entries."""
    if shown == GAP:
        return
    if isinstance(shown, dict) and isinstance(real, dict):
        yield from _of_objects(shown, real, place)
    elif isinstance(shown, list) and isinstance(real, list):
        yield from _of_lists(shown, real, place)
    elif isinstance(shown, str) and isinstance(real, str) and GAP in shown:
        pattern = ".*".join(re.escape(part) for part in shown.split(GAP))
        if not re.fullmatch(pattern, real, re.DOTALL):
            yield f"{place}: shown {shown!r}, answered {real!r}"
    elif shown != real or type(shown) is not type(real):
        yield f"{place}: shown {json.dumps(shown)}, answered {json.dumps(real)}"


def unanswered(shown: str, real: str) -> Iterator[str]:
    """The lines shown of an answer in text that are not in it. Other lines may stand between them."""
    lines = real.splitlines()
    for line in shown.splitlines():
        pattern = ".*".join(re.escape(part) for part in line.split(GAP))
        if not any(re.fullmatch(pattern, one) for one in lines):
            yield line


def _of_objects(shown: dict[str, Any], real: dict[str, Any], place: str) -> Iterator[str]:
    for name, value in shown.items():
        if name != GAP and name not in real:
            yield f"{place}/{name}: shown, not answered"
        elif name != GAP:
            yield from misfits(value, real[name], f"{place}/{name}")
    if GAP not in shown:
        yield from (f"{place}/{name}: answered, not shown" for name in real if name not in shown)


def _of_lists(shown: list[Any], real: list[Any], place: str) -> Iterator[str]:
    entries = shown[:-1] if shown and shown[-1] == GAP else shown
    if len(entries) > len(real) or (len(entries) < len(real) and entries is shown):
        yield f"{place}: {len(entries)} entries shown, {len(real)} answered"
    for index, (one, other) in enumerate(zip(entries, real, strict=False)):
        yield from misfits(one, other, f"{place}/{index}")
