"""Panels come in: each is judged with all that is held of its patient, kept, and what changed is put out to be told.

    a panel ─► alone, or together with what others bring at the same time ─► the desk ─► receipts

Law: who is answered has been kept; what goes wrong with one of a group is tried alone, or told for what it is.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy.exc import IntegrityError

from service.domain.errors import Unavailable
from service.flows.desk import at_desk, take_each
from service.flows.incoming import Order
from service.flows.means import Means
from service.flows.receipts import Receipt

T = TypeVar("T")

# A group whose panels wait for each other goes on so long in one transaction; what is left comes in the next one, so
# that others who want the same patients, or the one writer of SQLite, have their turn.
_SECONDS = 0.5


def take_in(one: Order, means: Means, *, dry_run: bool = False, strict: bool = False) -> Receipt:
    """Take in one panel, in a transaction of its own.

    With ``dry_run`` everything is judged and nothing is kept; with ``strict`` a fault of meaning refuses the panel.
    Raises ``BadInput`` with every fault, ``InUse`` when its Idempotency-Key is, and ``Unavailable``.
    """
    (taken,) = _taken([one], means, dry_run=dry_run, strict=strict)
    if taken is None:
        raise RuntimeError("a panel alone waits for no other")
    return taken


def take_in_with_others(one: Order, means: Means) -> Receipt:
    """Take in one panel, together with those that other threads bring at the same time.

    Raises ``BadInput`` and ``InUse`` when its Idempotency-Key cannot be used, and ``Unavailable``.
    """

    def work(orders: Sequence[Order]) -> Sequence[Receipt | None]:
        return take_in_together(orders, means)

    found: Receipt = means.company.run(one, work)
    return found


def take_in_together(orders: Sequence[Order], means: Means) -> list[Receipt | None]:
    """Take in panels in their order and in one transaction, as many as half a second allows.

    None stands for those that are left for the next one. The first never is. Raises ``Unavailable``.
    """
    return _taken(orders, means, seconds=_SECONDS)


def _taken(
    orders: Sequence[Order], means: Means, *, dry_run: bool = False, strict: bool = False, seconds: float = 0
) -> list[Receipt | None]:
    def work() -> list[Receipt | None]:
        now = max(one.message.received_at for one in orders)
        with at_desk(orders, means, now=now, dry_run=dry_run) as desk:
            return take_each(desk, orders, strict=strict, seconds=seconds)

    return with_notes(work, means)


def with_notes(work: Callable[[], T], means: Means) -> T:
    """Do some work in which notes are kept, and do it again when it had to give way to somebody else's.

    Patients are locked in one order, but notes are kept when they are first needed: two transactions that go on in
    passes can want the same two in different orders. Then one of them gives way, and has lost nothing.
    """
    for _ in range(_GIVES_WAY):
        try:
            return _with_notes(work, means)
        except Unavailable as error:
            if not error.lost:
                raise
    return _with_notes(work, means)


_GIVES_WAY = 3  # times


def _with_notes(work: Callable[[], T], means: Means) -> T:
    """Once more if notes were not there: the database may be another one by now, from a backup, and not have those
    that this process has kept.
    """
    try:
        return work()
    except IntegrityError:
        if not means.kept_notes:
            raise
    means.kept_notes.clear()
    return work()
