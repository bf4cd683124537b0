"""The channel of webhooks: a signed message, posted to an address (Standard Webhooks 1.0.0).

Law: only a 2xx means that the receiver has it. What it says of the message itself is final; all else may mend.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from standardwebhooks import Webhook

from service.delivery.addresses import Forbidden, Guard
from service.delivery.http import Answer, Client, NotReached
from service.delivery.letter import Letter
from service.delivery.outcome import Later, Outcome, Refused, Sent

# The receiver has understood, and will not take this message however often it comes.
_FINAL = frozenset({400, 405, 406, 411, 413, 414, 415, 417, 422, 431, 451, 501, 505})
_LONGEST = timedelta(hours=24)  # that a receiver may ask for
_DIGITS = 9  # of its seconds: years; as many as it likes are no number to read


class WebhookSender:
    """Sends to webhooks."""

    def __init__(self, guard: Guard, client: Client) -> None:
        self._guard, self._client = guard, client

    def send(self, letter: Letter) -> Outcome:
        """Post one message, signed with each of its secrets."""
        return posted(self._client, letter, {**letter.headers, **signed(letter)})

    def faults(self, endpoint: str) -> list[str]:
        """What speaks against an endpoint, as far as it can be seen without looking anything up."""
        return self._guard.faults(endpoint)


def signed(letter: Letter) -> dict[str, str]:
    """The headers that sign a message at the moment at which it is sent."""
    text = letter.body.decode()
    at = letter.at.astimezone(UTC)  # the library takes whatever time it is given for UTC
    signatures = [Webhook(secret).sign(letter.id, at, text) for secret in letter.secrets]
    return {
        "webhook-id": letter.id,
        "webhook-timestamp": str(int(letter.at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def posted(client: Client, letter: Letter, headers: Mapping[str, str]) -> Outcome:
    """Post a message, and what became of it."""
    try:
        answer = client.post(letter.to, letter.body, {**headers, "Content-Type": letter.content_type})
    except Forbidden as error:
        return Refused(why=f"the address {error}")
    except NotReached as error:
        return Later(why=str(error))
    return outcome(answer, now=letter.at)


def outcome(answer: Answer, *, now: datetime) -> Outcome:
    """What an answer means."""
    status, said = answer.status, answer.text
    if HTTPStatus(200) <= status < HTTPStatus(300):
        return Sent(status=status, answer=said)
    if status == HTTPStatus.GONE:
        return Refused(why="the receiver is gone", status=status, gone=True, answer=said)
    if status in _FINAL:
        return Refused(why="the receiver refused the message", status=status, answer=said)
    after = retry_after(answer.headers.get("retry-after", ""), now=now)
    return Later(why=_why(status), status=status, after=after, answer=said)


def _why(status: int) -> str:
    if 300 <= status < 400:
        return "redirects are not followed"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
        return "the receiver does not let it in"
    return "the receiver asks for patience" if status == HTTPStatus.TOO_MANY_REQUESTS else "the receiver failed"


def retry_after(text: str, *, now: datetime) -> timedelta | None:
    """How long the receiver asks to be left alone (RFC 9110, section 10.2.3): seconds or a date, a day at most."""
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:_DIGITS])), _LONGEST)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a year or an offset beyond all dates
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(until - now, timedelta()), _LONGEST)
