"""What is held of a patient that matters now: open findings with their newest flags, and what the newest results say.

Law: reading changes nothing, and each question is one statement however much is held.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from service.domain.episodes import EpisodeState
from service.domain.rules import Standing
from service.domain.verdicts import Reason
from service.storage.tables import episodes, flags, results, verdicts

_R, _V = results.c, verdicts.c
Rows = Sequence[Row[Any]]
_JUDGED = (_V.patient_id == _R.patient_id) & (_V.result_id == _R.id) & (_V.result_version == _R.version) & _V.current

# What was taken back, or is only announced, is not the newest result of anything.
_NO_RESULT = (Reason.CANCELLED.value, Reason.ENTERED_IN_ERROR.value, Reason.REGISTERED.value)


def open_findings(connection: Connection, patient_ids: Sequence[str]) -> Rows:
    """The open episodes of some patients, each with its newest flag and what was shown beside its result."""
    e, f = episodes.c, flags.c
    newest = (f.patient_id == e.patient_id) & (f.id == e.last_flag_id)
    beside = (_V.patient_id == f.patient_id) & (_V.result_id == f.subject) & _V.current
    own = [e.opened_at, e.peak, _V.context.label("context")]
    return _all(
        connection,
        select(flags, *own)
        .select_from(episodes.join(flags, newest).outerjoin(verdicts, beside))
        .where(e.patient_id.in_(patient_ids), e.state == EpisodeState.OPEN.value),
    )


def cleared(connection: Connection, patient_ids: Sequence[str]) -> Mapping[str, datetime]:
    """When each finding was last seen not to stand, by time of collection."""
    found = connection.execute(
        select(_V.finding, func.max(_R.collected_at).label("last"))
        .join_from(results, verdicts, _JUDGED)
        .where(_R.patient_id.in_(patient_ids), _R.current, _V.standing == Standing.ABSENT.value)
        .where(_V.finding.is_not(None))
        .group_by(_V.finding)
    )
    return {row.finding: row.last for row in found}


def newest(connection: Connection, patient_ids: Sequence[str]) -> Rows:
    """The newest results of each analyte with their verdicts; several where they were collected at the same time."""
    order = func.rank().over(partition_by=_R.analyte, order_by=_R.collected_at.desc())
    ranked = (
        select(_R.analyte, _R.collected_at, _V.outcome, _V.reason, _V.why, order.label("place"))
        .join_from(results, verdicts, _JUDGED)
        .where(_R.patient_id.in_(patient_ids), _R.current, _R.analyte.is_not(None))
        .where(_V.reason.is_(None) | _V.reason.not_in(_NO_RESULT))
    ).subquery()
    return _all(connection, select(ranked).where(ranked.c.place == 1))


def _all(connection: Connection, statement: Select[Any]) -> Rows:
    return connection.execute(statement).all()
