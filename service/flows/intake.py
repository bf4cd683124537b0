"""A panel comes in: it is judged with all that is held of the patient, kept, and what changed is put out to be told.

    lock the patient ─► arrivals ─► gather (open episodes, or the whole timeline) ─► judge ─► diff ─► keep ─► receipt

Law: one transaction. Either everything of a panel is kept or nothing of it, and nothing is answered before the commit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from service.domain.changes import diff
from service.domain.episodes import Episode, Flag
from service.domain.errors import BadInput, Fault
from service.domain.facts import Known, learn
from service.domain.judge import Judgement, carry_on, judge
from service.domain.panels import Panel, Result
from service.domain.timeline import Timeline, by_key
from service.domain.verdicts import Reason, Verdict, replaced
from service.flows import keeping
from service.flows.arrivals import Arrival, arrivals, identities
from service.flows.keeping import Named, Occasion, Told
from service.flows.means import Means
from service.storage import judgements, panels, patients, results
from service.storage.ids import new_id
from service.storage.judgements import NewVerdict
from service.storage.panels import Item, KeptPanel, Message
from service.storage.patients import KeptPatient
from service.storage.results import NewVersion

Verdicts = Mapping[str, Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFlag:
    """A flag as the answer shows it: with its state and its episode."""

    flag: Flag
    state: str
    episode: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a panel: every place with its verdict, the flags that stand on it, and what changed.

    ``id`` is None when nothing was kept.
    """

    id: str | None
    duplicate: bool
    ruleset: str
    items: tuple[tuple[Arrival, Verdict], ...]
    flags: tuple[ShownFlag, ...] = field(repr=False)
    told: tuple[Told, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A panel beside what was held of its results and its patient. ``patient`` is None when there is none yet."""

    panel: Panel
    message: Message
    patient: KeptPatient | None
    known: Known
    arrivals: tuple[Arrival, ...]

    @property
    def changes_nothing(self) -> bool:
        """Was all of it held already? A newer statement of the same fact is something new: it outranks older ones."""
        as_known = self.patient is not None and self.patient.known == self.known
        return as_known and all(one.duplicate for one in self.arrivals)

    @property
    def revived(self) -> tuple[tuple[str, int], ...]:
        """The kept versions that count from now on, by result."""
        return tuple((one.held.key, one.revives) for one in self.arrivals if one.revives is not None)

    @property
    def facts_changed(self) -> bool:
        return self.patient is not None and self.patient.known.facts != self.known.facts

    @property
    def only_newer(self) -> bool:
        """Is everything in it newer than all that is held, so that the judgement can carry on from where it stands?"""
        last = self.patient.last_collected_at if self.patient else None
        newer = last is None or self.panel.collected_at > last
        return newer and not self.facts_changed and not any(one.known for one in self.arrivals)


def take_in(panel: Panel, message: Message, means: Means, *, dry_run: bool = False, strict: bool = False) -> Receipt:
    """Take in one panel.

    With ``dry_run`` everything is judged and nothing is kept; with ``strict`` a fault of meaning refuses the panel.
    Raises ``BadInput`` with every fault, and ``Unavailable``.
    """
    names = identities(panel, message.source, means.catalogue.rulebook.analytes)
    database = means.database
    with database.reading() if dry_run else database.transaction() as connection:
        incoming = _incoming(connection, panel, message, means=means, names=names, lock=not dry_run)
        if incoming.patient and incoming.changes_nothing:
            return _repeated(connection, incoming, incoming.patient, means=means, strict=strict)
        before, after = _judge(connection, incoming, means)
        verdicts = {one.held.key: _verdict_on(one, after.verdicts) for one in incoming.arrivals}
        if strict:
            _refuse_faults_of_meaning(incoming, verdicts)
        named = keeping.name(diff(before, after), before)
        if dry_run or incoming.patient is None:
            return _receipt(None, incoming, verdicts, after=after, named=named, means=means)
        panel_id = _keep(connection, incoming, incoming.patient, after=after, named=named, means=means)
        return _receipt(panel_id, incoming, verdicts, after=after, named=named, means=means)


def _incoming(
    connection: Connection,
    panel: Panel,
    message: Message,
    *,
    means: Means,
    names: tuple[tuple[str | None, str], ...],
    lock: bool,
) -> Incoming:
    # Without an assigning authority an identifier means something only beside the system that sent it.
    who = {"authority": panel.patient.authority or message.source, "identifier": panel.patient.identifier}
    patient = patients.lock(connection, **who, now=message.received_at) if lock else patients.find(connection, **who)
    kept = results.versions(connection, patient.id, [name for _, name in names]) if patient else {}
    brought = arrivals(panel, names, kept=kept, ruleset=means.catalogue.rulebook.current, new_id=lambda: new_id("res"))
    known = learn(patient.known if patient else Known(), panel)
    return Incoming(panel=panel, message=message, patient=patient, known=known, arrivals=brought)


def _judge(connection: Connection, incoming: Incoming, means: Means) -> tuple[Judgement, Judgement]:
    """The judgement as it stood and as it is now: carried on where everything is newer, otherwise made again."""
    rulebook, patient = means.catalogue.rulebook, incoming.patient
    new = {one.held.key: one.held for one in incoming.arrivals if one.current and not one.duplicate}
    if patient is None or incoming.only_newer:
        before = judgements.open_episodes(connection, patient.id) if patient else Judgement()
        timeline = Timeline(facts=incoming.known.facts, results=tuple(new.values()))
        return before, carry_on(before, timeline, rulebook)
    revived = results.some(connection, patient.id, incoming.revived) if incoming.revived else {}
    held = {**by_key(results.current(connection, patient.id)), **new}
    held.update(by_key(results.held(row) for row in revived.values()))
    timeline = Timeline(facts=incoming.known.facts, results=tuple(held.values()))
    return judgements.standing(connection, patient.id), judge(timeline, rulebook)


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


def _refuse_faults_of_meaning(incoming: Incoming, verdicts: Verdicts) -> None:
    """Raise ``BadInput`` with every fault that the sender can mend."""
    judged = [(one.held.result, verdicts[one.held.key]) for one in incoming.arrivals]
    faults = [
        Fault(
            pointer=_pointer(result, verdict.reason),
            code=verdict.reason.replace("_", "-"),
            detail=verdict.why,
            hint=verdict.hint,
        )
        for result, verdict in judged
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
    connection: Connection,
    incoming: Incoming,
    patient: KeptPatient,
    *,
    after: Judgement,
    named: Named,
    means: Means,
) -> str:
    message_id, panel_id = new_id("msg"), new_id("pnl")
    message = incoming.message
    panels.keep_message(connection, message_id, message)
    kept = KeptPanel(
        id=panel_id,
        patient_id=patient.id,
        source=message.source,
        collected_at=incoming.panel.collected_at,
        received_at=message.received_at,
        items=tuple(_item(one) for one in incoming.arrivals),
    )
    panels.keep_panel(connection, incoming.panel, kept=kept, message_id=message_id)
    _keep_results(connection, incoming, patient, panel_id=panel_id)
    _keep_verdicts(connection, incoming, patient, after=after, before=named.before)
    on = Occasion(patient=patient.id, panel=panel_id, source=message.source, now=message.received_at)
    keeping.keep(connection, named, on, catalogue=means.catalogue)
    _keep_patient(connection, incoming, patient, keep_names=means.keep_names)
    return panel_id


def _item(arrival: Arrival) -> Item:
    return Item(
        pointer=arrival.held.result.pointer,
        result=arrival.held.key,
        version=arrival.held.version,
        duplicate=arrival.duplicate,
        notice=arrival.notice,
    )


def _keep_results(connection: Connection, incoming: Incoming, patient: KeptPatient, *, panel_id: str) -> None:
    new = [
        NewVersion(
            held=one.held,
            panel=panel_id,
            identity=one.identity,
            fingerprint=one.fingerprint,
            current=one.current,
            issued_at=incoming.panel.issued_at,
            received_at=incoming.message.received_at,
        )
        for one in incoming.arrivals
        if not one.duplicate
    ]
    results.keep(connection, patient.id, new, revived=incoming.revived)


def _keep_verdicts(
    connection: Connection, incoming: Incoming, patient: KeptPatient, *, after: Judgement, before: Judgement
) -> None:
    """Keep the verdict on everything new, and each verdict of old that is another one now."""
    brought = {one.held.key: one for one in incoming.arrivals if not one.duplicate}
    judged = {key for key, one in brought.items() if one.current}
    revived = {result for result, _ in incoming.revived}
    new = [
        NewVerdict(result=key, version=one.held.version, verdict=_verdict_on(one, after.verdicts), current=one.current)
        for key, one in brought.items()
    ]
    versions = {} if not before.verdicts else {one.key: one.version for one in results.current(connection, patient.id)}
    other = [
        NewVerdict(result=key, version=versions[key], verdict=verdict)
        for key, verdict in after.verdicts.items()
        if key in revived or (key not in judged and replace(verdict, explanation=None) != before.verdicts.get(key))
    ]
    replacing = [one.result for one in (*new, *other) if one.current and one.result in before.verdicts]
    judgements.keep_verdicts(
        connection, patient.id, [*new, *other], now=incoming.message.received_at, replacing=replacing
    )


def _keep_patient(connection: Connection, incoming: Incoming, patient: KeptPatient, *, keep_names: bool) -> None:
    last, name = patient.last_collected_at, incoming.panel.patient.name
    now = replace(
        patient,
        known=incoming.known,
        name=name if keep_names and name else patient.name,
        last_collected_at=max(last or incoming.panel.collected_at, incoming.panel.collected_at),
    )
    if now != patient:
        patients.learned(connection, now)


def _repeated(
    connection: Connection, incoming: Incoming, patient: KeptPatient, *, means: Means, strict: bool
) -> Receipt:
    """The answer to a panel of which everything was held already: what was answered before, as it stands now."""
    keys = [one.held.key for one in incoming.arrivals]
    current = judgements.current_verdicts(connection, patient.id, keys)
    verdicts = {one.held.key: _verdict_on(one, current) for one in incoming.arrivals}
    if strict:
        _refuse_faults_of_meaning(incoming, verdicts)
    standing = judgements.flags_on(connection, patient.id, keys)
    return Receipt(
        id=incoming.arrivals[0].panel,
        duplicate=True,
        ruleset=means.catalogue.rulebook.current,
        items=tuple((one, verdicts[one.held.key]) for one in incoming.arrivals),
        flags=tuple(ShownFlag(flag=flag, state=state, episode=episode) for flag, state, episode in standing),
    )


def _receipt(
    panel_id: str | None, incoming: Incoming, verdicts: Verdicts, *, after: Judgement, named: Named, means: Means
) -> Receipt:
    keys = {one.held.key for one in incoming.arrivals}
    shown = [flag for flag in after.flags.values() if not keys.isdisjoint(flag.basis)]
    return Receipt(
        id=panel_id,
        duplicate=False,
        ruleset=means.catalogue.rulebook.current,
        items=tuple((one, verdicts[one.held.key]) for one in incoming.arrivals),
        flags=tuple(_shown(flag, named, kept=panel_id is not None) for flag in shown),
        told=_told(named, kept=panel_id is not None),
    )


def _told(named: Named, *, kept: bool) -> tuple[Told, ...]:
    """The changes; where nothing was kept, without the names of flags and episodes that there are not."""
    told = keeping.told(named)
    if kept:
        return told
    fresh = {flag.id for flag in named.born} | named.new_episodes
    return tuple(
        replace(
            one,
            flag=None if one.flag in fresh else one.flag,
            by=None if one.by in fresh else one.by,
            episode=None if one.episode in fresh else one.episode,
        )
        for one in told
    )


def _shown(flag: Flag, named: Named, *, kept: bool) -> ShownFlag:
    episode: Episode = named.episode_of(flag.key)
    if not kept and flag.key in {one.key for one in named.born}:
        return ShownFlag(flag=replace(flag, id=None), state=episode.state.value, episode=None)
    return ShownFlag(flag=replace(flag, id=named.flag_ids[flag.key]), state=episode.state.value, episode=episode.id)
