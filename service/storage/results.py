"""Rows of results: every version of every result.

Law: a version is never changed once kept; only which version is the current one may change.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, insert, or_, select, update

from service.domain.panels import Code, Result, SentRange, Status
from service.domain.quantities import parse_decimal
from service.domain.timeline import Held, Version
from service.storage.rows import values_of
from service.storage.tables import results


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptVersion:
    """What tells the versions of one result apart."""

    result: str
    panel: str
    version: Version
    current: bool
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """A version of a result to be kept."""

    held: Held
    panel: str
    identity: str = field(repr=False)
    fingerprint: str
    current: bool
    issued_at: datetime | None = field(default=None, repr=False)
    received_at: datetime


# Statements of the hot path are made once: making one costs as much as running it.
_C = results.c
_VERSIONS = (
    select(_C.identity, _C.id, _C.panel_id, _C.version, _C.status, _C.issued_at, _C.current, _C.fingerprint)
    .where(_C.patient_id == bindparam("of_patient"), _C.identity.in_(bindparam("of_identities", expanding=True)))
    .order_by(_C.version)
)
_KEEP_RESULT = insert(results)


def versions(connection: Connection, patient_id: str, identities: Iterable[str]) -> Mapping[str, Sequence[KeptVersion]]:
    """Every kept version of the results with these identities, by identity."""
    found: dict[str, list[KeptVersion]] = defaultdict(list)
    for row in connection.execute(_VERSIONS, {"of_patient": patient_id, "of_identities": list(identities)}):
        version = Version(number=row.version, status=Status(row.status), issued_at=row.issued_at)
        found[row.identity].append(
            KeptVersion(
                result=row.id, panel=row.panel_id, version=version, current=row.current, fingerprint=row.fingerprint
            )
        )
    return found


def keep(
    connection: Connection, patient_id: str, new: Sequence[NewVersion], *, revived: Sequence[tuple[str, int]] = ()
) -> None:
    """Keep versions of results. Where a new or a revived one becomes current, the one that was is so no longer."""
    replaced = [version.held.key for version in new if version.current and version.held.version > 1]
    _no_longer_current(connection, patient_id, [*replaced, *(result for result, _ in revived)])
    if new:
        connection.execute(_KEEP_RESULT, [_values(patient_id, version) for version in new])
    for result, version in revived:
        one = (_C.patient_id == patient_id) & (_C.id == result) & (_C.version == version)
        connection.execute(update(results).where(one).values(current=True))


def _no_longer_current(connection: Connection, patient_id: str, replaced: Sequence[str]) -> None:
    if replaced:
        statement = update(results).where(_C.patient_id == patient_id, _C.id.in_(replaced), _C.current)
        connection.execute(statement.values(current=False))


def current(connection: Connection, patient_id: str) -> tuple[Held, ...]:
    """The current version of every result of a patient."""
    c = results.c
    statement = select(results).where(c.patient_id == patient_id, c.current)
    return tuple(held(row) for row in connection.execute(statement))


def some(
    connection: Connection, patient_id: str, wanted: Iterable[tuple[str, int]]
) -> Mapping[tuple[str, int], Row[Any]]:
    """The rows of some versions of a patient's results, by result and version."""
    c = results.c
    either = or_(*(and_(c.id == result, c.version == version) for result, version in wanted))
    rows = connection.execute(select(results).where(c.patient_id == patient_id, either))
    return {(row.id, row.version): row for row in rows}


def held(row: Row[Any]) -> Held:
    """The result in a row, as the judgement takes it."""
    return Held(
        key=row.id,
        version=row.version,
        result=_result(row),
        analyte=row.analyte,
        status=Status(row.status),
        collected_at=row.collected_at,
        pregnant=row.pregnant,
        trimester=row.trimester,
        age_years=row.age_years,
        ruleset=row.ruleset,
    )


def _result(row: Row[Any]) -> Result:
    return Result(
        pointer="",
        sender_id=row.sender_id,
        analyte=row.analyte_sent,
        code=None if row.code is None else Code(code=row.code, system=row.code_system),
        text=row.value,
        number=_number(row.value),
        comparator=row.comparator,
        unit=row.unit,
        range=_range(row),
        status=Status(row.status),
        note=row.note,
    )


def _number(text: str | None) -> Decimal | None:
    try:
        return None if text is None else parse_decimal(text)
    except ValueError:
        return None


def _range(row: Row[Any]) -> SentRange | None:
    if row.range_low is None and row.range_high is None:
        return None
    return SentRange(low=_number(row.range_low), high=_number(row.range_high), unit=row.range_unit)


def _values(patient_id: str, new: NewVersion) -> dict[str, Any]:
    return {
        "patient_id": patient_id,
        "id": new.held.key,
        "version": new.held.version,
        "panel_id": new.panel,
        "identity": new.identity,
        "fingerprint": new.fingerprint,
        "current": new.current,
        "issued_at": new.issued_at,
        "received_at": new.received_at,
        **_held_values(new.held),
        **_result_values(new.held.result),
    }


def _held_values(one: Held) -> dict[str, Any]:
    return values_of(one, ("analyte", "status", "collected_at", "pregnant", "trimester", "age_years", "ruleset"))


def _result_values(result: Result) -> dict[str, Any]:
    sent = result.range or SentRange()
    return {
        "analyte_sent": result.analyte,
        "code": result.code.code if result.code else None,
        "code_system": result.code.system if result.code else None,
        "sender_id": result.sender_id,
        "value": result.text,
        "comparator": result.comparator,
        "unit": result.unit,
        "range_low": None if sent.low is None else str(sent.low),
        "range_high": None if sent.high is None else str(sent.high),
        "range_unit": sent.unit,
        "note": result.note,
    }
