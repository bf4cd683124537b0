"""What is known of a patient as a person, and how it is learned from the panels that say so.

Law: the newest statement counts, whatever the order of arrival, and saying nothing unsays nothing.
"""

from dataclasses import dataclass, field
from datetime import date, datetime

from service.domain.panels import Panel
from service.domain.people import Sex
from service.domain.timeline import Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The facts with the time of the statement that they rest on."""

    sex: Sex = field(default=Sex.UNKNOWN, repr=False)
    sex_as_of: datetime | None = field(default=None, repr=False)
    born: date | None = field(default=None, repr=False)
    born_as_of: datetime | None = field(default=None, repr=False)

    @property
    def facts(self) -> Facts:
        return Facts(sex=self.sex, born=self.born)


def told(panel: Panel) -> Facts:
    """What a panel says of the person. One that only takes results back says nothing: it may be somebody else's."""
    if panel.results and all(result.status.withdraws for result in panel.results):
        return Facts()
    return Facts(sex=panel.patient.sex, born=panel.patient.born)


def learn(known: Known, panel: Panel) -> Known:
    """What is known after a panel. Its statements are as old as its issue, or else its collection."""
    return learned(known, told(panel), panel.issued_at or panel.collected_at)


def learned(known: Known, said: Facts, as_of: datetime) -> Known:
    """What is known after a statement."""
    sex, sex_as_of = known.sex, known.sex_as_of
    if said.sex is not Sex.UNKNOWN and _newer(as_of, sex_as_of):
        sex, sex_as_of = said.sex, as_of
    born, born_as_of = known.born, known.born_as_of
    if said.born is not None and _newer(as_of, born_as_of):
        born, born_as_of = said.born, as_of
    return Known(sex=sex, sex_as_of=sex_as_of, born=born, born_as_of=born_as_of)


def _newer(as_of: datetime, known_as_of: datetime | None) -> bool:
    return known_as_of is None or as_of >= known_as_of
