"""What became of an attempt to deliver something.

Law: temporary and permanent failures are told apart by these three: ``Later`` is tried again, ``Refused`` is not.
"""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The receiver has it. ``answer``: the beginning of what it said."""

    status: int | None = None
    answer: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """It did not go through now. ``after``: how long the receiver asks to be left alone (``Retry-After``)."""

    why: str
    status: int | None = None
    after: timedelta | None = None
    answer: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It will not go through however often it is tried. ``gone``: nothing more is to be sent there (410)."""

    why: str
    status: int | None = None
    gone: bool = False
    answer: str = field(default="", repr=False)


Outcome = Sent | Later | Refused
