"""Short ways to set a policy of escalation, and to see who was told and which steps were taken.

Law: nothing here computes an expectation; it sets policies as their owners do, and reads rows back.
"""

from datetime import timedelta

from sqlalchemy import select

from service.domain.escalation import Policy, Step
from service.domain.rules import Severity
from service.storage.tables import outbox
from service.storage.tables_watch import escalations
from tests.flows.telling import subscribe

MINUTE = timedelta(minutes=1)
CRITICAL = "13.9"


def policy_of(*steps, severity=Severity.CRITICAL):
    return Policy(
        severity=severity, steps=tuple(Step(subscription=f"sub_{who}", after_minutes=at) for who, at in steps)
    )


THREE = policy_of(("nurse", 15), ("doctor", 30), ("chief", 60))


def overdue(database):
    """Every event that tells of something overdue: to whom, and after how many minutes."""
    statement = select(outbox).where(outbox.c.type == "lab.flag.overdue").order_by(outbox.c.seq)
    with database.reading() as connection:
        return [
            (row.only_for.removeprefix("sub_"), row.data["waiting_minutes"]) for row in connection.execute(statement)
        ]


def taken(database):
    """Every step that was taken, with what became of it."""
    with database.reading() as connection:
        return sorted((row.step, row.state) for row in connection.execute(select(escalations)))


def staffed(database):
    """Three who are told of nothing but what is meant for them."""
    return {name: subscribe(database, name, types=("lab.flag.overdue",)) for name in ("nurse", "doctor", "chief")}
