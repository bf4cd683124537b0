"""The channel of pagers: Alertmanager, PagerDuty, and what takes the same messages.

Law: whoever is sent to knows us by a credential, not by a signature.
"""

from service.delivery.addresses import Guard
from service.delivery.http import Client
from service.delivery.letter import Letter
from service.delivery.outcome import Outcome
from service.delivery.webhook import posted

_KNOWN_BY_ITSELF = b'{"routing_key":'  # a message of PagerDuty, which begins with the credential


class PagerSender:
    """Sends to pagers."""

    def __init__(self, guard: Guard, client: Client) -> None:
        self._guard, self._client = guard, client

    def send(self, letter: Letter) -> Outcome:
        """Post one message; a credential that is not in it goes into ``Authorization``."""
        known = letter.credential is None or letter.body.startswith(_KNOWN_BY_ITSELF)
        own = {} if known else {"Authorization": str(letter.credential)}
        return posted(self._client, letter, {**letter.headers, **own})

    def faults(self, endpoint: str) -> list[str]:
        """What speaks against an endpoint, as far as it can be seen without looking anything up."""
        return self._guard.faults(endpoint)
