"""Panels that come in, beside what is held of their patients.

Law: the rows of all patients are held before anything else is read of them, so that what is read stays true until the
transaction ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from service.domain.episodes import Episode
from service.domain.facts import Known, learn
from service.domain.judge import Judgement
from service.domain.panels import Panel
from service.domain.timeline import Held
from service.flows.arrivals import Arrival, arrivals, identities
from service.flows.means import Means
from service.flows.remembering import Remembering
from service.flows.source_maps import as_mapped
from service.storage import judgements, patients, results
from service.storage.ids import new_id
from service.storage.panels import TRIAL, Message
from service.storage.patients import KeptPatient, Who
from service.storage.results import KeptVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A panel that shall be taken in, with the analyte and the identity of each of its results.

    ``remembering``: the answer shall be the same when the same is sent again. ``message_id``: the name under which
    the message is kept already, when it brings several panels.
    """

    panel: Panel = field(repr=False)
    message: Message
    names: tuple[tuple[str | None, str], ...] = field(repr=False)
    remembering: Remembering | None = None
    message_id: str | None = None

    @property
    def who(self) -> Who:
        """The patient. Without an assigning authority an identifier means something only beside its source.

        What the sender calls a trial is of somebody else: it must not touch what is held of a real patient.
        """
        authority = self.panel.patient.authority or self.message.source
        return f"{TRIAL}{authority}" if self.message.test else authority, self.panel.patient.identifier


def order(panel: Panel, message: Message, means: Means, *, remembering: Remembering | None = None) -> Order:
    """The order to take in a panel, as the map of its source reads what the catalogue does not know.

    Raises ``BadInput`` when it contradicts itself, and ``Unavailable`` when the map is needed and cannot be read.
    """
    panel = as_mapped(panel, message.source, means)
    names = identities(panel, message.source, means.catalogue.rulebook.analytes)
    return Order(panel=panel, message=message, names=names, remembering=remembering)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A panel beside what was held of its results and its patient. ``patient`` is None when there is none yet."""

    order: Order
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
    def only_newer(self) -> bool:
        """Is everything in it newer than all that is held, so that the judgement can carry on from where it stands?"""
        if self.patient is None or self.patient.last_collected_at is None:
            return True
        newer = self.order.panel.collected_at > self.patient.last_collected_at
        same_facts = self.patient.known.facts == self.known.facts
        return newer and same_facts and not any(one.known for one in self.arrivals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """All that counts of one patient: the results by key, and the whole judgement as it is kept."""

    held: Mapping[str, Held] = field(repr=False)
    judgement: Judgement = field(repr=False)


class AtHand:
    """One patient while a transaction lasts: what was read, and what the panels taken in since have made of it.

    ``picture`` is there once a result was not newer, until one is. While
    it ``waits``, what is at hand is not enough to take in more of this patient before it is written.
    """

    def __init__(
        self, patient: KeptPatient | None, versions: Mapping[str, Sequence[KeptVersion]], standing: Judgement
    ) -> None:
        self.patient, self._standing = patient, standing
        self.picture: Picture | None = None
        self.waits = False
        self._versions = dict(versions)
        self._brought: set[str] = set()
        self._taken: list[tuple[Incoming, str]] = []

    @property
    def standing(self) -> Judgement:
        """The open episodes, in their order; what was in them so far plays no part any more."""
        lasting = (replace(one, flags=()) if one.flags else one for one in self._standing.episodes if one.open)
        return Judgement(episodes=tuple(sorted(lasting, key=judgements.by_time)))

    def must_wait(self, order: Order) -> bool:
        """Does the panel touch what is not written yet?"""
        return self.waits or not self._brought.isdisjoint(name for _, name in order.names)

    def meets(self, order: Order, *, ruleset: str) -> Incoming | None:
        """The panel beside what is at hand; None when that is not enough to take it in now."""
        brought = arrivals(order.panel, order.names, kept=self._versions, ruleset=ruleset, new_id=_new_result)
        known = learn(self.patient.known if self.patient else Known(), order.panel)
        incoming = Incoming(order=order, patient=self.patient, known=known, arrivals=brought)
        # Beside rows that are not written yet only something newer can be judged.
        return incoming if incoming.only_newer or not self._brought else None

    def counting(self, identity: str) -> tuple[str, int] | None:
        """The version of a result that counts, by result and number."""
        kept = self._versions.get(identity, ())
        return next(((one.result, one.version.number) for one in kept if one.current), None)

    def carried_on(
        self, incoming: Incoming, patient: KeptPatient, episodes: tuple[Episode, ...], *, panel: str
    ) -> None:
        """A panel was taken in under a name; ``episodes`` are those of the patient, named."""
        self.patient, self.picture = patient, None
        self._standing = Judgement(episodes=episodes)
        self._brought.update(name for _, name in incoming.order.names)
        self._taken.append((incoming, panel))

    def written(self) -> None:
        """All that was taken in so far is written, and more is to come."""
        for incoming, panel in self._taken:
            for one in incoming.arrivals:
                if not one.duplicate:
                    self._versions[one.identity] = _versions_with(one, self._versions.get(one.identity, ()), panel)
        self.waits = False
        self._brought.clear()
        self._taken.clear()


def _versions_with(arrival: Arrival, kept: Sequence[KeptVersion], panel: str) -> Sequence[KeptVersion]:
    """The versions of a result after another one came, as they are kept."""
    held = arrival.held
    counts = held.version if arrival.current else arrival.revives
    new = KeptVersion(
        result=held.key,
        panel=panel,
        version=arrival.version,
        current=arrival.current,
        fingerprint=arrival.fingerprint,
        analyte=held.analyte,
    )
    before = kept if counts is None else [replace(one, current=one.version.number == counts) for one in kept]
    return [*before, new]


def _new_result() -> str:
    return new_id("res")


def at_hand(connection: Connection, orders: Sequence[Order], *, now: datetime, lock: bool) -> Mapping[Who, AtHand]:
    """The patients of some orders. With ``lock`` they are kept from now on, and no one else writes of them."""
    wanted = {one.who for one in orders}
    if not wanted:
        return {}
    found = patients.lock(connection, wanted, now=now) if lock else patients.find(connection, wanted)
    ids = {who: one.id for who, one in found.items() if one.last_collected_at is not None}
    names = {(ids[one.who], name) for one in orders if one.who in ids for _, name in one.names}
    versions = _by_patient(results.versions(connection, sorted(names)))
    standing = judgements.open_episodes(connection, list(ids.values()))
    nothing = Judgement()
    return {
        who: AtHand(found.get(who), versions.get(ids.get(who, ""), {}), standing.get(ids.get(who, ""), nothing))
        for who in wanted
    }


def _by_patient(
    found: Mapping[results.Name, Sequence[KeptVersion]],
) -> Mapping[str, Mapping[str, Sequence[KeptVersion]]]:
    by_patient: dict[str, dict[str, Sequence[KeptVersion]]] = {}
    for (patient_id, identity), versions in found.items():
        by_patient.setdefault(patient_id, {})[identity] = versions
    return by_patient
