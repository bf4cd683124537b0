"""What is held of the patients of one authority, in a line for each.

Law: it counts and names; it shows no value.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from service.domain.episodes import EpisodeState
from service.storage.tables import STANDING_FLAG_STATES, episodes, flags, panels, patients


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """How many panels and flags a patient has. ``flags``: those that stand, by severity; ``taken_back``: the others."""

    patient: str = field(repr=False)
    panels: int
    flags: Mapping[str, int]
    taken_back: int
    open_findings: tuple[str, ...]


def of_authority(connection: Connection, authority: str) -> dict[str, Overview]:
    """Every patient of an authority, by identifier."""
    ids = select(patients.c.id).where(patients.c.authority == authority)
    brought = _panels(connection, authority)
    raised = connection.execute(
        select(flags.c.patient_id, flags.c.severity, flags.c.state).where(flags.c.patient_id.in_(ids))
    ).all()
    opened = connection.execute(
        select(episodes.c.patient_id, episodes.c.finding)
        .where(episodes.c.patient_id.in_(ids), episodes.c.state == EpisodeState.OPEN.value)
        .order_by(episodes.c.finding)
    ).all()
    return {
        identifier: Overview(
            patient=identifier,
            panels=count,
            flags=Counter(row.severity for row in raised if row.patient_id == key and _stands(row.state)),
            taken_back=sum(row.patient_id == key and not _stands(row.state) for row in raised),
            open_findings=tuple(row.finding for row in opened if row.patient_id == key),
        )
        for key, identifier, count in brought
    }


def _stands(state: str) -> bool:
    return state in STANDING_FLAG_STATES


def _panels(connection: Connection, authority: str) -> list[tuple[str, str, int]]:
    """Key, identifier and number of panels of each patient."""
    counted = (
        select(patients.c.id, patients.c.identifier, func.count())
        .select_from(patients.join(panels, panels.c.patient_id == patients.c.id))
        .where(patients.c.authority == authority)
        .group_by(patients.c.id, patients.c.identifier)
        .order_by(patients.c.identifier)
    )
    return [(key, identifier, count) for key, identifier, count in connection.execute(counted)]


def an_accession(connection: Connection, *, authority: str, source: str) -> str | None:
    """The first accession that a source gave to a panel of a patient of an authority."""
    wanted = (
        select(panels.c.accession)
        .select_from(panels.join(patients, panels.c.patient_id == patients.c.id))
        .where(patients.c.authority == authority, panels.c.source == source, panels.c.accession.is_not(None))
        .order_by(panels.c.received_at)
        .limit(1)
    )
    found: str | None = connection.execute(wanted).scalar_one_or_none()
    return found
