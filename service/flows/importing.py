"""A file of panels comes in: every line is accounted for, refused ones are put aside, and a note says how far it came.

    skip what was taken ─► read ─► take in (each in its own transaction) ─► count, put aside ─► note

Law: a note speaks of committed panels only, and of a place before which nothing is left open. After a kill, the lines
behind the note are taken again and are duplicates, which change nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from service.domain.errors import Fault, Unavailable
from service.domain.verdicts import Outcome
from service.flows.bulk import Answered, take_in_all
from service.flows.means import Means
from service.flows.receipts import Receipt
from service.formats import csv_rows, ndjson, refused
from service.formats.lines import MAX_LINE
from service.storage import exporting, import_files
from service.storage.panels import Message

CSV, NDJSON = "csv", "ndjson"
FORMATS = (CSV, NDJSON)
NOTE_EVERY = 200  # panels
PASSED_OVER = (refused.WHY, *exporting.BESIDE_RESULTS)

Data = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be imported, and how. ``note`` and ``rejects`` are None where there shall be no such file.

    ``quiet``: nobody is told of what it brings about. ``of`` tells this import from others: a note is gone on from only
    if it says the same.
    """

    format: str
    source: str
    dry_run: bool = False
    strict: bool = False
    quiet: bool = False
    of: Mapping[str, Any] = field(default_factory=dict)
    note: Path | None = None
    rejects: Path | None = None


class Accounts:
    """Everything received, by what became of it. ``duplicates`` are among the outcomes, too."""

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        data = data or {}
        self.outcomes: Counter[str] = Counter(data.get("outcomes", {}))
        self.not_judged: Counter[str] = Counter(data.get("not_judged", {}))
        self.rejected: Counter[str] = Counter(data.get("rejected", {}))
        self.duplicates = int(data.get("duplicates", 0))

    def take(self, receipt: Receipt) -> None:
        """Count every result of a panel that was taken in."""
        for arrival, verdict in receipt.items:
            self.outcomes[verdict.outcome.value] += 1
            self.duplicates += arrival.duplicate
            if verdict.reason is not None:
                self.not_judged[verdict.reason.value] += 1

    def reject(self, reason: str) -> None:
        """Count a refused line."""
        self.outcomes[Outcome.REJECTED.value] += 1
        self.rejected[reason] += 1

    def data(self) -> Data:
        kept = {"outcomes": self.outcomes, "not_judged": self.not_judged, "rejected": self.rejected}
        return {name: dict(counts) for name, counts in kept.items()} | {"duplicates": self.duplicates}


class Import:
    """One import under way. ``line`` is the last line behind which nothing is open; ``halted`` is why it stopped."""

    def __init__(self, order: Order, means: Means, *, note: Mapping[str, Any] | None = None) -> None:
        self.order, self.means = order, means
        note = note or {}
        self.line = self._ahead = int(note.get("line", 0))
        self.accounts = Accounts(note.get("accounts"))
        self.halted: Unavailable | None = None
        self._aside = import_files.Aside(order.rejects, keep=int(note.get("rejects_bytes", 0)))
        self._safe: Data | None = None
        self._behind = 0

    def run(self, stream: BinaryIO, *, clock: Callable[[], datetime]) -> Iterator[None]:
        """Take in all that is left of a stream; gives way after every panel.

        Raises ``BadInput`` when its beginning cannot be used.
        """
        message = Message(
            body=b"",
            content_type=_MEDIA[self.order.format],
            source=self.order.source,
            received_at=clock(),
            quiet=self.order.quiet,
        )
        entries = _READ[self.order.format](self._left(stream), now=message.received_at, passed_over=PASSED_OVER)
        options = {"dry_run": self.order.dry_run, "strict": self.order.strict}
        try:
            for batch in take_in_all(entries, message, self.means, clock=clock, **options):
                for answered in batch:
                    self._settle(answered)
                    yield
        finally:
            self._write_note()
            self._aside.close()
        if self.halted is None and self.order.note is not None:
            self.order.note.unlink(missing_ok=True)

    def _left(self, stream: BinaryIO) -> BinaryIO:
        left = _Left(stream, after=self.line, header=self.order.format == CSV)
        return cast("BinaryIO", left)  # the readers of lines ask for lines only

    def _settle(self, answered: Answered) -> None:
        if answered.halted is not None:
            self.halted = answered.halted
            return
        if answered.receipt is not None:
            self.accounts.take(answered.receipt)
        else:
            self._refuse(answered)
        self._ahead = max(self._ahead, *answered.entry.lines)
        # A refused row of a CSV may stand inside a panel that has not ended; a panel that is answered has.
        if answered.entry.panel is not None:
            self._reach()

    def _reach(self) -> None:
        self.line = self._ahead
        self._safe = {
            "of": dict(self.order.of),
            "line": self.line,
            "rejects_bytes": self._aside.size,
            "accounts": self.accounts.data(),
        }
        self._behind += 1
        if self._behind >= NOTE_EVERY:
            self._write_note()

    def _write_note(self) -> None:
        if self.order.note is not None and self._safe is not None:
            self._aside.settle()
            import_files.write_note(self.order.note, self._safe)
            self._behind = 0

    def _refuse(self, answered: Answered) -> None:
        faults = answered.refused.faults if answered.refused else ()
        several, whys = len(answered.entry.lines) > 1, []
        for place, line in enumerate(answered.entry.lines):
            own = [fault for fault in faults if not several or _is_about(fault, place)]
            self.accounts.reject(_reason(own))
            whys.append(f"line {line}: {'; '.join(map(_said, own)) or WITH_ITS_PANEL}")
        body = answered.entry.body
        if self.order.format == CSV:
            self._aside.add(head=refused.csv_head(body), lines=refused.csv_lines(body, whys))
        else:
            self._aside.add(head=b"", lines=refused.ndjson_line(body, whys[0]))


_READ = {CSV: csv_rows.read, NDJSON: ndjson.read}
_MEDIA = {CSV: csv_rows.MEDIA_TYPE, NDJSON: ndjson.MEDIA_TYPE}
WITH_ITS_PANEL = "another row of its panel is refused"


class _Left:
    """What is left of a stream: the lines up to ``after`` read as empty ones, so that all others keep their numbers."""

    def __init__(self, stream: BinaryIO, *, after: int, header: bool) -> None:
        self._stream, self._after, self._header, self._number = stream, after, header, 0

    def readline(self, size: int) -> bytes:
        if self._number >= self._after or (self._header and not self._number):
            self._number += 1
            return self._stream.readline(size)
        self._number += 1
        line = self._stream.readline(MAX_LINE)
        while line and not line.endswith(b"\n"):
            line = self._stream.readline(MAX_LINE)
        return b"\n"


def _is_about(fault: Fault, place: int) -> bool:
    return not fault.pointer.startswith("/results/") or fault.pointer.split("/")[2] == str(place)


def _reason(faults: list[Fault]) -> str:
    """Why a line is rejected, in words that do not grow with the file: its first fault, with the column."""
    if not faults:
        return WITH_ITS_PANEL
    first = faults[0]
    return f"{first.code}: {first.pointer}" if first.pointer in csv_rows.PLACES else first.code


def _said(fault: Fault) -> str:
    place = f"{fault.pointer} " if fault.pointer else ""
    return f"{place}{fault.detail}" + (f" ({fault.hint})" if fault.hint else "")
