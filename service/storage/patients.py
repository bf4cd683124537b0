"""Rows of patients.

Law: whoever writes anything of a patient holds the patient's row first, so that two writers take turns.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, literal, select, true
from sqlalchemy.sql.dml import ReturningInsert

from service.domain.errors import Ambiguous, NotFound
from service.domain.facts import Known
from service.domain.people import Sex
from service.storage.ids import new_id
from service.storage.rows import given, listed, upsert
from service.storage.tables import Instant, patients
from service.storage.writes import Writes

# Who assigned an identifier, and the identifier.
Who = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPatient:
    """A patient as kept."""

    id: str
    authority: str
    identifier: str = field(repr=False)
    known: Known = field(repr=False)
    name: str | None = field(default=None, repr=False)
    last_collected_at: datetime | None = field(default=None, repr=False)


def lock(connection: Connection, wanted: Iterable[Who], *, now: datetime) -> Mapping[Who, KeptPatient]:
    """Patients, kept from now on if not before. Other writers of any of them wait until the transaction ends."""
    dialect = connection.dialect.name
    # In one order: two transactions that want the same patients wait for each other, but never in a circle.
    rows = [(new_id("pat"), *who) for who in sorted(set(wanted))]
    found = connection.execute(_lock(dialect), {**given(dialect, _NEW, rows), "now": now})
    return {(row.authority, row.identifier): _patient(row) for row in found}


_NEW = ("id", "authority", "identifier")


@cache
def _lock(dialect: str) -> ReturningInsert[Any]:
    new, now = listed(dialect, *_NEW), bindparam("now", type_=Instant)
    values = select(*new.c, literal(Sex.UNKNOWN.value), now, now)
    statement = upsert(dialect, patients).from_select(
        [*_NEW, "sex", "first_seen_at", "seen_at"],
        values.where(true()),  # SQLite would otherwise take ON CONFLICT for the condition of a join
    )
    return statement.on_conflict_do_update(
        index_elements=[patients.c.identifier, patients.c.authority], set_={"seen_at": statement.excluded.seen_at}
    ).returning(*patients.c)


def find(connection: Connection, wanted: Iterable[Who]) -> Mapping[Who, KeptPatient]:
    """Those of some patients that there are."""
    dialect = connection.dialect.name
    rows = connection.execute(_find(dialect), given(dialect, _WHO, sorted(set(wanted))))
    return {(row.authority, row.identifier): _patient(row) for row in rows}


_WHO = ("of_authority", "of_identifier")


@cache
def _find(dialect: str) -> Select[Any]:
    c, who = patients.c, listed(dialect, *_WHO)
    the_one = (c.identifier == who.c.of_identifier) & (c.authority == who.c.of_authority)
    return select(patients).join_from(who, patients, the_one)


def named(connection: Connection, identifier: str, authority: str | None) -> KeptPatient:
    """The patient with an identifier; the authority may be left out where only one has assigned it.

    Raises ``NotFound``, and ``Ambiguous`` with the authorities to choose from.
    """
    statement = select(patients).where(patients.c.identifier == identifier)
    if authority is not None:
        statement = statement.where(patients.c.authority == authority)
    found = [_patient(row) for row in connection.execute(statement.order_by(patients.c.authority))]
    if not found:
        raise NotFound("patient")
    if len(found) > 1:
        raise Ambiguous("patient", [patient.authority for patient in found])
    return found[0]


def get(connection: Connection, patient_id: str) -> KeptPatient:
    """The patient with this name of ours."""
    return _patient(connection.execute(select(patients).where(patients.c.id == patient_id)).one())


def hold(connection: Connection, patient_id: str) -> KeptPatient:
    """The patient with this name of ours. Other writers of them wait until the transaction ends.

    Raises ``NotFound`` when they were erased meanwhile.
    """
    # As an update of anything but the key would hold it: rows may still be added that point to the patient.
    held = select(patients).where(patients.c.id == patient_id).with_for_update(key_share=True)
    row = connection.execute(held).one_or_none()
    if row is None:
        raise NotFound("patient")
    return _patient(row)


def learned(writes: Writes, patient: KeptPatient) -> None:
    """Keep what is known of a patient now."""
    known = patient.known
    row = {
        "id": patient.id,
        "sex": known.sex.value,
        "sex_as_of": known.sex_as_of,
        "born": known.born,
        "born_as_of": known.born_as_of,
        "name": patient.name,
        "last_collected_at": patient.last_collected_at,
    }
    writes.learned(row)


def _patient(row: Row[Any]) -> KeptPatient:
    return KeptPatient(
        id=row.id,
        authority=row.authority,
        identifier=row.identifier,
        known=Known(sex=Sex(row.sex), sex_as_of=row.sex_as_of, born=row.born, born_as_of=row.born_as_of),
        name=row.name,
        last_collected_at=row.last_collected_at,
    )
