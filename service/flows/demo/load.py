"""The demo goes in, panel by panel, and what came of it is told in a line for each patient.

Law: it goes through intake like everything else. Where a demo is held already, that very one is completed, and none is
loaded beside it.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.domain.errors import BadInput, Fault
from service.flows.demo.pen import AUTHORITY, Sending, demo_of, eight_o_clock, name_of
from service.flows.demo.stories import sendings, story
from service.flows.incoming import order
from service.flows.intake import take_in
from service.flows.means import Means
from service.formats import native
from service.storage import overview
from service.storage.overview import Overview
from service.storage.panels import Message

SOURCE = "demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A patient of the demo: the story, and what is held."""

    title: str
    held: Overview


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What the demo holds now: how many panels were new and known, the last collection, and the patients."""

    new: int
    known: int
    last: datetime
    lines: tuple[Line, ...]


def load(means: Means, *, seed: int, patients: int, now: datetime) -> Loaded:
    """Load the demo with its last collection yesterday, or complete the one that is held.

    Raises ``BadInput`` where a demo of another seed is held, and ``Unavailable``.
    """
    last = _last(means, seed, now)
    duplicates = [_send(one, means) for one in sendings(seed, patients, last)]
    return Loaded(new=duplicates.count(False), known=duplicates.count(True), last=last, lines=_lines(means, patients))


def _last(means: Means, seed: int, now: datetime) -> datetime:
    """The time of the last collection: that of the demo that is held, or else yesterday at eight."""
    with means.database.reading() as connection:
        given = overview.an_accession(connection, authority=AUTHORITY, source=SOURCE)
    held = demo_of(given) if given else None
    if held is None:
        return eight_o_clock(now.astimezone(UTC) - timedelta(days=1))
    if held[0] != seed:
        hint = f"use --seed {held[0]}, or another database"
        raise BadInput(
            [Fault(pointer="seed", code="contradiction", detail="the demo of another seed is held", hint=hint)]
        )
    return held[1]


def _send(sending: Sending, means: Means) -> bool:
    """Send a panel as a laboratory does; answers whether all of it was held already."""
    body = json.dumps(sending.panel).encode()
    at = sending.received_at
    message = Message(body=body, content_type=native.MEDIA_TYPE, source=SOURCE, received_at=at, quiet=True)
    return take_in(order(native.read(body, now=sending.received_at), message, means), means).duplicate


def _lines(means: Means, patients: int) -> tuple[Line, ...]:
    with means.database.reading() as connection:
        held = overview.of_authority(connection, AUTHORITY)
    return tuple(Line(title=story(number).title, held=held[name_of(number)]) for number in range(1, patients + 1))
