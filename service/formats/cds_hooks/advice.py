"""What there is to say at the bedside, before it is written as cards.

Law: these hold what was judged and kept; nothing here is judged, and nothing is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from service.domain.rules import Finding, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A finding that stands, told by its newest flag.

    ``flag`` is the name under which the newest flag is kept, None where only what the client looked up shows it.
    ``analyte`` is in words. ``opened_at``: the finding stands since then; ``peak``: the worst it was. ``cleared_at``: a
    newer result, which the client looked up, no longer shows it.
    """

    finding: Finding
    severity: Severity
    peak: Severity
    flag: str | None = None
    analyte: str | None = None
    at_least: bool = False
    provisional: bool = False
    grade: str | None = None
    classification: str | None = None
    ruleset: str
    why: str = field(repr=False)
    explanation: Mapping[str, object] = field(repr=False)
    context: Mapping[str, object] | None = field(default=None, repr=False)
    collected_at: datetime = field(repr=False)
    opened_at: datetime = field(repr=False)
    cleared_at: datetime | None = field(default=None, repr=False)

    @property
    def rule(self) -> str | None:
        """The rule that raised it."""
        told = self.explanation.get("rule")
        return str(told["rule"]) if isinstance(told, Mapping) and "rule" in told else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged:
    """Something that could not be judged: which analyte or part of the call, and why; ``place``: where in the call."""

    about: str
    why: str = field(repr=False)
    place: str | None = None
    collected_at: datetime | None = field(default=None, repr=False)
