"""From rows to the resources that are shown.

Law: nothing is judged here; what was kept is said in FHIR.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row

from service import __version__
from service.api import auditing
from service.api.fhir_door import root
from service.api.guard import means
from service.domain.episodes import ACKNOWLEDGED
from service.domain.errors import NotFound
from service.domain.panels import Status
from service.domain.verdicts import Outcome
from service.formats import strict_json
from service.formats.fhir.as_sent import observation_at
from service.formats.fhir.detected_issue import Issue, detected_issue
from service.formats.fhir.flag_resource import Standing, flag
from service.formats.fhir.observation_out import Opinion, Shown, observation
from service.formats.fhir.ours import Json, Who, joint_id, parted, versioned
from service.formats.fhir.reader import MEDIA_TYPE
from service.formats.fhir.searchset import written
from service.storage import acts, history, past, results, searching

Rows = Sequence[Row[Any]]
_AUTHOR = f"lab-alerts {__version__}"


def detected_issues(connection: Connection, rows: Rows) -> list[Json]:
    """Flags as DetectedIssues, for who has asked."""
    auditing.about_each(row.patient_id for row in rows)
    return issues(connection, rows, address=root(), intended_use=means().catalogue.intended_use)


def issues(connection: Connection, rows: Rows, *, address: str, intended_use: str) -> list[Json]:
    """Flags as DetectedIssues, also where nobody has asked. ``address``: where the service is reached."""
    people = _who(connection, rows)
    seen = acts.acknowledging(connection, [_episode(row) for row in rows if row.state == ACKNOWLEDGED])
    return [
        detected_issue(
            Issue(
                name=row.id,
                who=people[row.patient_id],
                finding=row.finding,
                severity=row.severity,
                state=row.state,
                provisional=row.provisional,
                at_least=row.at_least,
                grade=row.grade,
                classification=row.classification,
                why=row.why,
                raised_at=row.raised_at,
                changed_at=row.changed_at,
                superseded_by=row.superseded_by,
                evidence=tuple(_evidence(connection, row)),
                rule=f"{address}/v1/rulesets/{row.ruleset}",
                author=_AUTHOR,
                intended_use=intended_use,
                acknowledged=seen.get(row.episode_id) if row.state == ACKNOWLEDGED else None,
            )
        )
        for row in rows
    ]


def _episode(row: Row[Any]) -> tuple[str, str]:
    return row.patient_id, row.episode_id


def _people(connection: Connection, rows: Rows) -> Mapping[str, Who]:
    auditing.about_each(row.patient_id for row in rows)
    return _who(connection, rows)


def _who(connection: Connection, rows: Rows) -> Mapping[str, Who]:
    found = searching.patient_rows(connection, (row.patient_id for row in rows))
    return {name: Who(authority=row.authority, identifier=row.identifier) for name, row in found.items()}


def _evidence(connection: Connection, row: Row[Any]) -> Iterable[str]:
    """The versions that a flag rests on; those of a pattern are the ones that counted when it was raised."""
    if list(row.basis) == [row.subject]:
        return (versioned(joint_id(row.patient_id, row.subject), row.version),)
    then = {held.key: held.version for held in past.collection_then(connection, row)}
    return (versioned(joint_id(row.patient_id, key), then[key]) for key in row.basis if key in then)


def flags(connection: Connection, rows: Rows) -> list[Json]:
    """Episodes as Flags."""
    people = _people(connection, rows)
    return [
        flag(
            Standing(
                name=row.id,
                patient=row.patient_id,
                who=people[row.patient_id],
                finding=row.finding,
                state=row.state,
                level=row.level,
                opened_at=row.opened_at,
                resolved_at=row.resolved_at,
                changed_at=row.changed_at,
                last_flag=row.last_flag_id,
                merged_into=row.merged_into,
                author=_AUTHOR,
            )
        )
        for row in rows
    ]


Judged = Iterable[tuple[Row[Any], Row[Any] | None]]


def current(connection: Connection, rows: Rows) -> list[Json]:
    """Current versions of results as Observations."""
    verdicts = searching.current_verdicts(connection, [(row.patient_id, row.id) for row in rows])
    return _observations(connection, [(row, verdicts.get((row.patient_id, row.id))) for row in rows])


def versions(connection: Connection, observation_id: str) -> list[Json]:
    """Every version of a result as an Observation, the newest first. Raises ``NotFound``."""
    name = parted(observation_id, "res")
    if name is None:
        raise NotFound("Observation")
    found = history.panel_rows(connection, name[0], [(name[1], 0)])
    if not found:
        raise NotFound("Observation")
    return _observations(connection, [found[key] for key in sorted(found, reverse=True)])


def observation_named(location: str) -> bytes:
    """The Observation at an address that this server gave out, relative to its base."""
    _, id_, _, version = location.split("/")
    with means().database.reading() as connection:
        found = versions(connection, id_)
    return written(next(one for one in found if one["meta"]["versionId"] == version))


def _observations(connection: Connection, judged: Judged) -> list[Json]:
    judged = list(judged)
    rows = [row for row, _ in judged]
    people, sent = _people(connection, rows), _sent(connection, rows)
    return [
        observation(
            Shown(
                id=joint_id(row.patient_id, row.id),
                version=row.version,
                who=people[row.patient_id],
                result=results.held(row).result,
                analyte=row.analyte,
                status=Status(row.status),
                collected_at=row.collected_at,
                issued_at=row.issued_at,
                updated_at=row.received_at,
                opinion=None if verdict is None else _opinion(verdict),
                raw=sent.get((row.id, row.version)),
            )
        )
        for row, verdict in judged
    ]


def _sent(connection: Connection, rows: Rows) -> Mapping[tuple[str, int], Json]:
    """The Observations as they were sent, of those that were, each message read once."""
    found = searching.brought(connection, rows, (MEDIA_TYPE,))
    messages = {one.message: one.body for one in found.values()}
    values = {name: strict_json.parse(body) for name, body in messages.items()}
    placed = ((version, observation_at(values[one.message], one.place)) for version, one in found.items())
    return {version: sent for version, sent in placed if sent is not None}


def _opinion(verdict: Row[Any]) -> Opinion | None:
    if verdict.outcome != Outcome.FLAGGED:
        return None
    return Opinion(
        finding=verdict.finding, severity=verdict.severity, direction=verdict.direction, ruleset=verdict.ruleset
    )
