"""What is handed to a channel: one message, written and addressed.

Law: a letter is complete; a channel looks nothing up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message to one endpoint. ``id`` is the same whenever it is sent again (``webhook-id``).

    ``to``: an http or https address, or ``mailto:`` and a mail address. ``secrets``: those that it is signed with, the
    newest first. ``credential``: what the receiver asks for instead (a PagerDuty routing key is in the body already;
    for others it is the value of ``Authorization``).
    """

    id: str
    to: str = field(repr=False)
    body: bytes = field(repr=False)
    content_type: str
    at: datetime
    headers: Mapping[str, str] = field(default_factory=dict)
    subject: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    credential: str | None = field(default=None, repr=False)
