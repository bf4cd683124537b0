"""What a message of many results brings, whatever its format.

Law: everything in a message is accounted for: it is read into a panel, ignored for a reason, or a fault with its place.
"""

from dataclasses import dataclass, field

from service.domain.panels import Panel


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A part of a message that is not for us, named as its format names places, and why."""

    place: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A deviation from the standard that was accepted all the same; the sender is told."""

    place: str
    code: str
    detail: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A message as read: its panels in the order of their first result, and all else that was in it."""

    panels: tuple[Panel, ...]
    ignored: tuple[Ignored, ...] = ()
    notices: tuple[Notice, ...] = ()
