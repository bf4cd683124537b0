"""Reading what was known when a flag was raised: the results held then, and the messages that had come by then.

Law: what was known is what had been kept, in the order in which it was kept. Names of panels and of acts are ULIDs,
made while the patient's row is held, so that their order is that order, whatever the clocks of messages said.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, func, select, true

from service.domain.acts import ActKind
from service.domain.errors import NotFound
from service.domain.panels import Status
from service.domain.people import Sex
from service.domain.timeline import Facts, Held, Version, current
from service.storage.results import held
from service.storage.tables import flags, inbox, outbox, panels, results, verdicts
from service.storage.tables_acts import acts

CHUNK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMessage:
    """What a panel told of the person, and as of when; None where it was kept before that was noted.

    Beside it the bytes that brought the panel; None where they are not kept any more.
    """

    panel: str
    received_at: datetime
    told: Facts | None = field(repr=False)
    as_of: datetime = field(repr=False)
    content_type: str | None
    body: bytes | None = field(repr=False)


def flag_row(connection: Connection, flag_id: str) -> Row[Any]:
    """The row of a flag. Raises ``NotFound``."""
    row = connection.execute(select(flags).where(flags.c.id == flag_id)).one_or_none()
    if row is None:
        raise NotFound("flag")
    return row


def flag_rows(connection: Connection, patient_id: str) -> Sequence[Row[Any]]:
    """Every flag ever raised of a patient, in the order in which they were raised."""
    c = flags.c
    return list(connection.execute(select(flags).where(c.patient_id == patient_id).order_by(c.panel_id, c.id)))


def patients_with_flags(connection: Connection, *, after: str) -> Sequence[str]:
    """Some patients of whom a flag was ever raised, beginning after one, by our own names for them."""
    c = flags.c.patient_id
    return list(connection.execute(select(c).distinct().where(c > after).order_by(c).limit(CHUNK)).scalars())


def collection_then(connection: Connection, flag: Row[Any]) -> tuple[Held, ...]:
    """The results of a flag's collection as they counted when it was raised."""
    found = (_counting(versions, flag) for versions in _versions_then(connection, flag).values())
    return tuple(held(row) for row in found if row.collected_at == flag.collected_at)


def _versions_then(connection: Connection, flag: Row[Any]) -> Mapping[str, list[Row[Any]]]:
    c = results.c
    of = select(c.id).where(c.patient_id == flag.patient_id, c.collected_at == flag.collected_at)
    statement = select(results).where(c.patient_id == flag.patient_id, c.id.in_(of), c.panel_id <= flag.panel_id)
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(statement.order_by(c.id, c.version)):
        found[row.id].append(row)
    return found


def _counting(versions: Sequence[Row[Any]], flag: Row[Any]) -> Row[Any]:
    """The version that counted: the very one that raised the flag, or else by the rule for versions."""
    own = next((row for row in versions if (row.id, row.version) == (flag.subject, flag.version)), None)
    if own is not None:
        return own
    by_number = {row.version: row for row in versions}
    return by_number[current(_version(row) for row in versions).number]


def _version(row: Row[Any]) -> Version:
    return Version(number=row.version, status=Status(row.status), issued_at=row.issued_at)


def messages(connection: Connection, patient_id: str, *, before: str | None = None) -> Iterator[KeptMessage]:
    """What brought each panel of a patient, in the order in which it was kept; of those ``before`` one, if given."""
    joined = panels.outerjoin(inbox, inbox.c.id == panels.c.inbox_id)
    c = panels.c
    own = (c.id, c.received_at, c.collected_at, c.issued_at, c.told_sex, c.told_born)
    # The bytes are read only of what was kept before it was noted what a panel tells.
    body = case((c.told_sex.is_(None), inbox.c.body))
    columns: list[Any] = [*own, inbox.c.content_type, body.label("body")]
    wanted = (panels.c.patient_id == patient_id) & _before(panels.c.id, before)
    statement = select(*columns).select_from(joined).where(wanted).order_by(panels.c.id)
    for row in connection.execute(statement):
        yield KeptMessage(
            panel=row.id,
            received_at=row.received_at,
            told=None if row.told_sex is None else Facts(sex=Sex(row.told_sex), born=row.told_born),
            as_of=row.issued_at or row.collected_at,
            content_type=row.content_type,
            body=row.body,
        )


def _before(own: ColumnElement[str], name: str | None) -> ColumnElement[bool]:
    return true() if name is None else own < name


def first_after(connection: Connection, patient_id: str, moment: datetime) -> str | None:
    """Where the first panel or act of a patient stands, in the order in which they were kept, that came after a moment.

    As the name of a panel that would stand there.
    """
    p, a = panels.c, acts.c
    first = (
        select(func.min(p.id)).where(p.patient_id == patient_id, p.received_at > moment),
        select(func.min(a.id)).where(a.patient_id == patient_id, a.at > moment),
    )
    found = [name for one in first if (name := connection.execute(one).scalar_one()) is not None]
    return f"pnl_{min(map(place_of, found))}" if found else None


def place_of(name: str) -> str:
    """What the names of a patient's panels and acts are ordered by."""
    return name.partition("_")[2]


def deeds(connection: Connection, patient_id: str, *, before: str | None) -> Sequence[Row[Any]]:
    """What was done ``before`` a panel about whether episodes are acknowledged, in its order."""
    c = acts.c
    wanted = (c.patient_id == patient_id) & c.kind.in_((ActKind.ACKNOWLEDGE.value, ActKind.UNDO.value))
    columns: list[Any] = [c.id, c.kind, c.episode_id, c.at]
    bound = before and f"act_{place_of(before)}"
    return list(connection.execute(select(*columns).where(wanted & _before(c.id, bound)).order_by(c.id)))


def versions(connection: Connection, patient_id: str, *, before: str | None) -> Mapping[str, Sequence[Row[Any]]]:
    """Every version of a result that the panels ``before`` one brought, by panel."""
    c = results.c
    wanted = (c.patient_id == patient_id) & _before(c.panel_id, before)
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(select(results).where(wanted)):
        found[row.panel_id].append(row)
    return found


def raised(connection: Connection, patient_id: str, *, before: str | None) -> Sequence[Row[Any]]:
    """The flags that the panels ``before`` one raised: who they are and how they stand today, not what they say."""
    c = flags.c
    own: list[Any] = [c.id, c.panel_id, c.subject, c.finding, c.severity, c.source, c.collected_at, c.raised_at]
    today = (c.state, c.episode_id, c.superseded_by, c.changed_at)
    wanted = (c.patient_id == patient_id) & _before(c.panel_id, before)
    return list(connection.execute(select(*own, *today).where(wanted)))


def told(connection: Connection, patient_id: str) -> Sequence[Row[Any]]:
    """What was told of a patient, in its order: of which flag, and of which episode."""
    c = outbox.c
    columns: list[Any] = [c.type, c.flag_id, c.episode_id, c.at]
    return list(connection.execute(select(*columns).where(c.patient_id == patient_id).order_by(c.seq)))


def verdicts_by(
    connection: Connection, patient_id: str, names: Sequence[str], *, moment: datetime
) -> Mapping[tuple[str, int], Sequence[Row[Any]]]:
    """The verdicts that some results had been given by a moment, by result and version, oldest first."""
    c = verdicts.c
    wanted = (c.patient_id == patient_id) & c.result_id.in_(names) & (c.judged_at <= moment)
    found: dict[tuple[str, int], list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(select(verdicts).where(wanted).order_by(c.judged_at, c.id)):
        found[row.result_id, row.result_version].append(row)
    return found
