"""What lies on the desk while panels are taken in: one transaction, in one pass or several.

    lock the patients ─► at hand ─► for each panel: arrivals ─► judge ─► diff ─► receipt ─► write all of it
                                        ▲                                                       │
                                        └──── those that touch what was not written yet ◄───────┘

Law: one transaction. Either everything of a panel is kept or nothing of it, and nothing is answered before the commit.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from operator import attrgetter

from sqlalchemy import Connection

from service.domain.changes import diff
from service.domain.errors import BadInput, Fault
from service.domain.judge import Judgement, carry_on, judge
from service.domain.panels import Result
from service.domain.rulesets import Rulebook
from service.domain.timeline import Held, Timeline, by_key
from service.domain.verdicts import Reason, Verdict, replaced
from service.flows import keeping
from service.flows.arrivals import Arrival
from service.flows.incoming import AtHand, Incoming, Order, Picture, at_hand
from service.flows.keeping import Named, Occasion
from service.flows.means import Means
from service.flows.receipts import Items, Receipt, ShownFlag, receipt
from service.flows.remembering import Memory, memory, one_at_a_time
from service.storage import judgements, panels, patients, results
from service.storage.ids import new_id
from service.storage.judgements import new_verdict
from service.storage.panels import Item, KeptPanel, new_item
from service.storage.patients import KeptPatient, Who
from service.storage.results import new_version
from service.storage.writes import Writes

Verdicts = Mapping[str, Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What lies on the desk while a transaction lasts. With ``dry_run`` nothing is ever written."""

    connection: Connection
    means: Means
    patients: Mapping[Who, AtHand]
    memory: Memory
    dry_run: bool
    writes: Writes = field(default_factory=Writes)

    def write(self) -> None:
        """Write everything that lies here."""
        if not self.dry_run:
            self.writes.flush(self.connection)


@contextmanager
def at_desk(orders: Sequence[Order], means: Means, *, now: datetime, dry_run: bool = False) -> Iterator[Desk]:
    """A desk for some orders; when the block ends, everything on it is written and committed."""
    with one_at_a_time(), means.database.reading() if dry_run else means.database.transaction() as connection:
        desk = Desk(
            connection=connection,
            means=means,
            patients=at_hand(connection, orders, now=now, lock=not dry_run),
            memory=memory(connection, [one.remembering for one in orders], now=now),
            dry_run=dry_run,
        )
        yield desk
        desk.write()
    means.kept_notes.update(desk.writes.note_ids)


def take_each(
    desk: Desk, orders: Sequence[Order], *, strict: bool = False, seconds: float = float("inf")
) -> list[Receipt | None]:
    """Take in panels in their order, pass by pass, but begin no pass after so many ``seconds``.

    In each pass those are taken in that do not touch what is not written yet. The first never does; None stands for
    those that would need another pass.
    """
    done: dict[int, Receipt] = {}
    left, began = list(range(len(orders))), time.monotonic()
    while left:
        for place in left:
            taken = _take(desk, orders[place], strict=strict)
            if taken is not None:
                done[place] = taken
        left = [place for place in left if place not in done]
        if left:
            desk.write()
            for patient in desk.patients.values():
                patient.written()
            if time.monotonic() - began >= seconds:
                break
    return [done.get(place) for place in range(len(orders))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """The judgement as it stood and as it is now. ``held``: all results of the patient, if they were judged again."""

    before: Judgement = field(repr=False)
    after: Judgement = field(repr=False)
    held: Mapping[str, Held] | None = field(default=None, repr=False)


def _take(desk: Desk, one: Order, *, strict: bool) -> Receipt | None:
    """Take in one panel; None when it has to wait until what lies on the desk is written."""
    if recalled := desk.memory.recall(one.remembering):
        return recalled
    patient = desk.patients[one.who]
    incoming = None if patient.must_wait(one) else _met(desk, one, patient)
    if incoming is None:
        patient.waits = True
        return None
    if incoming.patient and incoming.changes_nothing:
        found = _repeated(desk, incoming, incoming.patient, strict=strict)
    else:
        found = _judged_and_kept(desk, incoming, patient, strict=strict)
    return desk.memory.keep(one.remembering, found, desk.writes, now=one.message.received_at)


def _met(desk: Desk, one: Order, patient: AtHand) -> Incoming | None:
    if any(result.promotes for result in one.panel.results):
        one = _promoted(desk.connection, one, patient)
    return patient.meets(one, ruleset=desk.means.catalogue.rulebook.current)


def _promoted(connection: Connection, one: Order, patient: AtHand) -> Order:
    """The order with the values sent before, where a result only gives them another status (HL7 table 0085, U)."""
    names = dict(zip((result.pointer for result in one.panel.results), (name for _, name in one.names), strict=True))
    meant = {result.pointer: patient.counting(names[result.pointer]) for result in one.panel.results if result.promotes}
    wanted = [version for version in meant.values() if version is not None]
    if patient.patient is None or not wanted:
        return one
    rows = results.some(connection, patient.patient.id, wanted)
    said = {pointer: results.held(rows[version]).result for pointer, version in meant.items() if version is not None}
    whole = tuple(_with_value(result, said.get(result.pointer, result)) for result in one.panel.results)
    return replace(one, panel=replace(one.panel, results=whole))


def _with_value(sent: Result, said: Result) -> Result:
    """A result with the value that was said before, as it was read before."""
    return replace(said, pointer=sent.pointer, status=sent.status, mapped=said.mapped or sent.mapped)


def _judged_and_kept(desk: Desk, incoming: Incoming, patient: AtHand, *, strict: bool) -> Receipt:
    means, rulebook = desk.means, desk.means.catalogue.rulebook
    judged = _judge(desk.connection, incoming, patient, rulebook=rulebook)
    items = tuple((arrival, _verdict_on(arrival, judged.after.verdicts)) for arrival in incoming.arrivals)
    if strict:
        _refuse_faults_of_meaning(items)
    named = keeping.name(diff(judged.before, judged.after), judged.before)
    panel_id = None
    if incoming.patient is not None and not desk.dry_run:
        panel_id = _keep(desk.writes, incoming, incoming.patient, judged=judged, named=named, means=means)
        now = _learned(incoming, incoming.patient, keep_names=means.keep_names)
        if now != incoming.patient:
            patients.learned(desk.writes, now)
        patient.carried_on(incoming, now, named.episodes, panel=panel_id)
        if judged.held is not None:
            patient.waits, patient.picture = True, _picture(judged.held, judged.after, named)
    who, standing = incoming.patient.id if incoming.patient else None, judged.after.flags
    return receipt(panel_id, items, named, flags=standing, ruleset=rulebook.current, patient=who)


def _picture(held: Mapping[str, Held], after: Judgement, named: Named) -> Picture:
    """All that counts of a patient, as it would be read now."""
    names = {**named.before.flags, **{flag.key: flag for flag in named.born}}
    standing = sorted((names[key] for key in after.flags), key=_BY_TIME)
    judgement = Judgement(
        verdicts=after.verdicts,
        flags={flag.key: flag for flag in standing},
        episodes=tuple(sorted(named.episodes, key=judgements.by_time)),
    )
    return Picture(held=held, judgement=judgement)


_BY_TIME = attrgetter("collected_at", "subject")


def _read_picture(connection: Connection, patient_id: str) -> Picture:
    held = by_key(results.current(connection, patient_id))
    return Picture(held=held, judgement=judgements.standing(connection, patient_id))


def _judge(connection: Connection, incoming: Incoming, patient: AtHand, *, rulebook: Rulebook) -> _Judged:
    """Carried on where everything is newer, otherwise judged again from the beginning."""
    new = {one.held.key: one.held for one in incoming.arrivals if one.current and not one.duplicate}
    if incoming.patient is None or incoming.only_newer:
        timeline = Timeline(facts=incoming.known.facts, results=tuple(new.values()))
        standing = patient.standing
        return _Judged(before=standing, after=carry_on(standing, timeline, rulebook))
    name = incoming.patient.id
    revived = results.some(connection, name, incoming.revived) if incoming.revived else {}
    picture = patient.picture or _read_picture(connection, name)
    held = {**picture.held, **new}
    held.update(by_key(results.held(row) for row in revived.values()))
    timeline = Timeline(facts=incoming.known.facts, results=tuple(held.values()))
    return _Judged(before=picture.judgement, after=judge(timeline, rulebook), held=held)


def _verdict_on(arrival: Arrival, verdicts: Verdicts) -> Verdict:
    if arrival.current:
        return verdicts[arrival.held.key]
    return replaced(arrival.held.analyte, arrival.held.ruleset)


_FIELD = {
    Reason.UNIT_UNKNOWN: "unit",
    Reason.VALUE_NOT_NUMERIC: "value",
    Reason.IMPLAUSIBLE: "value",
    Reason.COMPARATOR_UNUSABLE: "comparator",
    Reason.RANGE_UNUSABLE: "reference_range",
}


def _refuse_faults_of_meaning(items: Items) -> None:
    """Raise ``BadInput`` with every fault that the sender can mend."""
    faults = [
        Fault(
            pointer=_pointer(one.held.result, verdict.reason),
            code=verdict.reason.replace("_", "-"),
            detail=verdict.why,
            hint=verdict.hint,
        )
        for one, verdict in items
        if verdict.reason is not None and verdict.reason.mendable
    ]
    if faults:
        raise BadInput(faults, kind="not-judgeable")


def _pointer(result: Result, reason: Reason) -> str:
    """The place in the message that would have to be mended."""
    if reason is Reason.FACTS_CONTRADICT:
        return "/patient/birth_date"
    if reason is Reason.CODE_UNMAPPED:
        return f"{result.pointer}/{'code' if result.analyte is None else 'analyte'}"
    return f"{result.pointer}/{_FIELD[reason]}"


def _keep(
    writes: Writes, incoming: Incoming, patient: KeptPatient, *, judged: _Judged, named: Named, means: Means
) -> str:
    message_id, panel_id = incoming.order.message_id, new_id("pnl")
    panel, message = incoming.order.panel, incoming.order.message
    if message_id is None:
        message_id = new_id("msg")
        panels.keep_message(writes, message_id, message)
    kept = KeptPanel(
        id=panel_id,
        patient_id=patient.id,
        source=message.source,
        collected_at=panel.collected_at,
        received_at=message.received_at,
        items=tuple(_item(one) for one in incoming.arrivals),
    )
    panels.keep_panel(writes, panel, kept=kept, message_id=message_id)
    _keep_results(writes, incoming, patient, panel_id=panel_id)
    _keep_verdicts(writes, incoming, patient, judged=judged)
    on = Occasion(
        patient=patient.id,
        panel=panel_id,
        source=message.source,
        now=message.received_at,
        test=message.trial,
        quiet=message.quiet,
    )
    keeping.keep(writes, named, on, means=means)
    keeping.tell_of_lacking(writes, _lacking(incoming, judged.after.verdicts), on)
    return panel_id


def _lacking(incoming: Incoming, verdicts: Verdicts) -> Iterator[tuple[Held, Reason]]:
    """What came now of a known analyte and could not be judged, for a reason that its sender can mend."""
    for one in incoming.arrivals:
        if one.current and not one.duplicate and one.held.analyte is not None:
            reason = verdicts[one.held.key].reason
            if reason is not None and reason.mendable:
                yield one.held, reason


def _item(arrival: Arrival) -> Item:
    return new_item(
        pointer=arrival.held.result.pointer,
        result=arrival.held.key,
        version=arrival.held.version,
        duplicate=arrival.duplicate,
        notice=arrival.notice,
    )


def _keep_results(writes: Writes, incoming: Incoming, patient: KeptPatient, *, panel_id: str) -> None:
    new = [
        new_version(
            held=one.held,
            panel=panel_id,
            identity=one.identity,
            fingerprint=one.fingerprint,
            current=one.current,
            issued_at=incoming.order.panel.issued_at,
            received_at=incoming.order.message.received_at,
        )
        for one in incoming.arrivals
        if not one.duplicate
    ]
    results.keep(writes, patient.id, new, revived=incoming.revived)


# All but the explanation, which is kept with the flag.
_said = attrgetter(*(one.name for one in fields(Verdict) if one.name != "explanation"))


def _says_the_same(one: Verdict, other: Verdict | None) -> bool:
    return one is other or (other is not None and _said(one) == _said(other))


def _keep_verdicts(writes: Writes, incoming: Incoming, patient: KeptPatient, *, judged: _Judged) -> None:
    """Keep the verdict on everything new, and each verdict of old that is another one now."""
    before, after = judged.before.verdicts, judged.after.verdicts
    brought = {one.held.key: one for one in incoming.arrivals if not one.duplicate}
    own = {key for key, one in brought.items() if one.current}
    revived = {result for result, _ in incoming.revived}
    new = [
        new_verdict(result=key, version=one.held.version, verdict=_verdict_on(one, after), current=one.current)
        for key, one in brought.items()
    ]
    other = [
        new_verdict(result=key, version=one.version, verdict=after[key])
        for key, one in (judged.held or {}).items()
        if key in revived or (key not in own and not _says_the_same(after[key], before.get(key)))
    ]
    replacing = [one.result for one in (*new, *other) if one.current and one.result in before]
    now = incoming.order.message.received_at
    judgements.keep_verdicts(writes, patient.id, [*new, *other], now=now, replacing=replacing)


def _learned(incoming: Incoming, patient: KeptPatient, *, keep_names: bool) -> KeptPatient:
    """The patient as known now."""
    panel, last = incoming.order.panel, patient.last_collected_at
    return replace(
        patient,
        known=incoming.known,
        name=panel.patient.name if keep_names and panel.patient.name else patient.name,
        last_collected_at=max(last or panel.collected_at, panel.collected_at),
    )


def _repeated(desk: Desk, incoming: Incoming, patient: KeptPatient, *, strict: bool) -> Receipt:
    """The answer to a panel of which everything was held already: what was answered before, as it stands now."""
    keys = [one.held.key for one in incoming.arrivals]
    current = judgements.current_verdicts(desk.connection, patient.id, keys)
    items = tuple((one, _verdict_on(one, current)) for one in incoming.arrivals)
    if strict:
        _refuse_faults_of_meaning(items)
    standing = judgements.flags_on(desk.connection, patient.id, keys)
    return Receipt(
        id=incoming.arrivals[0].panel,
        duplicate=True,
        ruleset=desk.means.catalogue.rulebook.current,
        items=items,
        flags=tuple(ShownFlag(flag=flag, state=state, episode=episode) for flag, state, episode in standing),
        patient=patient.id,
    )
