"""What the clients send: new panels, repeats, corrections, late ones, alone and many in one message.

Law: every statement is unlike every other, so that what is kept can be told apart: who sent what is written down here,
never read back from the service.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

# Far enough in the past that it is not the future, however many minutes are counted from it.
_BEGIN = datetime(2024, 3, 1, 8, tzinfo=UTC)
_LATE = _BEGIN - timedelta(days=2000)
_ANALYTES = (
    ("calcium", "mg/dL", 8.0, 13.9),
    ("hemoglobin", "g/dL", 6.2, 16.0),
    ("platelets", "10*9/L", 12.0, 400.0),
    ("alkaline_phosphatase", "U/L", 40.0, 600.0),
)
_PANELS_OF_ONE = 24

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What an answer said of a panel: names only."""

    panel: str
    duplicate: bool
    verdicts: tuple[tuple[str, int, str], ...]
    flags: tuple[str, ...]
    events: tuple[tuple[str, str | None, str | None], ...]

    @classmethod
    def of(cls, data: Data) -> "Heard":
        """What the answer to a panel, or a line of the answer to many, said."""
        changes = data["changes"]
        return cls(
            panel=data["id"],
            duplicate=data["duplicate"],
            verdicts=tuple((one["result"], one["version"], one["outcome"]) for one in data["verdicts"]),
            flags=(*(one["id"] for one in data["flags"]), *(one["by"] for one in changes if one.get("by"))),
            events=tuple((one["type"], one.get("flag"), one.get("episode")) for one in changes),
        )


@dataclass(eq=False, slots=True, kw_only=True)
class Statement:
    """A panel as one client states it, every answer that took it, and how often it was sent without one."""

    number: int
    panel: Data = field(repr=False)
    answers: list[Heard] = field(default_factory=list, repr=False)
    unsure: int = 0

    @property
    def body(self) -> bytes:
        """The bytes of it, the same each time."""
        return json.dumps(self.panel).encode()

    @property
    def results(self) -> int:
        """How many results it states."""
        return len(self.panel["results"])

    @property
    def name(self) -> str:
        """What a fault calls it."""
        return f"statement {self.number}"


class Story:
    """The statements of one client, one after the other, in an order that its seed chooses."""

    def __init__(self, client: int, *, patients: tuple[str, ...] = ()) -> None:
        self._client, self._patients = client, patients
        self._chance = random.Random(client)
        self.statements: list[Statement] = []
        self.sent = 0

    def next(self) -> Statement:
        """The next statement: a new one, or an earlier one again, as it was."""
        self.sent += 1
        drawn = self._chance.random()
        if not self.statements or drawn < 0.6:
            return self._said(self._new())
        if drawn < 0.75:
            return self._chance.choice(self.statements[-40:])
        if drawn < 0.9:
            return self._said(self._corrected(self._chance.choice(self.statements[-40:])))
        return self._said(self._new(late=True))

    def _said(self, panel: Data) -> Statement:
        said = Statement(number=self._client * 1_000_000 + len(self.statements), panel=panel)
        self.statements.append(said)
        return said

    def _patient(self) -> str:
        if self._patients:
            return self._chance.choice(self._patients)
        group = len(self.statements) // _PANELS_OF_ONE
        # One patient in four is one to whom all clients send at about the same time.
        return f"all-{group}" if self._chance.random() < 0.25 else f"{self._client}-{group}"

    def _new(self, *, late: bool = False) -> Data:
        number = len(self.statements)
        collected = (_LATE if late else _BEGIN) + timedelta(minutes=number, seconds=self._client % 60)
        chosen = self._chance.sample(_ANALYTES, self._chance.randint(1, len(_ANALYTES)))
        return {
            "patient": {"id": self._patient(), "authority": "stress", "sex": "female", "birth_date": "1968-03-14"},
            "accession": f"{self._client}-{number}",
            "collected_at": collected.isoformat(),
            "results": [self._result(one) for one in chosen],
        }

    def _result(self, measured: tuple[str, str, float, float]) -> Data:
        analyte, unit, low, high = measured
        return {"analyte": analyte, "value": f"{self._chance.uniform(low, high):.2f}", "unit": unit}

    def _corrected(self, earlier: Statement) -> Data:
        """A correction of one result of an earlier statement, or its withdrawal; unlike all that was said of it."""
        one = dict(self._chance.choice(earlier.panel["results"]))
        status = "entered-in-error" if self._chance.random() < 0.15 else "corrected"
        # The remark is part of what is stated: it makes two corrections to the same value two statements.
        one |= {"value": f"{float(one['value']) * 1.1:.2f}", "note": f"{self._client}-{len(self.statements)}"}
        return {**earlier.panel, "status": status, "results": [one]}
