"""A receiver to look at what is sent: it verifies each message and says it in one line.

    a message ─► is it signed with our secret, and fresh? ─► a line ─► 204; 401 when not; 500 as often as was asked for

Law: it listens on this machine alone, and nothing that somebody sends reaches the terminal but as printable text. What
is not signed is shown, and not believed.
"""

import json
import socketserver
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

HOST = "127.0.0.1"
_LARGEST, _DIGITS = 1_048_576, 10
_PATIENCE = 10  # seconds that a sender may take for a request
_WIDEST = 100
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """What a listener works with. ``fail``: so many messages are answered with 500. ``say`` takes one line."""

    port: int
    fail: int = 0
    as_json: bool = False
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as it came. ``genuine``: it is signed with our secret, and not older than five minutes."""

    id: str
    body: bytes = field(repr=False)
    genuine: bool
    again: bool = False


class Listener(socketserver.ThreadingTCPServer):
    """Listens from the moment it is made. Until ``secret`` is set, no message is genuine."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, listening: Listening) -> None:
        self.listening = listening
        self.secret: str | None = None
        self._lock = Lock()
        self._to_fail = listening.fail
        self._failed: set[str] = set()
        self._seen: set[str] = set()
        super().__init__((HOST, listening.port), _Handler)

    @property
    def endpoint(self) -> str:
        """The address to which messages are to be sent."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def take(self, headers: Mapping[str, str], body: bytes, now: datetime) -> int:
        """Say what came; answers the status with which it is answered."""
        name = headers.get("webhook-id", "")
        genuine = self._is_genuine(headers, body)
        with self._lock:
            message = Message(id=name, body=body, genuine=genuine, again=name in self._seen)
            status = self._status(message)
            if genuine and len(self._seen) < _REMEMBERED:
                self._seen.add(name)
            line = (json_line if self.listening.as_json else plain_line)(message, status, now)
            self.listening.say(line)
        return status

    def _is_genuine(self, headers: Mapping[str, str], body: bytes) -> bool:
        if self.secret is None:
            return False
        try:
            Webhook(self.secret).verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError):  # the latter where a header is not what it should be
            return False
        return True

    def _status(self, message: Message) -> int:
        if not message.genuine:
            return 401
        if self._to_fail > len(self._failed) and message.id not in self._failed:
            self._failed.add(message.id)
            return 500
        return 204


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Listener
    timeout = _PATIENCE
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal() and len(length) < _DIGITS and int(length) <= _LARGEST):
            self.close_connection = True  # the body is not read
            self._answer(413)
            return
        headers = {name.lower(): said for name, said in self.headers.items()}
        self._answer(self.server.take(headers, self.rfile.read(int(length)), _now()))

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing: what there is to say is said in one line for each message."""


def _now() -> datetime:
    """The clock of this shell."""
    return datetime.now(UTC)


def plain_line(message: Message, status: int, now: datetime) -> str:
    """A message in plain words."""
    said = _said(message.body)
    data = said.get("data")
    told = data if isinstance(data, dict) else {}
    about = [told.get("severity"), told.get("finding"), told.get("flag") or told.get("source")]
    parts = [f"{now:%H:%M:%S}Z", f"{_clean(said.get('type', 'no event')):<22}", *(_clean(one) for one in about if one)]
    parts.append("signature good" if message.genuine else "SIGNATURE BAD")
    if message.again:
        parts.append("(sent again)")
    if status == 500:
        parts.append("answered 500, as asked for")
    return "  ".join(parts)


def json_line(message: Message, status: int, now: datetime) -> str:
    """A message as JSON, with the whole body where it is JSON."""
    told = {
        "received_at": now.isoformat().replace("+00:00", "Z"),
        "webhook_id": message.id,
        "signature": "good" if message.genuine else "bad",
        "again": message.again,
        "answered": status,
        "body": _said(message.body) or message.body.decode("utf-8", "replace"),
    }
    return json.dumps(told)


def _said(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _clean(said: object) -> str:
    """A text without anything that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(said))[:_WIDEST]
