"""Rows of patients.

Law: whoever writes anything of a patient holds the patient's row first, so that two writers take turns.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update
from sqlalchemy.sql.dml import ReturningInsert

from service.domain.errors import Ambiguous, NotFound
from service.domain.facts import Known
from service.domain.people import Sex
from service.storage.ids import new_id
from service.storage.rows import upsert
from service.storage.tables import patients


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPatient:
    """A patient as kept."""

    id: str
    authority: str
    identifier: str = field(repr=False)
    known: Known = field(repr=False)
    name: str | None = field(default=None, repr=False)
    last_collected_at: datetime | None = field(default=None, repr=False)


def lock(connection: Connection, *, authority: str, identifier: str, now: datetime) -> KeptPatient:
    """The patient, kept from now on if not before. Other writers of this patient wait until the transaction ends."""
    new = {
        "id": new_id("pat"),
        "authority": authority,
        "identifier": identifier,
        "sex": Sex.UNKNOWN.value,
        "first_seen_at": now,
        "seen_at": now,
    }
    return _patient(connection.execute(_lock(connection.dialect.name), new).one())


@cache
def _lock(dialect: str) -> ReturningInsert[Any]:
    statement = upsert(dialect, patients)
    return statement.on_conflict_do_update(
        index_elements=[patients.c.identifier, patients.c.authority], set_={"seen_at": statement.excluded.seen_at}
    ).returning(*patients.c)


def find(connection: Connection, *, authority: str, identifier: str) -> KeptPatient | None:
    """The patient, if there is one."""
    wanted = (patients.c.identifier == identifier) & (patients.c.authority == authority)
    row = connection.execute(select(patients).where(wanted)).one_or_none()
    return None if row is None else _patient(row)


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


def learned(connection: Connection, patient: KeptPatient) -> None:
    """Keep what is known of a patient now."""
    known = patient.known
    values = {
        "of_id": patient.id,
        "sex": known.sex.value,
        "sex_as_of": known.sex_as_of,
        "born": known.born,
        "born_as_of": known.born_as_of,
        "name": patient.name,
        "last_collected_at": patient.last_collected_at,
    }
    connection.execute(_LEARNED, values)


_LEARNED = (
    update(patients)
    .where(patients.c.id == bindparam("of_id"))
    .values({name: bindparam(name) for name in ("sex", "sex_as_of", "born", "born_as_of", "name", "last_collected_at")})
)


def _patient(row: Row[Any]) -> KeptPatient:
    return KeptPatient(
        id=row.id,
        authority=row.authority,
        identifier=row.identifier,
        known=Known(sex=Sex(row.sex), sex_as_of=row.sex_as_of, born=row.born, born_as_of=row.born_as_of),
        name=row.name,
        last_collected_at=row.last_collected_at,
    )
