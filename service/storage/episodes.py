"""Reading one episode with everything about it: its flags, what people did about it, and who was called.

Law: reading changes nothing; what holds of an episode now is found from its rows, for time passes without writing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from service.domain.acts import Called
from service.storage import acts, callbacks, patients
from service.storage.acts import Attended, Listed
from service.storage.patients import KeptPatient
from service.storage.tables import flags

_F = flags.c

# How many acts and how many calls are shown with an episode; all of them are answered in pages.
LATEST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """A list that belongs to an episode: what people did about it, or the calls."""

    episode: str
    of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeView:
    """One episode with every flag ever raised in it, oldest collection first, and what was done about it lately."""

    patient: KeptPatient = field(repr=False)
    episode: Attended = field(repr=False)
    flags: Sequence[Row[Any]] = field(repr=False)
    acts: Listed = field(repr=False)
    calls: Sequence[Called] = field(repr=False)
    more_calls: bool


def view(connection: Connection, patient_id: str, episode_id: str, *, now: datetime) -> EpisodeView:
    """An episode of a patient."""
    episode = acts.attended(connection, patient_id, episode_id, now=now)
    calls = callbacks.latest(connection, patient_id, episode.names, limit=LATEST + 1)
    return EpisodeView(
        patient=patients.get(connection, patient_id),
        episode=episode,
        flags=_members(connection, patient_id, episode_id),
        acts=acts.latest(connection, patient_id, episode.names, limit=LATEST),
        calls=calls[-LATEST:],
        more_calls=len(calls) > LATEST,
    )


def _members(connection: Connection, patient_id: str, episode_id: str) -> Sequence[Row[Any]]:
    columns: list[Any] = [_F.id, _F.severity, _F.state, _F.collected_at]
    wanted = (_F.patient_id == patient_id) & (_F.episode_id == episode_id)
    return list(connection.execute(select(*columns).where(wanted).order_by(_F.collected_at, _F.raised_at, _F.id)))


def source_of(connection: Connection, patient_id: str, flag_id: str) -> str:
    """Which source brought what raised a flag."""
    own = (_F.patient_id == patient_id) & (_F.id == flag_id)
    found: str = connection.execute(select(_F.source).where(own)).scalar_one()
    return found
