"""The family of errors, drawn once.

    LabAlertsError
    ├── BadInput        what was sent cannot be taken; the sender must change something (holds every fault)
    ├── BadCatalogue    one of our own data files is wrong; names file, place and row
    ├── NotFound        there is no such thing here
    ├── Ambiguous       the name given fits several things
    ├── InUse           somebody else is doing the very same at this moment
    ├── Stale           it is another one by now than the caller says
    ├── Conflict        as things stand it cannot be done
    └── Unavailable     we cannot do it now; the same request may be sent again

Law: the text of an error never holds identity or a measured value. Those live in the fields of a ``Fault``, which
only the door that answers the sender reads.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with what was sent: where, what, and how to mend it.

    ``pointer`` is a JSON Pointer (RFC 6901) into the message; ``code`` is stable and documented; ``value`` is what
    stood there, for the sender's eyes only.
    """

    pointer: str
    code: str
    detail: str = field(repr=False)
    value: object = field(default=None, repr=False)
    hint: str | None = field(default=None, repr=False)


class LabAlertsError(Exception):
    """Any error that this service raises on purpose."""


class BadInput(LabAlertsError):
    """What was sent cannot be taken. ``kind`` names the documented problem; ``faults`` lists every fault found."""

    def __init__(self, faults: Iterable[Fault], *, kind: str = "invalid-panel") -> None:
        self.faults = tuple(faults)
        self.kind = kind
        super().__init__(f"{kind}: {', '.join(sorted({fault.code for fault in self.faults}))}")


class BadCatalogue(LabAlertsError):
    """A data file of the catalogue cannot be used; the service does not start with it."""

    def __init__(self, detail: str, *, file: str = "", place: str = "", row: int | None = None) -> None:
        self.detail, self.file, self.place, self.row = detail, file, place, row
        where = [file, place, "" if row is None else f"row {row}"]
        super().__init__(": ".join([*filter(None, where), detail]))

    def within(self, file: str) -> "BadCatalogue":
        """The same fault, with the file it was found in."""
        return BadCatalogue(self.detail, file=file, place=self.place, row=self.row)


class NotFound(LabAlertsError):
    """There is no such ``thing`` (a word for people, never an identifier)."""

    def __init__(self, thing: str) -> None:
        self.thing = thing
        super().__init__(f"no such {thing}")


class Ambiguous(LabAlertsError):
    """The name given fits several things; ``choices`` tells them apart."""

    def __init__(self, thing: str, choices: Iterable[str]) -> None:
        self.thing, self.choices = thing, tuple(choices)
        super().__init__(f"several {thing}s have this name")


class InUse(LabAlertsError):
    """Somebody else is doing the very same at this moment; ``retry_after`` says in how many seconds to ask again."""

    def __init__(self, what: str, *, retry_after: int = 1) -> None:
        self.what, self.retry_after = what, retry_after
        super().__init__(what)


class Stale(LabAlertsError):
    """It is another one by now than the caller says; ``version`` is the newest."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(f"the newest version is {version}")


class Conflict(LabAlertsError):
    """As things stand it cannot be done. ``kind`` names the documented problem, ``detail`` says how things stand."""

    def __init__(self, kind: str, detail: str) -> None:
        self.kind, self.detail = kind, detail
        super().__init__(kind)


class Unavailable(LabAlertsError):
    """It cannot be done now. ``retry_after`` says after how many seconds the same request may be sent again.

    ``locked``: only because of somebody else who holds something of it, so that other requests may well be served.
    ``lost``: two waited for each other, and this one gave way; tried again at once it goes on.
    """

    def __init__(self, why: str, *, retry_after: int = 5, locked: bool = False, lost: bool = False) -> None:
        self.why, self.retry_after, self.locked, self.lost = why, retry_after, locked, lost
        super().__init__(why)
