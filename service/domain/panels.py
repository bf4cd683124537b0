"""What was sent, in one language: panels, results, patients.

Law: these hold what the sender said, text and all; nothing here has been converted or judged.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from service.domain.analytes import LOINC
from service.domain.people import Sex


class Status(StrEnum):
    """Status of a panel or a result (FHIR R4 observation-status, and ``appended`` of diagnostic-report-status)."""

    REGISTERED = "registered"
    PRELIMINARY = "preliminary"
    FINAL = "final"
    APPENDED = "appended"
    AMENDED = "amended"
    CORRECTED = "corrected"
    CANCELLED = "cancelled"
    ENTERED_IN_ERROR = "entered-in-error"
    UNKNOWN = "unknown"

    @property
    def judged(self) -> bool:
        return self in JUDGED

    @property
    def withdraws(self) -> bool:
        return self in (Status.CANCELLED, Status.ENTERED_IN_ERROR)

    @property
    def corrects(self) -> bool:
        """Does this status announce that an earlier version is replaced?"""
        return self in (Status.CORRECTED, Status.AMENDED, Status.CANCELLED, Status.ENTERED_IN_ERROR)

    @property
    def standing(self) -> int:
        """Which of two versions replaces the other when nothing says which was issued later."""
        return _STANDING[self]


# Of these the value counts.
JUDGED = frozenset({Status.PRELIMINARY, Status.FINAL, Status.APPENDED, Status.AMENDED, Status.CORRECTED})

_STANDING = {
    Status.UNKNOWN: 0,
    Status.REGISTERED: 1,
    Status.PRELIMINARY: 2,
    Status.FINAL: 3,
    Status.APPENDED: 3,
    Status.AMENDED: 4,
    Status.CORRECTED: 4,
    Status.CANCELLED: 5,
    Status.ENTERED_IN_ERROR: 6,
}

# From lenient to strict: of the status of a panel and of its result, the stricter one counts.
_STRICTNESS = (
    Status.FINAL,
    Status.APPENDED,
    Status.AMENDED,
    Status.CORRECTED,
    Status.PRELIMINARY,
    Status.REGISTERED,
    Status.UNKNOWN,
    Status.CANCELLED,
    Status.ENTERED_IN_ERROR,
)


def stricter(one: Status, other: Status) -> Status:
    """The stricter of two statuses."""
    return max(one, other, key=_STRICTNESS.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A code and the system it is from."""

    code: str
    system: str = LOINC


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRange:
    """The reference range that came with a result; the unit is the result's own unless it names another.

    ``unclear`` says why it cannot be told which range is meant, or what it says; there are no limits then.
    """

    low: Decimal | None = field(default=None, repr=False)
    high: Decimal | None = field(default=None, repr=False)
    unit: str | None = None
    unclear: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What the map of its source makes of a result (``source_maps``): ``by`` says which map, in which version.

    None stands where the catalogue knew what was sent, or nobody does.
    """

    by: str
    analyte: str | None = None
    unit: str | None = None
    range_unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One result as sent. ``text`` is the value to the letter; ``number`` is None when it is not a number.

    ``upper``: the value is known to lie between ``number`` and this, both included. ``absent``: there is no value, and
    this is why (FHIR data-absent-reason); with ``promotes`` the value sent before stands, with the status of this one
    (HL7 table 0085, U). ``other_codes`` name the same as ``code``. ``interpretation`` is the laboratory's own opinion
    (HL7 v3 ObservationInterpretation): it is shown beside ours and decides nothing. ``mapped`` was not sent: the words
    stay as they came, beside what their source's map makes of them.
    """

    pointer: str
    sender_id: str | None = None
    analyte: str | None = None
    code: Code | None = None
    other_codes: tuple[Code, ...] = ()
    text: str = field(repr=False)
    number: Decimal | None = field(repr=False)
    upper: Decimal | None = field(default=None, repr=False)
    absent: str | None = None
    promotes: bool = False
    comparator: str = field(default="", repr=False)
    unit: str
    range: SentRange | None = field(default=None, repr=False)
    status: Status = Status.FINAL
    interpretation: tuple[str, ...] = field(default=(), repr=False)
    note: str | None = field(default=None, repr=False)
    mapped: Mapped | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The patient as the sender knows them. An identifier means something only beside its assigning authority."""

    identifier: str = field(repr=False)
    authority: str | None = None
    sex: Sex = field(default=Sex.UNKNOWN, repr=False)
    born: date | None = field(default=None, repr=False)
    name: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The results of one specimen or collection, as sent.

    ``pregnant``, ``trimester`` and ``age_years`` are what was so at this collection. ``issued_at`` is when the
    laboratory released this version.
    """

    patient: Patient
    collected_at: datetime = field(repr=False)
    issued_at: datetime | None = field(default=None, repr=False)
    accession: str | None = field(default=None, repr=False)
    pregnant: bool | None = field(default=None, repr=False)
    trimester: int | None = field(default=None, repr=False)
    age_years: int | None = field(default=None, repr=False)
    note: str | None = field(default=None, repr=False)
    results: tuple[Result, ...]
