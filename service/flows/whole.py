"""A message of several panels comes in whole: all of it is kept and judged, or nothing of it.

    claim ─► recalled, or: the message ─► each panel at the desk ─► the answer, made from the receipts ─► one commit

Law: the answer is kept in the transaction of what it tells of, so that the same message is answered the same again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from service.domain.errors import BadInput, Fault
from service.domain.panels import Panel
from service.flows.desk import Desk, at_desk, take_each
from service.flows.incoming import Order, order
from service.flows.intake import with_notes
from service.flows.means import Means
from service.flows.receipts import Receipt
from service.flows.remembering import recalled
from service.storage import idempotency, panels
from service.storage.idempotency import Answer, Claim
from service.storage.ids import new_id
from service.storage.panels import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """The wish that a message is taken in once: under which claim, until when it is remembered, and how to answer."""

    claim: Claim
    until: datetime
    render: Callable[[Sequence[Receipt]], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a message: a receipt for each panel, or the ``recalled`` answer of before and no receipts."""

    receipts: tuple[Receipt, ...] = field(repr=False)
    answer: Answer | None = None
    recalled: bool = False


# A message is one transaction, in which others wait for its patients, and on SQLite for the one writer.
MOST_RESULTS = 2_000

Check = Callable[[Connection], None]


def take_in_whole(
    brought: Sequence[Panel],
    message: Message,
    means: Means,
    *,
    once: Once | None = None,
    check: Check | None = None,
    dry_run: bool = False,
) -> Taken:
    """Take in every panel of a message, in one transaction; the message is kept even when it brings none.

    ``check`` is asked once nobody else can write of its patients any more, and may raise. With ``dry_run`` everything
    is judged, each panel as if it came alone, and nothing is kept. Raises ``BadInput`` with the faults of all panels,
    or when the claim was made for another message; ``InUse`` when the very same message is being taken in; and
    ``Unavailable``.
    """
    _refuse_too_many(brought)
    message_id = new_id("msg")
    orders = _orders(brought, message, means, message_id=message_id)
    if dry_run:
        return Taken(receipts=tuple(_judged(one, means) for one in orders))

    def work() -> Taken:
        with at_desk(orders, means, now=message.received_at) as desk:
            if once is not None and (answer := _remembered(desk, once, now=message.received_at)):
                return Taken(receipts=(), answer=answer, recalled=True)
            if check is not None:
                check(desk.connection)
            return _kept(desk, orders, message, message_id=message_id, once=once)

    return with_notes(work, means)


def _refuse_too_many(brought: Sequence[Panel]) -> None:
    found = [result for panel in brought for result in panel.results]
    if len(found) > MOST_RESULTS:
        detail = f"the message has more than {MOST_RESULTS} results"
        raise BadInput([Fault(pointer=found[0].pointer, code="too-many", detail=detail, hint="send several messages")])


def _orders(brought: Sequence[Panel], message: Message, means: Means, *, message_id: str) -> list[Order]:
    orders: list[Order] = []
    faults: list[Fault] = []
    for panel in brought:
        try:
            orders.append(replace(order(panel, message, means), message_id=message_id))
        except BadInput as error:
            faults.extend(error.faults)
    if faults:
        raise BadInput(faults)
    return orders


def _judged(one: Order, means: Means) -> Receipt:
    with at_desk([one], means, now=one.message.received_at, dry_run=True) as desk:
        return _all(take_each(desk, [one]))[0]


def _remembered(desk: Desk, once: Once, *, now: datetime) -> Answer | None:
    found = idempotency.find(desk.connection, [once.claim], now=now).get(once.claim.name)
    return None if found is None else recalled(once.claim, found)


def _kept(desk: Desk, orders: Sequence[Order], message: Message, *, message_id: str, once: Once | None) -> Taken:
    panels.keep_message(desk.writes, message_id, message)
    receipts = _all(take_each(desk, orders))
    if once is None:
        return Taken(receipts=receipts)
    answer = once.render(receipts)
    idempotency.keep(desk.writes, once.claim, answer, now=message.received_at, until=once.until)
    return Taken(receipts=receipts, answer=answer)


def _all(found: Sequence[Receipt | None]) -> tuple[Receipt, ...]:
    """Every receipt: without a limit of time, none is left for later."""
    return tuple(one for one in found if one is not None)
