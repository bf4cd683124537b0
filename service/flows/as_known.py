"""The flags and the timeline of a patient as they were known at an earlier moment.

    the panels kept by then ─► facts learned again, panel by panel ─► retelling ─► the kept rows, as they stood then
    and the acts                                                        ▲

Law: the retelling says only which rows were there and how they stood; what is shown of them is what was kept. What
cannot be told for certain is said.
"""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Row

from service.catalogue.load import Catalogue
from service.domain.acts import ActKind
from service.domain.episodes import FlagKey
from service.domain.errors import Unavailable
from service.domain.panels import Status
from service.domain.rules import Finding
from service.domain.timeline import Facts, Version
from service.domain.verdicts import Verdict
from service.flows.facts_then import facts_after
from service.flows.retelling import Brought, Deed, FlagThen, Names, Retelling, Step
from service.storage import history, past, patients, results
from service.storage.history import FlagFilter, Place
from service.storage.past import KeptMessage
from service.storage.timeline import Entry, StandingFlag, TimelineFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """Is it certain that it was known so? If not, ``notice`` says why."""

    exact: bool = True
    notice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Then:
    """One patient as known at a moment. ``results``: the kept versions by result and number."""

    moment: datetime
    retold: Retelling
    results: Mapping[tuple[str, int], Row[Any]] = field(repr=False)
    flags: Sequence[Row[Any]] = field(repr=False)
    certainty: Certainty

    def stood(self, row: Row[Any]) -> FlagThen:
        """How a flag stood; as it stands today where that cannot be told."""
        then = self.retold.flags.get(row.id)
        if then is not None and then.episode is not None:
            return then
        return FlagThen(
            state=row.state, episode=row.episode_id, changed_at=row.changed_at, superseded_by=row.superseded_by
        )


def flag_page(
    connection: Connection, wanted: FlagFilter, *, catalogue: Catalogue, after: Place | None, limit: int
) -> tuple[list[Any], Certainty]:
    """As ``history.flag_page``, at the moment that the filter names. Raises ``Unavailable`` without a rule set."""
    then = _then(connection, wanted, catalogue)
    found = [(row, stood) for row in then.flags if _is_wanted(row, stood := then.stood(row), wanted)]
    found.sort(key=lambda one: (one[0].collected_at, one[0].id), reverse=True)
    page = [one for one in found if after is None or (one[0].collected_at, one[0].id) < after][:limit]
    kept = history.some_flags(connection, [row.id for row, _ in page])
    return [_as_it_stood(kept[row.id], stood) for row, stood in page], then.certainty


def _is_wanted(row: Row[Any], stood: FlagThen, wanted: FlagFilter) -> bool:
    lists = (
        (row.finding, wanted.finding),
        (row.severity, wanted.severity),
        (row.source, wanted.source),
        (stood.state, wanted.state),
    )
    return all(not listed or said in listed for said, listed in lists) and _collected_within(row.collected_at, wanted)


def _collected_within(moment: datetime, wanted: FlagFilter | TimelineFilter) -> bool:
    late_enough = wanted.collected_from is None or moment >= wanted.collected_from
    return late_enough and (wanted.collected_to is None or moment <= wanted.collected_to)


def _as_it_stood(row: Row[Any], stood: FlagThen) -> Any:
    own = {"state": stood.state, "superseded_by": stood.superseded_by, "changed_at": stood.changed_at}
    return SimpleNamespace(**{**row._asdict(), **own, "episode_id": stood.episode})


def timeline_page(
    connection: Connection, wanted: TimelineFilter, *, catalogue: Catalogue, after: Place | None, limit: int
) -> tuple[list[Entry], Certainty]:
    """As ``timeline.timeline_page``, at the moment that the filter names. Raises ``Unavailable`` without a rule set."""
    then = _then(connection, wanted, catalogue)
    found = [
        ((held.collected_at, held.key), held.version, count, verdict)
        for held, count, verdict in then.retold.counting()
        if (not wanted.analyte or held.analyte in wanted.analyte) and _collected_within(held.collected_at, wanted)
    ]
    found.sort(key=lambda one: one[0], reverse=not wanted.oldest_first)
    page = [one for one in found if after is None or _lies_behind(one[0], after, wanted)][:limit]
    names = [key for (_, key), *_ in page]
    said = past.verdicts_by(connection, wanted.patient, names, moment=then.moment)
    raised = _standing(then, names)
    entries = [
        Entry(
            result=then.results[key, version],
            verdict=_as_said(verdict, said.get((key, version), ())),
            flag=raised.get(key),
            versions=count,
        )
        for (_, key), version, count, verdict in page
    ]
    return entries, then.certainty


def _lies_behind(place: Place, after: Place, wanted: TimelineFilter) -> bool:
    return place > after if wanted.oldest_first else place < after


def _standing(then: _Then, subjects: Sequence[str]) -> Mapping[str, StandingFlag]:
    """The flags that stood on some results, by result."""
    own, rows = set(subjects), {row.id: row for row in then.flags}
    names = {subject: name for (subject, _), name in then.retold.standing.items() if subject in own}
    stood = {subject: (name, then.stood(rows[name])) for subject, name in names.items()}
    return {
        subject: StandingFlag(id=name, state=one.state, episode=str(one.episode))
        for subject, (name, one) in stood.items()
    }


def _as_said(verdict: Verdict, kept: Sequence[Row[Any]]) -> Verdict | Row[Any]:
    """The verdict; in the words of then, where it is said in other words today."""
    return verdict if not kept or any(_says_the_same(row, verdict) for row in kept) else kept[-1]


def _says_the_same(row: Row[Any], verdict: Verdict) -> bool:
    return all(getattr(row, name) == getattr(verdict, name) for name in _SAID)


_SAID = (
    "outcome", "analyte", "finding", "severity", "at_least", "grade", "classification", "direction", "provisional",
    "why", "reason", "hint", "context",
)  # fmt: skip


def _then(connection: Connection, wanted: FlagFilter | TimelineFilter, catalogue: Catalogue) -> _Then:
    patient_id, moment = wanted.patient, wanted.as_known_at
    if patient_id is None or moment is None:
        raise ValueError("of whom, and as known at which moment?")
    # A panel counts as known once it and all that were kept before it had come: what is answered was indeed so once,
    # even where a clock went backward between two of them.
    before = past.first_after(connection, patient_id, moment)
    brought = past.versions(connection, patient_id, before=before)
    _refuse_without_rule_sets(brought, catalogue)
    raised = past.raised(connection, patient_id, before=before)
    retold = Retelling(catalogue.rulebook, _names(raised, past.told(connection, patient_id)))
    facts_then = True
    today = patients.get(connection, patient_id).known.facts
    deeds = deque(past.deeds(connection, patient_id, before=before))
    for message, facts in facts_after(past.messages(connection, patient_id, before=before)):
        facts_then = facts is not None
        _tell(deeds, retold, until=message.panel)
        retold.take(_step(message, today if facts is None else facts, brought.get(message.panel, ())))
    _tell(deeds, retold)
    return _Then(
        moment=moment,
        retold=retold,
        results={(row.id, row.version): row for rows in brought.values() for row in rows},
        flags=raised,
        certainty=_certainty(facts_then=facts_then, odd=retold.odd),
    )


def _tell(deeds: deque[Row[Any]], retold: Retelling, *, until: str | None = None) -> None:
    """Tell again what people did before a panel came."""
    while deeds and (until is None or past.place_of(deeds[0].id) < past.place_of(until)):
        row = deeds.popleft()
        by = row.id if row.kind == ActKind.ACKNOWLEDGE.value else None
        retold.acted(Deed(episode=row.episode_id, at=row.at, acknowledged_by=by))


def _step(message: KeptMessage, facts: Facts, rows: Sequence[Row[Any]]) -> Step:
    brought = [_brought(row) for row in rows]
    return Step(panel=message.panel, at=message.received_at, facts=facts, brought=brought)


def _refuse_without_rule_sets(brought: Mapping[str, Sequence[Row[Any]]], catalogue: Catalogue) -> None:
    judged_by = {row.ruleset for rows in brought.values() for row in rows}
    if gone := sorted(judged_by - set(catalogue.rulebook.rulesets)):
        raise Unavailable(f"the rule set {gone[0]} is not loaded")


def _brought(row: Row[Any]) -> Brought:
    version = Version(number=row.version, status=Status(row.status), issued_at=row.issued_at)
    return Brought(version=version, held=results.held(row))


def _certainty(*, facts_then: bool, odd: bool) -> Certainty:
    """How certain it is; the facts first, for what is odd may follow from them."""
    if not facts_then:
        return Certainty(exact=False, notice=_FACTS_OF_TODAY)
    return Certainty(exact=False, notice=_OTHERWISE_TODAY) if odd else Certainty()


_FACTS_OF_TODAY = "a message is not kept any more or cannot be read: judged with the facts about the patient of today"
_OTHERWISE_TODAY = "judged again, some flags come out otherwise: they are shown as they stand today"


def _names(raised: Sequence[Row[Any]], told: Sequence[Row[Any]]) -> Names:
    flags: dict[str, dict[FlagKey, str]] = defaultdict(dict)
    for row in raised:
        flags[row.panel_id][row.subject, Finding(row.finding)] = row.id
    opened: dict[str, str] = {}
    resolved: dict[tuple[str, datetime], deque[str]] = defaultdict(deque)
    for row in told:
        if row.type == "lab.flag.resolved":
            resolved[row.flag_id, row.at].append(row.episode_id)
        elif row.type in _RAISED:
            opened[row.flag_id] = row.episode_id
    return Names(flags=flags, opened=opened, resolved=resolved)


# A flag that only replaces another is not told by itself; but no episode ever begins with one.
_RAISED = frozenset(f"lab.flag.{kind}" for kind in ("raised", "escalated", "improved", "repeated"))
