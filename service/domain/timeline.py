"""What is held of one patient: the facts, and the current version of every result, in order of collection.

Law: these are the truth from which flags and episodes follow. The order in which they arrived plays no part.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter

from service.domain.drafts import drafted
from service.domain.panels import Result, Status
from service.domain.people import Sex


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


new_held = drafted(Held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """All results of one patient that were collected at the same time, in whatever messages they came."""

    at: datetime
    results: tuple[Held, ...]


new_collection = drafted(Collection)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One patient: the facts and the current results."""

    facts: Facts
    results: tuple[Held, ...]

    def collections(self) -> Iterator[Collection]:
        """The collections from the oldest to the newest."""
        ordered = sorted(self.results, key=_PLACE)
        if ordered and ordered[0].collected_at == ordered[-1].collected_at:
            yield new_collection(at=ordered[0].collected_at, results=tuple(ordered))
            return
        for at, group in groupby(ordered, key=_TIME):
            yield new_collection(at=at, results=tuple(group))


_TIME, _PLACE = attrgetter("collected_at"), attrgetter("collected_at", "key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What decides which version of a result is the current one."""

    number: int
    status: Status
    issued_at: datetime | None = None


new_version = drafted(Version)


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
