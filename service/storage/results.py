"""Rows of results: every version of every result.

Law: a version is never changed once kept; only which version is the current one may change.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, or_, select, update

from service.domain.drafts import drafted
from service.domain.panels import Code, Mapped, Result, SentRange, Status
from service.domain.quantities import parse_decimal
from service.domain.timeline import Held, Version, new_held
from service.storage.rows import given, listed
from service.storage.tables import results
from service.storage.writes import Writes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptVersion:
    """What tells the versions of one result apart."""

    result: str
    panel: str
    version: Version
    current: bool
    fingerprint: str
    analyte: str | None = None


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


new_version = drafted(NewVersion)
_C = results.c

# The name of a result of a patient, as ``versions`` is asked for it: the patient's id and the identity.
Name = tuple[str, str]


def versions(connection: Connection, wanted: Sequence[Name]) -> Mapping[Name, Sequence[KeptVersion]]:
    """Every kept version of some results of one or many patients."""
    found: dict[Name, list[KeptVersion]] = defaultdict(list)
    if wanted:
        dialect = connection.dialect.name
        for row in connection.execute(_versions(dialect), given(dialect, _NAME, wanted)):
            found[row.patient_id, row.identity].append(_kept_version(row))
    return found


_NAME = ("of_patient", "of_identity")


@cache
def _versions(dialect: str) -> Select[Any]:
    name = listed(dialect, *_NAME)
    columns = (_C.patient_id, _C.identity, _C.id, _C.panel_id, _C.version, _C.status, _C.issued_at)
    return (
        select(*columns, _C.current, _C.fingerprint, _C.analyte)
        .join_from(name, results, (_C.patient_id == name.c.of_patient) & (_C.identity == name.c.of_identity))
        .order_by(_C.version)
    )


def _kept_version(row: Row[Any]) -> KeptVersion:
    return KeptVersion(
        result=row.id,
        panel=row.panel_id,
        version=Version(number=row.version, status=Status(row.status), issued_at=row.issued_at),
        current=row.current,
        fingerprint=row.fingerprint,
        analyte=row.analyte,
    )


def keep(
    writes: Writes, patient_id: str, new: Sequence[NewVersion], *, revived: Sequence[tuple[str, int]] = ()
) -> None:
    """Keep versions of results. Where a new or a revived one becomes current, the one that was is so no longer."""
    replaced = [version.held.key for version in new if version.current and version.held.version > 1]
    for result in (*replaced, *(result for result, _ in revived)):
        writes.before(_OUTRANKED, {"of_patient": patient_id, "of_id": result})
    for version in new:
        writes.add(results, _values(patient_id, version))
    for result, number in revived:
        writes.after(_REVIVED, {"of_patient": patient_id, "of_id": result, "of_version": number})


_ONE = (_C.patient_id == bindparam("of_patient")) & (_C.id == bindparam("of_id"))
_OUTRANKED = update(results).where(_ONE, _C.current).values(current=False)
_REVIVED = update(results).where(_ONE, _C.version == bindparam("of_version")).values(current=True)


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
    return new_held(
        key=row.id,
        version=row.version,
        result=_result(row) if row.besides is None else _with_besides(_result(row), row.besides),
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


def _with_besides(result: Result, besides: Mapping[str, Any]) -> Result:
    """A result with what few senders say, as ``_besides`` wrote it."""
    upper, unclear, mapped = besides.get("upper"), besides.get("range_unclear"), besides.get("mapped")
    return replace(
        result,
        number=_number(besides["number"]) if "number" in besides else result.number,
        other_codes=tuple(Code(system=system, code=code) for system, code in besides.get("other_codes", ())),
        upper=_number(upper),
        absent=besides.get("absent"),
        interpretation=tuple(besides.get("interpretation", ())),
        range=SentRange(unclear=unclear) if unclear else result.range,
        mapped=Mapped(**mapped) if mapped else None,
    )


def _besides(result: Result) -> dict[str, Any] | None:
    """What few senders say of a result; None where it says none of it."""
    ranged, unclear = result.upper is not None, result.range.unclear if result.range else None
    if not (ranged or result.other_codes or result.interpretation or result.absent or unclear or result.mapped):
        return None
    said = {
        "other_codes": [[code.system, code.code] for code in result.other_codes],
        "number": str(result.number) if ranged else None,
        "upper": str(result.upper) if ranged else None,
        "absent": result.absent,
        "interpretation": list(result.interpretation),
        "range_unclear": unclear,
        "mapped": _mapped(result.mapped) if result.mapped else None,
    }
    return {name: one for name, one in said.items() if one}


def _mapped(mapped: Mapped) -> dict[str, str]:
    """What the map of its source made of a result, without what it did not."""
    said = {name: getattr(mapped, name) for name in ("by", "analyte", "unit", "range_unit")}
    return {name: one for name, one in said.items() if one is not None}


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
    held, result = new.held, new.held.result
    sent = result.range or SentRange()
    return {
        "patient_id": patient_id,
        "id": held.key,
        "version": held.version,
        "panel_id": new.panel,
        "identity": new.identity,
        "fingerprint": new.fingerprint,
        "current": new.current,
        "analyte": held.analyte,
        "analyte_sent": result.analyte,
        "code_system": result.code.system if result.code else None,
        "code": result.code.code if result.code else None,
        "sender_id": result.sender_id,
        "value": result.text,
        "comparator": result.comparator,
        "unit": result.unit,
        "range_low": None if sent.low is None else str(sent.low),
        "range_high": None if sent.high is None else str(sent.high),
        "range_unit": sent.unit,
        "status": held.status.value,
        "note": result.note,
        "besides": _besides(result),
        "collected_at": held.collected_at,
        "issued_at": new.issued_at,
        "pregnant": held.pregnant,
        "trimester": held.trimester,
        "age_years": held.age_years,
        "ruleset": held.ruleset,
        "received_at": new.received_at,
    }
