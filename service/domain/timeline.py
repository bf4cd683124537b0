"""What is held of one patient: the facts, and the current version of every result, in order of collection.

Law: these are the truth from which flags and episodes follow. The order in which they arrived plays no part.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import groupby

from service.domain.panels import Result, Status
from service.domain.people import Person, Sex, person


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a patient as a person."""

    sex: Sex = field(default=Sex.UNKNOWN, repr=False)
    born: date | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One result as held: the sender's result with all that is needed to judge it.

    ``key`` is the result's identity, the same for all of its versions. ``ruleset`` is the version that was in force
    when this version of the result was received.
    """

    key: str
    version: int
    result: Result
    analyte: str | None
    status: Status
    collected_at: datetime = field(repr=False)
    pregnant: bool | None = field(default=None, repr=False)
    trimester: int | None = field(default=None, repr=False)
    age_years: int | None = field(default=None, repr=False)
    ruleset: str

    def person(self, facts: Facts) -> Person:
        return person(
            sex=facts.sex,
            born=facts.born,
            age_years=self.age_years,
            pregnant=self.pregnant,
            trimester=self.trimester,
            on=self.collected_at.astimezone(UTC).date(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """All results of one patient that were collected at the same time, in whatever messages they came."""

    at: datetime
    results: tuple[Held, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One patient: the facts and the current results."""

    facts: Facts
    results: tuple[Held, ...]

    def collections(self) -> Iterator[Collection]:
        """The collections from the oldest to the newest."""
        ordered = sorted(self.results, key=lambda held: (held.collected_at, held.key))
        for at, group in groupby(ordered, key=lambda held: held.collected_at):
            yield Collection(at=at, results=tuple(group))


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What decides which version of a result is the current one."""

    number: int
    status: Status
    issued_at: datetime | None = None


def current(versions: Iterable[Version]) -> Version:
    """The version that counts, whatever the order of arrival.

    When every version says when it was issued, the one issued last counts. Otherwise nothing can be told from the
    times, and the status decides: entered in error over cancelled over corrected over final over preliminary. Among
    equals the one received last counts.
    """
    versions = tuple(versions)
    if all(version.issued_at is not None for version in versions):
        return max(versions, key=lambda version: (version.issued_at, version.status.standing, version.number))
    return max(versions, key=lambda version: (version.status.standing, version.number))


def by_key(results: Iterable[Held]) -> Mapping[str, Held]:
    return {held.key: held for held in results}
