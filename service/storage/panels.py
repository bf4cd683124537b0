"""Rows of the inbox and of panels.

Law: the bytes are kept as they came, and a panel says of each of its results which kept version it is.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from service.domain.drafts import drafted
from service.domain.errors import NotFound
from service.domain.facts import told
from service.domain.panels import Panel
from service.storage.tables import inbox, panels
from service.storage.writes import Writes

# The source of trials: nobody is told of what its results bring about.
TRIALS = "selftest"
# Before the authority of a patient of whom a message tells that is only a trial.
TRIAL = "urn:lab-alerts:trial:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as it came in: the bytes, what they are, and who sent them under which request.

    ``test``: the sender says that it is only a trial (HL7 v2 MSH-11: T or D). ``quiet``: it is history, of which nobody
    is to be told.
    """

    body: bytes = field(repr=False)
    content_type: str
    source: str
    key_id: str | None = None
    request_id: str | None = None
    received_at: datetime
    test: bool = False
    quiet: bool = False

    @property
    def trial(self) -> bool:
        """Is it only a trial, so that nobody is told of what it brings about?"""
        return self.test or self.source == TRIALS


def is_trial(authority: str, source: str) -> bool:
    """Was what is held of a patient of this authority, from this source, brought by trials?"""
    return source == TRIALS or authority.startswith(TRIAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Which version of which kept result a place in a panel is. ``notice`` is what the sender should know of it."""

    pointer: str
    result: str
    version: int
    duplicate: bool = False
    notice: str | None = None

    def as_data(self) -> dict[str, Any]:
        return {
            "pointer": self.pointer,
            "result": self.result,
            "version": self.version,
            "duplicate": self.duplicate,
            "notice": self.notice,
        }


new_item = drafted(Item)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPanel:
    """A panel as kept."""

    id: str
    patient_id: str
    source: str
    accession: str | None = field(default=None, repr=False)
    collected_at: datetime = field(repr=False)
    received_at: datetime
    items: tuple[Item, ...]


def keep_message(writes: Writes, message_id: str, message: Message) -> None:
    """Keep the bytes of a message."""
    row = {
        "id": message_id,
        "received_at": message.received_at,
        "source": message.source,
        "key_id": message.key_id,
        "request_id": message.request_id,
        "content_type": message.content_type,
        "test": message.trial,
        "body": message.body,
    }
    writes.add(inbox, row)


def keep_panel(writes: Writes, panel: Panel, *, kept: KeptPanel, message_id: str) -> None:
    """Keep a panel with the list of its items, and what it said of the person."""
    said = told(panel)
    row = {
        "patient_id": kept.patient_id,
        "id": kept.id,
        "inbox_id": message_id,
        "source": kept.source,
        "accession": panel.accession,
        "collected_at": panel.collected_at,
        "issued_at": panel.issued_at,
        "received_at": kept.received_at,
        "pregnant": panel.pregnant,
        "trimester": panel.trimester,
        "age_years": panel.age_years,
        "told_sex": said.sex.value,
        "told_born": said.born,
        "note": panel.note,
        "items": [item.as_data() for item in kept.items],
    }
    writes.add(panels, row)


def panel(connection: Connection, panel_id: str) -> KeptPanel:
    """The panel with this id. Raises ``NotFound``."""
    row = connection.execute(select(panels).where(panels.c.id == panel_id)).one_or_none()
    if row is None:
        raise NotFound("panel")
    return KeptPanel(
        id=row.id,
        patient_id=row.patient_id,
        source=row.source,
        accession=row.accession,
        collected_at=row.collected_at,
        received_at=row.received_at,
        items=tuple(Item(**item) for item in row.items),
    )
