"""Everything that is kept of one patient, found and removed.

    patient ◄── every table with a ``patient_id``
        └► the messages that brought the panels, cards of the flags with their feedback, attempts of the deliveries,
           and remembered answers that name any of it

Law: a table that belongs to a patient names the patient in ``patient_id``, and is found by that; the others are listed
here. What others need is left: notes, keys, maps, and the audit, which knows a pseudonym only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, func, or_, select, tuple_, update

from service.storage.idempotency import Name
from service.storage.tables import flags, idempotency_keys, inbox, metadata, panels, patients
from service.storage.tables_cds import cds_cards, cds_feedback
from service.storage.tables_delivery import deliveries, delivery_attempts, subscriptions

_AT_ONCE = 500  # rows
_BODIES_AT_ONCE = 20  # each may be as large as a message may be
Rows = Sequence[tuple[Table, ColumnElement[bool]]]


def _of_patients() -> list[Table]:
    """The tables whose rows belong to a patient, each before those that it points to."""
    return [table for table in reversed(metadata.sorted_tables) if "patient_id" in table.c]


def rows_of(patient: str) -> Rows:
    """Every row of a patient, by table, each table before those that it points to."""
    mine = select(flags.c.id).where(flags.c.patient_id == patient)
    shown = select(cds_cards.c.id).where(cds_cards.c.flag_id.in_(mine))
    sent = select(deliveries.c.id).where(deliveries.c.patient_id == patient)
    brought = select(panels.c.inbox_id).where(panels.c.patient_id == patient)
    return [
        (delivery_attempts, delivery_attempts.c.delivery_id.in_(sent)),
        (cds_feedback, cds_feedback.c.card.in_(shown)),
        (cds_cards, cds_cards.c.flag_id.in_(mine)),
        (inbox, inbox.c.id.in_(brought)),
        *((table, table.c.patient_id == patient) for table in _of_patients()),
        (patients, patients.c.id == patient),
    ]


def counted(connection: Connection, wanted: Rows) -> dict[str, int]:
    """How many rows there are, by table."""
    return {
        str(table.name): connection.execute(select(func.count()).select_from(table).where(where)).scalar_one()
        for table, where in wanted
    }


def removed(connection: Connection, wanted: Rows) -> dict[str, int]:
    """Delete the rows; answers how many there were, by table."""
    return {str(table.name): connection.execute(delete(table).where(where)).rowcount for table, where in wanted}


def hold(connection: Connection, patient: str) -> bool:
    """Hold the patient's row until the transaction ends; False when there is none any more."""
    if connection.dialect.name == "sqlite":
        # Otherwise the bytes would stay readable in the file until something else is written over them.
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    held = select(patients.c.id).where(patients.c.id == patient).with_for_update()
    return connection.execute(held).one_or_none() is not None


def end_claims(connection: Connection, patient: str) -> None:
    """Let nobody claim or send what is on its way of a patient any more, but what is being sent at this moment.

    Whoever has claimed it looks it up anew when there is another version of its subscription, and finds nothing. The
    deliveries are held before the subscriptions, as by whoever sends.
    """
    d, s = deliveries.c, subscriptions.c
    held = select(d.subscription_id, d.claim).where(d.patient_id == patient).order_by(d.id).with_for_update()
    for name in sorted({row.subscription_id for row in connection.execute(held) if row.claim is not None}):
        connection.execute(update(subscriptions).where(s.id == name).values(version=s.version + 1))


# --------------------------------------------------------------------------------------------------- who knows of it
@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Somebody who was told of the patient's flags: how often it was sent, and how often it may have arrived."""

    name: str
    channel: str
    sent: int
    unsure: int


def told(connection: Connection, patient: str) -> list[Told]:
    """The subscriptions to which something of the patient was sent, by name."""
    d, s = deliveries.c, subscriptions.c
    sent = func.count().filter(d.state == "sent")
    begun = or_(d.attempts > 0, d.claim.is_not(None))  # it may be being sent at this moment
    tried = func.count().filter(d.state != "sent", begun)
    statement = (
        select(s.name, s.channel, sent.label("sent"), tried.label("unsure"))
        .join_from(deliveries, subscriptions, d.subscription_id == s.id)
        .where(d.patient_id == patient, or_(d.state == "sent", begun))
        .group_by(s.id, s.name, s.channel)
        .order_by(s.name, s.channel)
    )
    return [
        Told(name=row.name, channel=row.channel, sent=row.sent, unsure=row.unsure)
        for row in connection.execute(statement)
    ]


def shown(connection: Connection, patient: str) -> dict[str, int]:
    """The clients of CDS Hooks to which cards of the patient's flags were shown, with how many."""
    c = cds_cards.c
    mine = select(flags.c.id).where(flags.c.patient_id == patient)
    statement = (
        select(c.client, func.count().label("cards")).where(c.flag_id.in_(mine)).group_by(c.client).order_by(c.client)
    )
    return {row.client: row.cards for row in connection.execute(statement)}


def namesakes(connection: Connection, identifier: str, patient: str) -> list[str]:
    """Other authorities that gave out the same identifier."""
    c = patients.c
    wanted = select(c.authority).where(c.identifier == identifier, c.id != patient).order_by(c.authority)
    return list(connection.execute(wanted).scalars())


# ------------------------------------------------------------------------------------------------- what is searched
def names(connection: Connection, patient: str) -> Iterator[str]:
    """Our own names of the patient and of everything that is the patient's."""
    yield patient
    for table in _of_patients():
        if "id" in table.c:
            yield from connection.execute(select(table.c.id).where(table.c.patient_id == patient).distinct()).scalars()


def first_seen_at(connection: Connection, patient: str) -> datetime:
    """When the patient was first heard of."""
    found: datetime = connection.execute(select(patients.c.first_seen_at).where(patients.c.id == patient)).scalar_one()
    return found


def moments(connection: Connection, patient: str) -> frozenset[datetime]:
    """When the panels of the patient were received."""
    c = panels.c
    return frozenset(connection.execute(select(c.received_at).where(c.patient_id == patient).distinct()).scalars())


def other_messages(
    connection: Connection, patient: str, *, types: Sequence[str], since: datetime
) -> Iterator[Row[Any]]:
    """Messages of the same senders that may name the patient although they brought nothing new of them."""
    p, c = panels.c, inbox.c
    sources = select(p.source).where(p.patient_id == patient)
    linked = select(p.inbox_id).where(p.patient_id == patient)
    wanted = (c.source.in_(sources), c.content_type.in_(types), c.received_at >= since, c.id.not_in(linked))
    yield from _streamed(connection, select(c.id, c.received_at, c.content_type, c.body).where(*wanted))


def answers(connection: Connection, *, since: datetime | None = None) -> Iterator[Row[Any]]:
    """Remembered answers, all of them or those given since a moment."""
    c = idempotency_keys.c
    statement = select(c.client, c.route, c.key, c.headers, c.body, c.created_at)
    yield from _streamed(connection, statement if since is None else statement.where(c.created_at >= since))


def _streamed(connection: Connection, statement: Any) -> Iterator[Row[Any]]:
    options = {"stream_results": True, "yield_per": _BODIES_AT_ONCE}
    with connection.execute(statement, execution_options=options) as found:
        yield from found


def remove_messages(connection: Connection, found: Sequence[str]) -> int:
    """Delete some messages; answers how many were still there."""
    return sum(
        connection.execute(delete(inbox).where(inbox.c.id.in_(some))).rowcount for some in _portions(sorted(found))
    )


def remove_answers(connection: Connection, found: Sequence[Name]) -> int:
    """Delete some remembered answers; answers how many were still there."""
    c = idempotency_keys.c
    key = tuple_(c.client, c.route, c.key)
    return sum(
        connection.execute(delete(idempotency_keys).where(key.in_(some))).rowcount for some in _portions(sorted(found))
    )


def _portions(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(rows), _AT_ONCE):
        yield rows[at : at + _AT_ONCE]
