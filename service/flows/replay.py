"""A flag is judged again from what is stored, and compared with what was kept.

    the flag ─► its collection as it counted then + the facts as known then ─► judge ─► the same flag, or what differs

Law: nothing is written, and nothing is taken from the answer that is being checked: the results are the kept versions,
and the facts are learned again from the kept messages.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row

from service.catalogue.load import Catalogue
from service.domain.episodes import Flag
from service.domain.judge import judge
from service.domain.timeline import Facts, Held, Timeline
from service.flows.facts_then import facts_after
from service.flows.means import Means
from service.storage import judgements, past, patients


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A place of the flag (JSON Pointer; empty for the whole of it) that comes out otherwise now."""

    pointer: str
    was: Any = field(repr=False)
    now: Any = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of judging a flag again. ``patient`` is our own name for whose it is.

    ``facts_then``: the facts could be learned again from the messages; otherwise those known now were used.
    ``facts_changed``: those known now are others.
    """

    flag: str
    patient: str
    ruleset: str
    results: tuple[Held, ...] = field(repr=False)
    facts_then: bool
    facts_changed: bool
    differences: tuple[Difference, ...] = ()

    @property
    def equal(self) -> bool:
        return not self.differences


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """The facts of one patient as known now, and as known after each panel; None from the first unreadable one on."""

    now: Facts
    after: Mapping[str, Facts | None] = field(repr=False)


def replay(flag_id: str, means: Means) -> Replay:
    """One flag, judged again. Raises ``NotFound``."""
    with means.database.reading() as connection:
        row = past.flag_row(connection, flag_id)
        return _replayed(connection, row, known=_past(connection, row.patient_id), catalogue=means.catalogue)


def replay_all(means: Means) -> Iterator[Replay]:
    """Every flag ever raised, judged again; patient by patient, each as of one moment."""
    after = ""
    while names := _next_patients(means, after):
        for name in names:
            yield from _of_patient(means, name)
        after = names[-1]


def _next_patients(means: Means, after: str) -> tuple[str, ...]:
    with means.database.reading() as connection:
        return tuple(past.patients_with_flags(connection, after=after))


def _of_patient(means: Means, patient_id: str) -> tuple[Replay, ...]:
    with means.database.reading() as connection:
        known = _past(connection, patient_id)
        rows = past.flag_rows(connection, patient_id)
        return tuple(_replayed(connection, row, known=known, catalogue=means.catalogue) for row in rows)


def _past(connection: Connection, patient_id: str) -> _Past:
    learned = facts_after(past.messages(connection, patient_id))
    after = {message.panel: facts for message, facts in learned}
    return _Past(now=patients.get(connection, patient_id).known.facts, after=after)


def _replayed(connection: Connection, row: Row[Any], *, known: _Past, catalogue: Catalogue) -> Replay:
    then = known.after.get(row.panel_id)
    facts = known.now if then is None else then
    held = past.collection_then(connection, row)
    return Replay(
        flag=row.id,
        patient=row.patient_id,
        ruleset=row.ruleset,
        results=held,
        facts_then=then is not None,
        facts_changed=then is not None and then != known.now,
        differences=tuple(_differences(row, Timeline(facts=facts, results=held), catalogue)),
    )


def _differences(row: Row[Any], timeline: Timeline, catalogue: Catalogue) -> Iterator[Difference]:
    flag = judgements.flag(row)
    if gone := sorted({held.ruleset for held in timeline.results} - set(catalogue.rulebook.rulesets)):
        yield Difference(pointer="/ruleset", was=gone[0], now=None)
        return
    judged = judge(timeline, catalogue.rulebook)
    again = judged.flags.get(flag.key)
    if again is None:
        verdict = judged.verdicts.get(flag.subject)
        yield Difference(pointer="", was="flagged", now=verdict.outcome.value if verdict else "no flag")
        return
    yield from _unlike(_data(flag), _data(again), "")
    note = catalogue.note(again.finding, again.severity).id
    if note != row.note_id:
        yield Difference(pointer="/note/id", was=row.note_id, now=note)


def _data(flag: Flag) -> dict[str, Any]:
    """What a flag says, as plain data."""
    said = {name: getattr(flag, name) for name in _SAID}
    return said | {"results": list(flag.basis), "explanation": dict(flag.explanation)}


_SAID = (
    "finding", "severity", "analyte", "grade", "classification", "direction", "at_least", "provisional",
    "ruleset", "why",
)  # fmt: skip


def _unlike(was: Any, now: Any, pointer: str) -> Iterator[Difference]:
    """The innermost places at which two pieces of plain data differ; a list is compared as a whole."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for name in (*was, *(name for name in now if name not in was)):
            yield from _unlike(was.get(name), now.get(name), f"{pointer}/{name}")
    elif was != now:
        yield Difference(pointer=pointer, was=was, now=now)
