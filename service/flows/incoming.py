"""Panels that come in, beside what is held of their patients.

Law: the rows of all patients are held before anything else is read of them, so that what is read stays true until the
transaction ends.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from service.domain.episodes import Episode
from service.domain.facts import Known, learn
from service.domain.judge import Judgement
from service.domain.panels import Panel
from service.flows.arrivals import Arrival, arrivals, identities
from service.flows.means import Means
from service.flows.remembering import Remembering
from service.storage import judgements, patients, results
from service.storage.ids import new_id
from service.storage.panels import Message
from service.storage.patients import KeptPatient, Who
from service.storage.results import KeptVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A panel that shall be taken in, with the analyte and the identity of each of its results.

    ``remembering``: the answer shall be the same when the same is sent again.
    """

    panel: Panel = field(repr=False)
    message: Message
    names: tuple[tuple[str | None, str], ...] = field(repr=False)
    remembering: Remembering | None = None

    @property
    def who(self) -> Who:
        """The patient. Without an assigning authority an identifier means something only beside its source."""
        return self.panel.patient.authority or self.message.source, self.panel.patient.identifier


def order(panel: Panel, message: Message, means: Means, *, remembering: Remembering | None = None) -> Order:
    """The order to take in a panel. Raises ``BadInput`` when it contradicts itself."""
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


class AtHand:
    """One patient while a transaction lasts: what was read, and what the panels taken in since have made of it.

    ``waits``: what is at hand is not enough to take in more of this patient before it is written.
    """

    def __init__(
        self, patient: KeptPatient | None, versions: Mapping[str, Sequence[KeptVersion]], standing: Judgement
    ) -> None:
        self.patient, self.standing = patient, standing
        self.waits = False
        self._versions = versions
        self._brought: set[str] = set()

    def meets(self, order: Order, *, ruleset: str) -> Incoming | None:
        """The panel beside what is at hand; None when that is not enough to take it in now."""
        if self.waits or not self._brought.isdisjoint(name for _, name in order.names):
            return None
        brought = arrivals(order.panel, order.names, kept=self._versions, ruleset=ruleset, new_id=_new_result)
        known = learn(self.patient.known if self.patient else Known(), order.panel)
        incoming = Incoming(order=order, patient=self.patient, known=known, arrivals=brought)
        # Beside rows that are not written yet only something newer can be judged.
        return incoming if incoming.only_newer or not self._brought else None

    def carried_on(self, incoming: Incoming, patient: KeptPatient, episodes: Iterable[Episode]) -> None:
        """A panel was taken in; ``episodes`` are those of the patient, named."""
        self.patient = patient
        lasting = (replace(one, flags=()) for one in episodes if one.open)
        self.standing = Judgement(episodes=tuple(sorted(lasting, key=judgements.by_time)))
        self._brought.update(name for _, name in incoming.order.names)


def _new_result() -> str:
    return new_id("res")


def at_hand(connection: Connection, orders: Sequence[Order], *, now: datetime, lock: bool) -> Mapping[Who, AtHand]:
    """The patients of some orders. With ``lock`` they are kept from now on, and no one else writes of them."""
    wanted = {one.who for one in orders}
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
