"""Everything that was kept, row by row, for those who take it elsewhere: flags, results, episodes.

Law: every version and every state; memory does not grow with the number of rows; what stands in a column is what was
kept. The columns of results are those of the CSV that comes in, and others beside them.
"""

from collections.abc import Generator
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, select

from service.storage.tables import episodes, flags, panels, patients, results, verdicts

_AT_ONCE = 500  # rows
_WHO = {"patient_id": patients.c.identifier, "authority": patients.c.authority}

_FLAGS = {
    "id": flags.c.id,
    **_WHO,
    "finding": flags.c.finding,
    "severity": flags.c.severity,
    "state": flags.c.state,
    "analyte": flags.c.analyte,
    "grade": flags.c.grade,
    "classification": flags.c.classification,
    "direction": flags.c.direction,
    "at_least": flags.c.at_least,
    "provisional": flags.c.provisional,
    "collected_at": flags.c.collected_at,
    "raised_at": flags.c.raised_at,
    "changed_at": flags.c.changed_at,
    "why": flags.c.why,
    "episode": flags.c.episode_id,
    "superseded_by": flags.c.superseded_by,
    "panel": flags.c.panel_id,
    "source": flags.c.source,
    "ruleset": flags.c.ruleset,
    "results": flags.c.basis,
    "result_version": flags.c.version,
    "note": flags.c.note_id,
    "explanation": flags.c.explanation,
}
_EPISODES = {
    "id": episodes.c.id,
    **_WHO,
    "finding": episodes.c.finding,
    "state": episodes.c.state,
    "severity": episodes.c.level,
    "worst": episodes.c.peak,
    "opened_at": episodes.c.opened_at,
    "last_at": episodes.c.last_at,
    "resolved_at": episodes.c.resolved_at,
    "last_flag": episodes.c.last_flag_id,
    "merged_into": episodes.c.merged_into,
    "changed_at": episodes.c.changed_at,
}
_SENT = {
    **_WHO,
    "sex": patients.c.sex,
    "birth_date": patients.c.born,
    "accession": panels.c.accession,
    "collected_at": results.c.collected_at,
    "issued_at": results.c.issued_at,
    "pregnant": results.c.pregnant,
    "trimester": results.c.trimester,
    "age_years": results.c.age_years,
    "analyte": results.c.analyte_sent,
    "code": results.c.code,
    "code_system": results.c.code_system,
    "comparator": results.c.comparator,
    "value": results.c.value,
    "unit": results.c.unit,
    "low": results.c.range_low,
    "high": results.c.range_high,
    "range_unit": results.c.range_unit,
    "status": results.c.status,
    "result_id": results.c.sender_id,
    "note": results.c.note,
}
_BESIDE = {
    "source": panels.c.source,
    "panel": results.c.panel_id,
    "result": results.c.id,
    "version": results.c.version,
    "current": results.c.current,
    "received_at": results.c.received_at,
    "judged_as": results.c.analyte,
    "outcome": verdicts.c.outcome,
    "reason": verdicts.c.reason,
    "finding": verdicts.c.finding,
    "severity": verdicts.c.severity,
    "grade": verdicts.c.grade,
    "ruleset": verdicts.c.ruleset,
    "why": verdicts.c.why,
}
# The columns of results that say what became of them. Nothing rests on them when they come in again.
BESIDE_RESULTS = tuple(_BESIDE)

COLUMNS = {"flags": tuple(_FLAGS), "results": (*_SENT, *_BESIDE), "episodes": tuple(_EPISODES)}


def rows(connection: Connection, kind: str, *, patient: str | None = None) -> Generator[Row[Any], None, None]:
    """Every row of a kind, of all patients or of one, in the order in which patients were first seen."""
    statement = {"flags": _flags, "results": _results, "episodes": _episodes}[kind]()
    if patient is not None:
        statement = statement.where(patients.c.id == patient)
    options = {"stream_results": True, "yield_per": _AT_ONCE}
    with connection.execute(statement, execution_options=options) as found:
        yield from found


def _flags() -> Select[Any]:
    joined = flags.join(patients, patients.c.id == flags.c.patient_id)
    named = (column.label(name) for name, column in _FLAGS.items())
    return select(*named).select_from(joined).order_by(flags.c.patient_id, flags.c.id)


def _episodes() -> Select[Any]:
    joined = episodes.join(patients, patients.c.id == episodes.c.patient_id)
    named = (column.label(name) for name, column in _EPISODES.items())
    return select(*named).select_from(joined).order_by(episodes.c.patient_id, episodes.c.id)


def _results() -> Select[Any]:
    """Every version of every result with the newest verdict on it."""
    c, v, newer = results.c, verdicts.c, verdicts.alias()
    newest = (
        select(newer.c.id)
        .where(newer.c.patient_id == c.patient_id, newer.c.result_id == c.id, newer.c.result_version == c.version)
        .order_by(newer.c.judged_at.desc(), newer.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    joined = (
        results.join(patients, patients.c.id == c.patient_id)
        .join(panels, and_(panels.c.patient_id == c.patient_id, panels.c.id == c.panel_id))
        .outerjoin(verdicts, and_(v.patient_id == c.patient_id, v.id == newest))
    )
    named = (column.label(name) for name, column in (_SENT | _BESIDE).items())
    return select(*named).select_from(joined).order_by(c.patient_id, c.id, c.version)
