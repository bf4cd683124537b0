"""Results into panels.

Law: what belongs to one patient and one collection stands together, in the order in which it was sent; nothing that
was drawn is left out, and no panel holds the same result twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from service.domain.panels import Panel, Result
from service.formats.fhir.issues import Log
from service.formats.fhir.observation import Drawn
from service.formats.panel_shape import MAX_RESULTS

# Which panel, and which result in it.
Position = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The panels, and for each sequence of results that came in, where they went."""

    panels: tuple[Panel, ...]
    positions: tuple[tuple[Position, ...], ...]


@dataclass(slots=True, kw_only=True, frozen=True)
class _Open:
    """A panel that is still being filled."""

    first: Drawn = field(repr=False)
    number: int
    names: set[object] = field(default_factory=set, repr=False)
    results: list[Result] = field(default_factory=list, repr=False)

    def takes(self, name: object) -> bool:
        return len(self.results) < MAX_RESULTS and name not in self.names

    def add(self, one: Drawn, name: object) -> Position:
        self.names.add(name)
        self.results.append(one.result)
        return self.number, len(self.results) - 1

    def panel(self) -> Panel:
        return Panel(
            patient=self.first.patient,
            collected_at=self.first.collected_at,
            issued_at=self.first.issued_at,
            accession=self.first.accession,
            results=tuple(self.results),
        )


def gather(brought: Iterable[Sequence[Drawn]]) -> Gathered:
    """Panels of the results of several resources."""
    made: list[_Open] = []
    latest: dict[object, _Open] = {}
    positions = []
    for drawn in brought:
        mine = []
        for one in drawn:
            key, name = (one.patient, one.collected_at, one.issued_at, one.accession), _name(one.result)
            if key not in latest or not latest[key].takes(name):
                latest[key] = _Open(first=one, number=len(made))
                made.append(latest[key])
            mine.append(latest[key].add(one, name))
        positions.append(tuple(mine))
    return Gathered(panels=tuple(one.panel() for one in made), positions=tuple(positions))


def _name(result: Result) -> object:
    return result.sender_id if result.sender_id is not None else (result.code, result.analyte)


def check_repeated(brought: Sequence[tuple[Log, Sequence[Drawn]]], *, unit: bool, versions: bool = False) -> None:
    """Look for results that are one and the same to us, and log a fault with the later one.

    In a message that is one unit no result may come twice under its identity; without any, two of one code, patient,
    time and specimen cannot be told apart whatever the message. Only ``versions`` of one may have different codes:
    elsewhere an identifier that two analytes share is that of an order, and one would replace the other.
    """
    if not unit and not versions:
        _check_shared(brought)
    seen: set[object] = set()
    for log, drawn in brought:
        for one in drawn:
            if one.extra or (one.result.sender_id is not None and not unit):
                continue
            name = _whole_name(one)
            if name in seen:
                detail = "is the same result as an earlier one of this message"
                log.fault(one.result.pointer, "identity-repeated", detail, hint="give each its own identifier")
            seen.add(name)


def _check_shared(brought: Iterable[tuple[Log, Sequence[Drawn]]]) -> None:
    first: dict[object, tuple[Log, Drawn]] = {}
    for log, one in ((log, one) for log, drawn in brought for one in drawn):
        if one.extra or one.result.sender_id is None:
            continue
        log_before, before = first.setdefault(_whole_name(one), (log, one))
        if _codes(one.result).isdisjoint(_codes(before.result)):
            detail = "has the identity of another result of this message, which is of another code"
            for where, which in ((log_before, before), (log, one)):
                where.fault(which.result.pointer, "identity-repeated", detail, hint="give each its own identifier")


def _codes(result: Result) -> set[object]:
    return {result.code, *result.other_codes}


def _whole_name(one: Drawn) -> object:
    who = one.patient.authority, one.patient.identifier
    if one.result.sender_id is not None:
        return who, one.result.sender_id
    return who, one.result.code, one.collected_at, one.accession
