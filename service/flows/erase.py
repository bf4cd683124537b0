"""One patient is erased: everything that is kept of them, and what was said of them.

    foreseen: what would go, and who was told ─► erase: the patient held ─► all of it goes, with its entry in the audit

Law: all of it or nothing, in one transaction. What is left of the patient is a pseudonym in the audit that leads to
nobody.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from service.domain.actors import OPERATOR
from service.domain.audit import Entry
from service.domain.errors import NotFound
from service.formats import unescaped
from service.formats.fhir import reader as fhir
from service.formats.hl7v2 import reader as hl7v2
from service.storage import audit, deliveries, erasing, patients
from service.storage.database import Database
from service.storage.erasing import Told
from service.storage.idempotency import Name
from service.storage.patients import KeptPatient

# Messages of several patients, which are kept also when they bring nothing new.
_WHOLE = (fhir.MEDIA_TYPE, hl7v2.MEDIA_TYPE)
# What came in so lately is looked at once more while nobody can write of the patient.
_LATELY = timedelta(minutes=10)
_ULID = re.compile(rb"[0-9A-HJKMNP-TV-Z]{26}")
# Under these names what has no table of its own to be counted by is told.
OTHERS, ANSWERS = "other messages", "answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What goes, or went, of a patient: rows by table; who was told; and who has the same identifier elsewhere."""

    patient: str
    rows: Mapping[str, int]
    told: tuple[Told, ...]
    shown: Mapping[str, int]
    namesakes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traces:
    """Messages and answers that speak of a patient and are not linked to them."""

    messages: frozenset[str] = frozenset()
    answers: frozenset[Name] = field(default=frozenset(), repr=False)


def foreseen(database: Database, identifier: str, authority: str | None) -> Erasure:
    """What would go; nothing is changed. Raises ``NotFound``, ``Ambiguous`` and ``Unavailable``."""
    with database.reading() as connection:
        who = patients.named(connection, identifier, authority)
        found = _traces(connection, who, since=None)
        return _told(connection, who, erasing.counted(connection, erasing.rows_of(who.id)), found=found)


def erase(database: Database, identifier: str, authority: str | None, *, now: datetime) -> Erasure:
    """Remove it. Raises ``NotFound``, ``Ambiguous`` and ``Unavailable``."""
    with database.reading() as connection:  # the long search, while others can write
        who = patients.named(connection, identifier, authority)
        before = _traces(connection, who, since=None)
    with database.transaction() as connection:
        if not erasing.hold(connection, who.id):
            raise NotFound("patient")
        deliveries.wait_until_alone(connection)
        erasing.end_claims(connection, who.id)
        lately = _traces(connection, who, since=now - _LATELY)
        found = _Traces(messages=before.messages | lately.messages, answers=before.answers | lately.answers)
        known = _told(connection, who, {}, found=found)
        rows = {OTHERS: erasing.remove_messages(connection, list(found.messages))}
        rows |= {ANSWERS: erasing.remove_answers(connection, list(found.answers))}
        rows = erasing.removed(connection, erasing.rows_of(who.id)) | rows
        audit.append(connection, [_entry(who, rows, now=now)])
    return Erasure(patient=who.id, rows=rows, told=known.told, shown=known.shown, namesakes=known.namesakes)


def _told(connection: Connection, who: KeptPatient, rows: Mapping[str, int], *, found: _Traces) -> Erasure:
    return Erasure(
        patient=who.id,
        rows={**rows, OTHERS: len(found.messages), ANSWERS: len(found.answers)},
        told=tuple(erasing.told(connection, who.id)),
        shown=erasing.shown(connection, who.id),
        namesakes=tuple(erasing.namesakes(connection, who.identifier, who.id)),
    )


def _entry(who: KeptPatient, rows: Mapping[str, int], *, now: datetime) -> Entry:
    return Entry(
        at=now,
        kind=OPERATOR.kind.value,
        actor=OPERATOR.id,
        action="cli:erase",
        subject=who.id,
        outcome="done",
        detail={name: count for name, count in rows.items() if count},
    )


# -------------------------------------------------------------------------------------------------------- the search
def _traces(connection: Connection, who: KeptPatient, *, since: datetime | None) -> _Traces:
    """What speaks of the patient in messages of the same senders and in remembered answers; all, or since a moment."""
    first = erasing.first_seen_at(connection, who.id) - _LATELY
    candidates = erasing.other_messages(connection, who.id, types=_WHOLE, since=since or first)
    speaks = _speaks_of(who.identifier)
    messages = {
        row.id: row.received_at for row in candidates if any(map(speaks, unescaped.forms(row.content_type, row.body)))
    }
    # An answer is remembered as of the moment of its message; an acknowledgment of HL7 names nothing of ours.
    moments = erasing.moments(connection, who.id) | set(messages.values())
    names = {name.rpartition("_")[2].encode() for name in erasing.names(connection, who.id)}
    answers = (
        (row.client, row.route, row.key)
        for row in erasing.answers(connection, since=since)
        if row.created_at in moments or not names.isdisjoint(_named(row.headers, row.body))
    )
    return _Traces(messages=frozenset(messages), answers=frozenset(answers))


def _named(headers: Mapping[str, str], body: bytes) -> list[bytes]:
    """Whatever is named in an answer by a name of ours."""
    return _ULID.findall(json.dumps(headers).encode() + b" " + body)


def _speaks_of(identifier: str) -> Callable[[bytes], bool]:
    """Does the identifier stand in a message as a word of its own, in any of the character sets there are?"""
    ways = {identifier.encode(), json.dumps(identifier)[1:-1].encode(), *_encoded(identifier)}
    words = re.compile(rb"(?<![0-9A-Za-z])(?:" + b"|".join(map(re.escape, sorted(ways))) + rb")(?![0-9A-Za-z])")
    return lambda body: words.search(body) is not None


def _encoded(identifier: str) -> Iterator[bytes]:
    """The same in other character sets of HL7 v2, where they have it."""
    for name in ("latin-1", "utf-16-le", "utf-16-be"):
        with suppress(UnicodeEncodeError):
            yield identifier.encode(name)
