"""Looks up in the database whether everything that was promised is so.

Law: it reads tables only, and compares them with what the clients wrote down, never with what the service says of
itself.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, select, text

from service.storage.database import Database
from service.storage.tables import episodes, flags, inbox, outbox, panels, results, verdicts
from stress.common import few
from stress.ledger import Ledger
from stress.server import Service
from stress.story import Statement

Rows = Sequence[Row[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the tables hold, as one moment has it."""

    panels: Rows
    messages: int
    results: Rows
    verdicts: Rows
    flags: Rows
    episodes: Rows
    outbox: Rows

    @classmethod
    def of(cls, address: str) -> "Kept":
        """The tables of a database."""
        database = Database.open(address)
        try:
            with database.reading() as connection:
                return cls(
                    panels=_rows(connection, panels, "patient_id", "id", "items"),
                    messages=len(_rows(connection, inbox, "id")),
                    results=_rows(
                        connection, results, "patient_id", "id", "version", "panel_id", "identity", "current"
                    ),
                    verdicts=_rows(connection, verdicts, "id", "result_id", "result_version", "current", "outcome"),
                    flags=_rows(connection, flags, "patient_id", "id", "episode_id", "superseded_by", "state"),
                    episodes=_rows(connection, episodes, "patient_id", "id", "finding", "state"),
                    outbox=_rows(connection, outbox, "id", "type", "flag_id", "episode_id", "data"),
                )
        finally:
            database.close()


def _rows(connection: Connection, table: Table, *names: str) -> Rows:
    return connection.execute(select(*(table.c[name] for name in names))).all()


def audit(service: Service, ledger: Ledger) -> list[str]:
    """Every fault of what is kept, after everything was sent until it was taken."""
    kept = Kept.of(service.address)
    ledger.count("panels", len(kept.panels))
    ledger.count("results", len(kept.results))
    ledger.count("flags", len(kept.flags))
    found = [*ledger.faults, *faults_of(kept, ledger.statements), *sound(service.address)]
    return [*found, *_replayed(service), *failed(service)]


def failed(service: Service) -> Iterator[str]:
    """Did the service say of a request that it failed?"""
    if times := service.printed.count('"request failed"'):
        yield f"{times} requests failed with an error that nobody expected"


def faults_of(kept: Kept, statements: Sequence[Statement]) -> list[str]:
    """What is wrong with the tables, given the statements and all answers to them."""
    return [
        *_answered(kept, statements),
        *_once(kept),
        *_complete(kept),
        *_flags_and_events(kept),
        *_adds_up(kept, statements),
    ]


def _answered(kept: Kept, statements: Sequence[Statement]) -> Iterator[str]:
    """Is everything that was answered there?"""
    there = {row.id for row in kept.panels}
    versions = {(row.id, row.version): row.panel_id for row in kept.results}
    judged = {(row.result_id, row.result_version, row.outcome) for row in kept.verdicts}
    raised = {row.id for row in kept.flags}
    heard = [(one, answer) for one in statements for answer in one.answers]
    results = [(one, answer, verdict) for one, answer in heard for verdict in answer.verdicts]
    brought = [(one, answer, verdict) for one, answer, verdict in results if not answer.duplicate]
    yield from few("answered, but without its panel", (o.name for o, answer in heard if answer.panel not in there))
    yield from few(
        "answered, but without a result", (o.name for o, _, verdict in results if verdict[:2] not in versions)
    )
    yield from few(
        "answered, but a result is of another panel",
        (one.name for one, answer, verdict in brought if versions.get(verdict[:2], answer.panel) != answer.panel),
    )
    yield from few(
        "answered, but without a verdict", (one.name for one, _, verdict in brought if verdict not in judged)
    )
    yield from few(
        "answered, but without a flag", (o.name for o, answer in heard if not raised.issuperset(answer.flags))
    )
    told = Counter((row.type, row.flag_id, row.episode_id) for row in kept.outbox)
    events = Counter(event for _, answer in heard if not answer.duplicate for event in answer.events)
    yield from few("answered, but not in the outbox", (kind for kind, _, _ in events - told))
    yield from _alike(statements)


def _alike(statements: Sequence[Statement]) -> Iterator[str]:
    """Do the answers to one statement agree?"""
    taken = {one.name: sum(not answer.duplicate for answer in one.answers) for one in statements if one.answers}
    sure = {one.name for one in statements if not one.unsure}
    several = (one.name for one in statements if len({answer.panel for answer in one.answers}) > 1)
    yield from few("answered with several panels", several)
    yield from few("taken more than once", (name for name, times in taken.items() if times > 1))
    yield from few("a duplicate from the beginning", (name for name in sure if taken.get(name) == 0))


def _once(kept: Kept) -> Iterator[str]:
    """Is nothing there twice?"""
    for name in ("panels", "verdicts", "flags", "episodes", "outbox"):
        yield from few(f"the same id twice in {name}", _repeated((row.id,) for row in getattr(kept, name)))
    versions = ((row.patient_id, row.identity, row.version) for row in kept.results)
    yield from few("a version of a result held twice", _repeated(versions))
    open_ = ((row.patient_id, row.finding) for row in kept.episodes if row.state == "open")
    yield from few("several open episodes of one finding", _repeated(open_))
    current = Counter((row.patient_id, row.identity) for row in kept.results if row.current)
    held = {(row.patient_id, row.identity) for row in kept.results}
    if wrong := sum(current[one] != 1 for one in held):
        yield f"{wrong} results have none or several current versions"


def _complete(kept: Kept) -> Iterator[str]:
    """Has every panel its results, and every result its verdict?"""
    brought = Counter(row.panel_id for row in kept.results)
    stated = {row.id: sum(not item.get("duplicate") for item in row.items) for row in kept.panels}
    yield from few("panels without their results", (name for name, count in stated.items() if brought[name] != count))
    judged = {(row.result_id, row.result_version) for row in kept.verdicts}
    yield from few("results without a verdict", (row.id for row in kept.results if (row.id, row.version) not in judged))
    standing = Counter(row.result_id for row in kept.verdicts if row.current)
    unsettled = (row.id for row in kept.results if row.current and standing[row.id] != 1)
    yield from few("results without one current verdict", unsettled)


def _repeated(keys: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    return (str(number) for number, times in enumerate(Counter(keys).values()) if times > 1)


def _flags_and_events(kept: Kept) -> Iterator[str]:
    """Has every flag its event, every event its flag, and everything the episode that it names?"""
    raised, there = {row.id for row in kept.flags}, {row.id for row in kept.episodes}
    told: Mapping[str, set[str]] = defaultdict(set)
    for row in kept.outbox:
        for name in (row.flag_id, row.data.get("by")):
            if name:
                told[name].add(row.type)
    yield from few("flags without an event", raised - told.keys())
    yield from few("events about a flag that is not there", told.keys() - raised)
    yield from few("events about an episode that is not there", {row.episode_id for row in kept.outbox} - there)
    yield from few("flags of an episode that is not there", {row.episode_id for row in kept.flags} - there)
    yield from few("flags superseded by one that is not there", {r.superseded_by for r in kept.flags} - raised - {None})
    for state in ("superseded", "withdrawn"):
        gone = {row.id for row in kept.flags if row.state == state}
        yield from few(f"flags {state} without an event of it", (f for f in gone if f"lab.flag.{state}" not in told[f]))


def _adds_up(kept: Kept, statements: Sequence[Statement]) -> Iterator[str]:
    """Is exactly one panel kept for each statement, with exactly its results?"""
    named = {answer.panel for one in statements for answer in one.answers}
    if len(named) != len(statements):
        yield f"{len(statements)} statements, but {len(named)} panels were answered"
    if len(kept.panels) != len(statements):
        yield f"{len(statements)} statements, but {len(kept.panels)} panels are kept"
    if kept.messages != len(statements):
        yield f"{len(statements)} statements, but {kept.messages} messages are kept"
    if len(kept.results) != sum(one.results for one in statements):
        yield f"{sum(one.results for one in statements)} results were stated, but {len(kept.results)} are kept"


def sound(address: str) -> Iterator[str]:
    """Does the database itself find nothing wrong?"""
    database = Database.open(address)
    if database.dialect != "sqlite":
        database.close()
        return
    try:
        with database.reading() as connection:
            said = connection.execute(text("PRAGMA integrity_check")).scalars().all()
            broken = connection.execute(text("PRAGMA foreign_key_check")).all()
    finally:
        database.close()
    if said != ["ok"]:
        yield f"the integrity check of SQLite finds {len(said)} faults"
    if broken:
        yield f"{len(broken)} rows name others that are not there"


def _replayed(service: Service) -> Iterator[str]:
    """Can every flag ever raised be had again?"""
    done = service.command("replay", "--all")
    if done.returncode:
        yield f"replay --all ends with {done.returncode}: {(done.stdout + done.stderr).strip().splitlines()[-1:]}"
