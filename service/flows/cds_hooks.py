"""The cards that answer a call: from the open episodes that are held, and from results that the client looked up.

    who is it ─► what is held of them ─► what was looked up, judged ─► one picture ─► cards, kept as shown

Law: no card means that everything which was needed could be judged. What is needed and is neither held nor came is
refused by the key under which it should have come; nothing that was looked up is kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Row

from service.domain.errors import BadInput, Fault
from service.domain.facts import Known
from service.domain.people import Sex
from service.domain.rules import Finding, Severity
from service.domain.timeline import Facts
from service.flows import cds_weighing
from service.flows.cds_prefetch import Newest, look_at
from service.flows.fhir_taking import known
from service.flows.means import Means
from service.formats.cds_hooks import cards
from service.formats.cds_hooks.advice import Found, Unjudged
from service.formats.cds_hooks.call import Call
from service.formats.cds_hooks.prefetch import Labs, Person, read_labs, read_person
from service.formats.cds_hooks.services import LABS, PATIENT, Service
from service.formats.cds_hooks.wording import analyte_words
from service.storage import bedside, feedback, patients
from service.storage.feedback import ShownCard

Json = dict[str, Any]
NEEDED = "prefetch-needed"
_LABS = f"prefetch.{LABS}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who calls which service when. ``source``: the one whose map and whose identifiers are the client's.

    ``met`` hears of which patients something is held, by our own names for them.
    """

    client: str
    source: str
    service: Service
    address: str
    now: datetime
    new_uuid: Callable[[], str]
    met: Callable[[Sequence[str]], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What is held of the patient of a call. ``there``: there is somebody of this name."""

    there: bool = False
    facts: Facts = field(default_factory=Facts)
    found: Mapping[Finding, Found] = field(default_factory=dict)
    cleared: Mapping[Finding, datetime] = field(default_factory=dict)
    results: tuple[Newest, ...] = ()


def answer(call: Call, asking: Asking, means: Means) -> list[Json]:
    """The cards of a call. Raises ``BadInput`` with a fault for each key that is needed, and ``Unavailable``."""
    person = read_person(call, now=asking.now)
    labs = read_labs(call, person, now=asking.now, known=known(means))
    held = _held(person, asking, means)
    _check_needed(person, labs, held)
    looked = look_at(labs.panels, _facts(person, held), means, source=asking.source)
    found = cds_weighing.standing(held.found, looked.found, _latest(held.cleared, looked.cleared))
    lacking = [
        *cds_weighing.unjudged([*held.results, *looked.results], means.catalogue.rulebook.analytes),
        *_unread(person, labs),
    ]
    shown = _written(found, lacking, asking, intended_use=means.catalogue.intended_use)
    _keep(shown, call, asking, means=means)
    structlog.get_logger().info("cds hooks call", hook=asking.service.hook, cards=len(shown), held=held.there)
    return [card for card, _ in shown]


# ----------------------------------------------------------------------------------------------------- what is held
def _held(person: Person, asking: Asking, means: Means) -> _Held:
    wanted = [(system or asking.source, name) for system, name in person.names]
    with means.database.reading() as connection:
        kept = patients.find(connection, wanted) if wanted else {}
        ids = [one.id for one in kept.values() if one.last_collected_at is not None]
        if not ids:
            return _Held()
        asking.met(ids)
        # In the order of the names: the first of them knows best who it is.
        facts = [kept[who].known for who in wanted if who in kept]
        return _of(connection, ids, facts, means=means)


def _of(connection: Connection, ids: Sequence[str], facts: Sequence[Known], *, means: Means) -> _Held:
    analytes = means.catalogue.rulebook.analytes
    rows = bedside.open_findings(connection, ids)
    told = (_found(row, analyte_words(row.analyte, analytes)) for row in rows)
    absent = bedside.cleared(connection, ids)
    return _Held(
        there=True,
        facts=Facts(
            sex=next((one.sex for one in facts if one.sex is not Sex.UNKNOWN), Sex.UNKNOWN),
            born=next((one.born for one in facts if one.born is not None), None),
        ),
        found=cds_weighing.joined({}, told),
        cleared={Finding(name): at for name, at in absent.items()},
        results=tuple(
            Newest(analyte=row.analyte, at=row.collected_at, outcome=row.outcome, reason=row.reason, why=row.why)
            for row in bedside.newest(connection, ids)
        ),
    )


def _found(row: Row[Any], analyte: str | None) -> Found:
    return Found(
        finding=Finding(row.finding),
        severity=Severity(row.severity),
        peak=Severity(row.peak),
        flag=row.id,
        analyte=analyte,
        at_least=row.at_least,
        provisional=row.provisional,
        grade=row.grade,
        classification=row.classification,
        ruleset=row.ruleset,
        why=row.why,
        explanation=row.explanation,
        context=row.context,
        collected_at=row.collected_at,
        opened_at=row.opened_at,
    )


def _facts(person: Person, held: _Held) -> Facts:
    """What the client says of the person, and else what is held."""
    said = person.described
    if said is None:
        return held.facts
    return Facts(sex=held.facts.sex if said.sex is Sex.UNKNOWN else said.sex, born=said.born or held.facts.born)


# --------------------------------------------------------------------------------------------------- what is needed
def _check_needed(person: Person, labs: Labs, held: _Held) -> None:
    """Raise ``BadInput`` unless it is known what is held of the patient, and there are results to judge."""
    if held.there:
        return
    # Without the Patient nobody can tell whether anything is held under another of their identifiers.
    lacking: list[Fault] = [] if person.described is not None else [*person.faults]
    lacking += [] if labs.usable else labs.faults
    if lacking:
        raise BadInput(lacking, kind=NEEDED)


def _latest(one: Mapping[Finding, datetime], other: Mapping[Finding, datetime]) -> dict[Finding, datetime]:
    return {finding: max(at[finding] for at in (one, other) if finding in at) for finding in (*one, *other)}


def _unread(person: Person, labs: Labs) -> Iterator[Unjudged]:
    """What the client looked up and could not be read."""
    for fault in person.faults if person.tried else ():
        yield Unjudged(about=f"prefetch.{PATIENT}", place=fault.pointer, why=fault.detail)
    for fault in labs.faults if labs.tried else ():
        yield Unjudged(about=_LABS, place=fault.pointer, why=fault.detail)
    if labs.paged and not labs.panels:
        yield Unjudged(about=_LABS, place=_LABS, why="it goes on, and the page that came holds no result")


# -------------------------------------------------------------------------------------------------------- what is said
_Shown = list[tuple[Json, Found | None]]


def _written(found: Sequence[Found], lacking: Sequence[Unjudged], asking: Asking, *, intended_use: str) -> _Shown:
    shown: _Shown = [
        (cards.of_finding(one, uuid=asking.new_uuid(), address=asking.address, intended_use=intended_use), one)
        for one in cards.in_order(found)
    ]
    if lacking:
        uuid = asking.new_uuid()
        shown.append((cards.of_unjudged(lacking, uuid=uuid, address=asking.address, intended_use=intended_use), None))
    return shown


def _keep(shown: _Shown, call: Call, asking: Asking, *, means: Means) -> None:
    if not shown:
        return
    with means.database.transaction() as connection:
        feedback.keep_cards(connection, [_kept(card, found, call, asking=asking) for card, found in shown])


def _kept(card: Json, found: Found | None, call: Call, *, asking: Asking) -> ShownCard:
    shown = ShownCard(
        id=card["uuid"],
        shown_at=asking.now,
        client=asking.client,
        service=asking.service.id,
        instance=call.instance,
        indicator=card["indicator"],
    )
    if found is None:
        return shown
    return replace(
        shown,
        finding=found.finding.value,
        severity=found.severity.value,
        ruleset=found.ruleset,
        rule=found.rule,
        flag=found.flag,
    )
