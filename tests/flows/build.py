"""Short ways to write panels, to send them, and to look at what was kept.

Law: nothing here computes an expectation; it writes messages down, and reads rows back.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from service.flows.incoming import order
from service.flows.intake import take_in
from service.flows.means import Means
from service.flows.receipts import Receipt
from service.formats import native
from service.storage.database import Database
from service.storage.panels import Message
from service.storage.tables import STANDING_FLAG_STATES, episodes, flags, metadata, outbox, results, verdicts

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIRST_DAY = datetime(2026, 11, 1, 8, tzinfo=UTC)
WOMAN: Mapping[str, Any] = {"id": "88204113", "authority": "hospital-a", "sex": "female", "birth_date": "1968-03-14"}

Data = dict[str, Any]


def day(number: float) -> datetime:
    """A time of collection, counted from the first of November."""
    return FIRST_DAY + timedelta(days=number)


def result(analyte: str, value: Any, unit: str, **more: Any) -> Data:
    return {"analyte": analyte, "value": value, "unit": unit, **more}


def calcium(value: str, **more: Any) -> Data:
    """Above 10.4 mg/dL hypercalcemia; mild to 11.5, moderate to 12.5, severe to 13.0, then critical."""
    return result("calcium", value, "mg/dL", **more)


def hemoglobin(value: str, **more: Any) -> Data:
    """Below 12 g/dL anemia of a woman; mild from 10, moderate from 8, severe from 7, then critical."""
    return result("hemoglobin", value, "g/dL", **more)


def alp(value: str, **more: Any) -> Data:
    """Above 105 U/L raised."""
    return result("alkaline_phosphatase", value, "U/L", **more)


def platelets(value: str, **more: Any) -> Data:
    """Below 150 thrombocytopenia."""
    return result("platelets", value, "10*9/L", **more)


def panel(*brought: Data, on: float = 0, **more: Any) -> Data:
    """A panel of the woman, collected on a day."""
    given = {"patient": dict(WOMAN), "collected_at": day(on).isoformat(), "results": list(brought)}
    return {**given, **more}


def encoded(sent: Any) -> bytes:
    return json.dumps(sent).encode()


@dataclass(frozen=True)
class Sender:
    """A laboratory that sends panels to the flow itself, as the door does."""

    means: Means
    source: str = "lab-1"

    def send(self, sent: Data, *, at: datetime = NOW, **options: bool) -> Receipt:
        body = encoded(sent)
        message = Message(body=body, content_type="application/json", source=self.source, received_at=at)
        return take_in(order(native.read(body, now=at), message, self.means), self.means, **options)


def told(receipt: Receipt) -> list[tuple[str, str]]:
    """What was told, in its order: the kind of change and the finding."""
    return [(one.type.removeprefix("lab.flag."), one.finding) for one in receipt.told]


def outcomes(receipt: Receipt) -> list[tuple[str, str | None]]:
    """Outcome and reason of every place, in the order of the panel."""
    return [(verdict.outcome.value, verdict.reason and verdict.reason.value) for _, verdict in receipt.items]


def kept(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but those that say who asked for it, and for the moment when a patient was last written
    about.
    """
    with database.reading() as connection:
        return {
            name: sorted(
                (tuple(row) for row in connection.execute(select(*(c for c in table.c if c.name != "seen_at")))),
                key=repr,
            )
            for name, table in metadata.tables.items()
            if name not in _WHO_ASKED
        }


_WHO_ASKED = {"audit", "audit_head"}


def row_counts(database: Database) -> dict[str, int]:
    return {name: len(rows) for name, rows in kept(database).items()}


def flag_states(database: Database) -> list[tuple[str, str, str]]:
    """Finding, severity and state of every flag ever raised, in the order in which they were collected and raised."""
    with database.reading() as connection:
        rows = connection.execute(select(flags).order_by(flags.c.collected_at, flags.c.raised_at, flags.c.id))
        return [(row.finding, row.severity, row.state) for row in rows]


def standing(database: Database) -> set[tuple[Any, ...]]:
    """What stands of every flag, with its result by what the sender said of it instead of by a name of ours."""
    with database.reading() as connection:
        names = {row.id: row.identity for row in connection.execute(select(results.c.id, results.c.identity))}
        content = {
            (row.id, row.version): row.fingerprint
            for row in connection.execute(select(results.c.id, results.c.version, results.c.fingerprint))
        }
        rows = list(connection.execute(select(flags).where(flags.c.state.in_(STANDING_FLAG_STATES))))
    return {
        (
            names.get(row.subject, row.subject),
            row.finding,
            row.severity,
            row.why,
            row.provisional,
            content.get((row.subject, row.version)),
        )
        for row in rows
    }


def verdicts_kept(database: Database) -> set[tuple[Any, ...]]:
    """The current verdict on the current version of every result, by what the sender said of it."""
    joined = verdicts.join(
        results, (verdicts.c.result_id == results.c.id) & (verdicts.c.result_version == results.c.version)
    )
    statement = select(verdicts, results.c.identity).select_from(joined).where(verdicts.c.current, results.c.current)
    with database.reading() as connection:
        return {
            (row.identity, row.outcome, row.reason, row.why, row.provisional) for row in connection.execute(statement)
        }


def episode_rows(database: Database, states: Iterable[str] = ("open", "resolved")) -> set[tuple[Any, ...]]:
    """Finding, state, level, worst and times of the episodes."""
    with database.reading() as connection:
        rows = connection.execute(select(episodes).where(episodes.c.state.in_(list(states))))
        return {
            (row.finding, row.state, row.level, row.peak, row.opened_at, row.last_at, row.resolved_at) for row in rows
        }


def events(database: Database) -> list[tuple[str, str | None]]:
    """Type and flag of every event, in the order in which they were put out."""
    with database.reading() as connection:
        return [(row.type, row.flag_id) for row in connection.execute(select(outbox).order_by(outbox.c.seq))]


def current_outcomes(database: Database) -> list[str]:
    """The outcome of every current verdict."""
    with database.reading() as connection:
        return list(connection.execute(select(verdicts.c.outcome).where(verdicts.c.current)).scalars())
