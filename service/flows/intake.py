"""Panels come in: each is judged with all that is held of its patient, kept, and what changed is put out to be told.

    lock the patients ─► at hand ─► for each panel: arrivals ─► judge ─► diff ─► receipt ─► write all of it

Law: one transaction. Either everything of a panel is kept or nothing of it, and nothing is answered before the commit.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from service.domain.changes import diff
from service.domain.errors import BadInput, Fault
from service.domain.judge import Judgement, carry_on, judge
from service.domain.panels import Result
from service.domain.rulesets import Rulebook
from service.domain.timeline import Timeline, by_key
from service.domain.verdicts import Reason, Verdict, replaced
from service.flows import keeping
from service.flows.arrivals import Arrival
from service.flows.incoming import AtHand, Incoming, Order, at_hand
from service.flows.keeping import Named, Occasion
from service.flows.means import Means
from service.flows.receipts import Items, Receipt, ShownFlag, receipt
from service.flows.remembering import Memory, memory, one_at_a_time
from service.storage import judgements, panels, patients, results
from service.storage.ids import new_id
from service.storage.judgements import NewVerdict
from service.storage.panels import Item, KeptPanel
from service.storage.patients import KeptPatient, Who
from service.storage.results import NewVersion
from service.storage.writes import Writes

Verdicts = Mapping[str, Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """The judgement as it stood and as it is now. ``versions``: of the results that were judged again, if any were."""

    before: Judgement = field(repr=False)
    after: Judgement = field(repr=False)
    versions: Mapping[str, int] = field(default_factory=dict)


def take_in(one: Order, means: Means, *, dry_run: bool = False, strict: bool = False) -> Receipt:
    """Take in one panel, in a transaction of its own.

    With ``dry_run`` everything is judged and nothing is kept; with ``strict`` a fault of meaning refuses the panel.
    Raises ``BadInput`` with every fault, ``InUse`` when its Idempotency-Key is, and ``Unavailable``.
    """
    (taken,) = _taken([one], means, dry_run=dry_run, strict=strict)
    if taken is None:
        raise RuntimeError("a panel alone waits for no other")
    return taken


def take_in_with_others(one: Order, means: Means) -> Receipt:
    """Take in one panel, together with those that other threads bring at the same time.

    Raises ``BadInput`` and ``InUse`` when its Idempotency-Key cannot be used, and ``Unavailable``.
    """

    def work(orders: Sequence[Order]) -> Sequence[Receipt | None]:
        return take_in_together(orders, means)

    found: Receipt = means.company.run(one, work)
    return found


def take_in_together(orders: Sequence[Order], means: Means) -> list[Receipt | None]:
    """Take in as many panels as can be judged before any of them is written, in their order and in one transaction.

    None stands for those that have to wait until the others are kept. The first never has to. Raises ``Unavailable``.
    """
    return _taken(orders, means)


def _taken(
    orders: Sequence[Order], means: Means, *, dry_run: bool = False, strict: bool = False
) -> list[Receipt | None]:
    try:
        with _at_desk(orders, means, dry_run=dry_run) as desk:
            return [_take(desk, one, strict=strict) for one in orders]
    except IntegrityError:
        if not means.kept_notes:
            raise
    # The database may be another one by now, from a backup, and not have the notes that this process has kept.
    means.kept_notes.clear()
    return _taken(orders, means, dry_run=dry_run, strict=strict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What lies on the desk while a transaction lasts. With ``dry_run`` nothing is ever written."""

    connection: Connection
    means: Means
    patients: Mapping[Who, AtHand]
    memory: Memory
    dry_run: bool
    writes: Writes = field(default_factory=Writes)


@contextmanager
def _at_desk(orders: Sequence[Order], means: Means, *, dry_run: bool = False) -> Iterator[_Desk]:
    """A desk for some orders; when the block ends, everything on it is written and committed."""
    with one_at_a_time(), means.database.reading() if dry_run else means.database.transaction() as connection:
        desk = _desk(connection, orders, means=means, dry_run=dry_run)
        yield desk
        desk.writes.flush(connection)
    means.kept_notes.update(desk.writes.note_ids)


def _desk(connection: Connection, orders: Sequence[Order], *, means: Means, dry_run: bool = False) -> _Desk:
    now = max(one.message.received_at for one in orders)
    found = at_hand(connection, orders, now=now, lock=not dry_run)
    remembered = memory(connection, [one.remembering for one in orders], now=now)
    return _Desk(connection=connection, means=means, patients=found, memory=remembered, dry_run=dry_run)


def _take(desk: _Desk, one: Order, *, strict: bool = False) -> Receipt | None:
    """Take in one panel; None when it has to wait until what lies on the desk is written."""
    if desk.memory.must_wait(one.remembering):
        return None
    if recalled := desk.memory.recall(one.remembering):
        return recalled
    patient = desk.patients[one.who]
    incoming = patient.meets(one, ruleset=desk.means.catalogue.rulebook.current)
    if incoming is None:
        patient.waits = True
        return None
    if incoming.patient and incoming.changes_nothing:
        found = _repeated(desk, incoming, incoming.patient, strict=strict)
    else:
        found = _judged_and_kept(desk, incoming, patient, strict=strict)
    return desk.memory.keep(one.remembering, found, desk.writes, now=one.message.received_at)


def _judged_and_kept(desk: _Desk, incoming: Incoming, patient: AtHand, *, strict: bool) -> Receipt:
    means, rulebook = desk.means, desk.means.catalogue.rulebook
    judged = _judge(desk.connection, incoming, patient.standing, rulebook=rulebook)
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
        patient.waits = not incoming.only_newer
        patient.carried_on(incoming, now, named.episodes)
    return receipt(panel_id, items, named, flags=judged.after.flags, ruleset=rulebook.current)


def _judge(connection: Connection, incoming: Incoming, standing: Judgement, *, rulebook: Rulebook) -> _Judged:
    """Carried on where everything is newer, otherwise judged again from the beginning."""
    new = {one.held.key: one.held for one in incoming.arrivals if one.current and not one.duplicate}
    if incoming.patient is None or incoming.only_newer:
        timeline = Timeline(facts=incoming.known.facts, results=tuple(new.values()))
        return _Judged(before=standing, after=carry_on(standing, timeline, rulebook))
    name = incoming.patient.id
    revived = results.some(connection, name, incoming.revived) if incoming.revived else {}
    held = {**by_key(results.current(connection, name)), **new}
    held.update(by_key(results.held(row) for row in revived.values()))
    timeline = Timeline(facts=incoming.known.facts, results=tuple(held.values()))
    return _Judged(
        before=judgements.standing(connection, name),
        after=judge(timeline, rulebook),
        versions={key: one.version for key, one in held.items()},
    )


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
    message_id, panel_id = new_id("msg"), new_id("pnl")
    panel, message = incoming.order.panel, incoming.order.message
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
    on = Occasion(patient=patient.id, panel=panel_id, source=message.source, now=message.received_at)
    keeping.keep(writes, named, on, means=means)
    return panel_id


def _item(arrival: Arrival) -> Item:
    return Item(
        pointer=arrival.held.result.pointer,
        result=arrival.held.key,
        version=arrival.held.version,
        duplicate=arrival.duplicate,
        notice=arrival.notice,
    )


def _keep_results(writes: Writes, incoming: Incoming, patient: KeptPatient, *, panel_id: str) -> None:
    new = [
        NewVersion(
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


def _keep_verdicts(writes: Writes, incoming: Incoming, patient: KeptPatient, *, judged: _Judged) -> None:
    """Keep the verdict on everything new, and each verdict of old that is another one now."""
    before, after = judged.before.verdicts, judged.after.verdicts
    brought = {one.held.key: one for one in incoming.arrivals if not one.duplicate}
    own = {key for key, one in brought.items() if one.current}
    revived = {result for result, _ in incoming.revived}
    new = [
        NewVerdict(result=key, version=one.held.version, verdict=_verdict_on(one, after), current=one.current)
        for key, one in brought.items()
    ]
    other = [
        NewVerdict(result=key, version=judged.versions[key], verdict=after[key])
        for key in judged.versions
        if key in revived or (key not in own and replace(after[key], explanation=None) != before.get(key))
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


def _repeated(desk: _Desk, incoming: Incoming, patient: KeptPatient, *, strict: bool) -> Receipt:
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
    )
