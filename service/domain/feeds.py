"""Feeds: sources that are expected to send, and whether one has fallen silent.

    the last result, or when it was first expected ─► longer ago than expected? ─► silent, until a result comes again

Law: silence is told once and ended once. A clock that goes back ends no silence and begins none.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST = 10_080  # minutes: a week


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A source that is expected to send something every so many minutes.

    ``last_result_at``: when its newest panel was received. ``silent_since``: its last sign of life, when it was found
    to be silent; None while it is not. ``told_at``: when that was told.
    """

    source: str
    expected_minutes: int
    changed_at: datetime
    changed_by: str
    last_result_at: datetime | None = None
    silent_since: datetime | None = None
    told_at: datetime | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.expected_minutes <= LONGEST:
            raise ValueError("a feed is expected every minute at most, and every week at least")

    @property
    def last_sign(self) -> datetime:
        """Its last sign of life: one that was never heard counts from when it was expected."""
        return self.last_result_at or self.changed_at

    def is_late(self, now: datetime) -> bool:
        """Has nothing come for longer than expected?"""
        return now - self.last_sign > timedelta(minutes=self.expected_minutes)

    @property
    def is_back(self) -> bool:
        """Has a result come since it was found to be silent?"""
        heard = self.last_result_at
        return self.silent_since is not None and heard is not None and heard > self.silent_since
