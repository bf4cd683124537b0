"""The four ways a result can end, and why.

Law: every result ends in exactly one verdict, and "could not be judged" is a verdict with a reason, never silence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from service.domain.drafts import drafted
from service.domain.rules import Direction, Finding, Severity, Standing


class Outcome(StrEnum):
    """How a result ended.

    ``clear`` says that no finding of the rule set stands for this value; it does not say that the value is normal.
    """

    FLAGGED = "flagged"
    CLEAR = "clear"
    NOT_JUDGED = "not_judged"
    REJECTED = "rejected"


class Reason(StrEnum):
    """Why a result could not be judged."""

    CODE_UNMAPPED = "code_unmapped"
    UNIT_UNKNOWN = "unit_unknown"
    VALUE_ABSENT = "value_absent"
    VALUE_NOT_NUMERIC = "value_not_numeric"
    COMPARATOR_UNUSABLE = "comparator_unusable"
    IMPLAUSIBLE = "implausible"
    RANGE_UNUSABLE = "reference_range_unusable"
    FACTS_CONTRADICT = "patient_facts_contradict"
    INDEFINITE = "comparator_indefinite"
    BETWEEN_LIMITS = "between_limits"
    NO_INTERVAL = "no_reference_interval"
    NO_RULE = "no_rule"
    OUTSIDE_SCOPE = "outside_scope"
    PRECEDENCE = "precedence"
    REPLACED = "replaced_by_newer_version"
    REGISTERED = "registered"
    STATUS_UNKNOWN = "status_unknown"
    CANCELLED = "cancelled"
    ENTERED_IN_ERROR = "entered_in_error"

    @property
    def mendable(self) -> bool:
        """Is it a fault of meaning that the sender can mend (refused under ``Prefer: handling=strict``)?"""
        return self in _MENDABLE

    @property
    def withdrawn(self) -> bool:
        return self in (Reason.CANCELLED, Reason.ENTERED_IN_ERROR)


_MENDABLE = frozenset(
    {
        Reason.CODE_UNMAPPED,
        Reason.UNIT_UNKNOWN,
        Reason.VALUE_NOT_NUMERIC,
        Reason.COMPARATOR_UNUSABLE,
        Reason.IMPLAUSIBLE,
        Reason.RANGE_UNUSABLE,
        Reason.FACTS_CONTRADICT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How one result ended.

    ``why`` is the sentence for people, ``hint`` what would help. ``standing`` is what the result says of its finding,
    which may be more than its outcome: a calcium below its limits is not judged, but hypercalcemia is absent.
    ``explanation`` (flagged results only) and ``context`` are plain data, ready to be kept.
    """

    outcome: Outcome
    ruleset: str
    why: str = field(repr=False)
    analyte: str | None = None
    reason: Reason | None = None
    hint: str | None = field(default=None, repr=False)
    finding: Finding | None = None
    standing: Standing = Standing.UNKNOWN
    severity: Severity | None = None
    grade: str | None = None
    classification: str | None = None
    direction: Direction | None = None
    at_least: bool = False
    provisional: bool = False
    explanation: Mapping[str, object] | None = field(default=None, repr=False)
    context: Mapping[str, object] | None = field(default=None, repr=False)


new_verdict = drafted(Verdict)


def replaced(analyte: str | None, ruleset: str) -> Verdict:
    """The verdict on a version of a result that does not count, because another one outranks it."""
    return new_verdict(
        outcome=Outcome.NOT_JUDGED,
        ruleset=ruleset,
        analyte=analyte,
        reason=Reason.REPLACED,
        why="a version of this result that outranks this one is held",
    )
