"""What an operator is promised of ``lab-alerts listen``.

Law: it runs as an operator runs it; messages are signed with the published library.
"""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from service.domain.subscriptions import ALL_TYPES, Subscription
from service.listener import Message, json_line, plain_line
from service.storage import subscriptions
from service.storage.database import Database

RAISED = {
    "type": "lab.flag.raised",
    "timestamp": "2026-11-20T12:00:00Z",
    "data": {"finding": "hypercalcemia", "severity": "moderate", "flag": "flg_1", "source": "lab-1"},
}
AT = datetime(2026, 11, 20, 12, 0, 3, tzinfo=UTC)
_PATIENCE = 30  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A listener that runs."""

    process: subprocess.Popen[str]
    port: int
    secret: str

    def send(self, said: Any = None, **headers: str) -> int:
        """Send a message; answers the status. ``headers`` replace those that it is signed with."""
        body = json.dumps(RAISED) if said is None else said
        own = signed(self.secret, body)
        return self.post(body, own | {name.replace("_", "-"): text for name, text in headers.items()})

    def post(self, body: str | bytes, headers: dict[str, str]) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        try:
            connection.request("POST", "/", body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def stop(self) -> list[str]:
        """Stop it as Ctrl-C does; answers the lines that it has printed."""
        self.process.send_signal(signal.SIGINT)
        printed, _ = self.process.communicate(timeout=_PATIENCE)
        return printed.splitlines()


def signed(secret: str, body: str, *, name: str = "evt_1", at: datetime | None = None) -> dict[str, str]:
    """The headers of a message. ``Webhook.sign`` takes the hours of a time for those of UTC."""
    now = at or datetime.now(UTC)
    signature = Webhook(secret).sign(name, now, body)
    return {"webhook-id": name, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


@contextmanager
def listening(address: str, *arguments: str) -> Iterator[Listener]:
    command = [str(Path(sys.executable).parent / "lab-alerts"), "listen", "--port", "0", *arguments]
    environment = {"LAB_ALERTS_DATABASE_URL": address, "PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:  # noqa: S603  our own program
        try:
            told = "".join(takewhile(str.strip, process.stderr))  # up to the first blank line, or to its end
            port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", told)[1])
            yield Listener(process=process, port=port, secret=re.search(r"whsec_\S+", told)[0])
        finally:
            process.kill()


def held(database: Database) -> list[Subscription]:
    with database.reading() as connection:
        return subscriptions.every(connection)


def test_it_subscribes_to_everything_and_removes_that_when_it_ends(address, database):
    with listening(address) as listener:
        (made,) = held(database)
        listener.stop()

    assert (made.name, made.endpoint) == ("listen", f"http://127.0.0.1:{listener.port}/")
    assert (made.filter.types, made.secret, made.created_by) == (ALL_TYPES, listener.secret, "operator")
    assert listener.process.returncode == 0
    assert held(database) == []


@pytest.mark.parametrize("kind", ["sqlite"])
def test_it_takes_the_place_of_one_that_was_killed(address, database):
    with listening(address) as first:
        first.process.kill()
        first.process.wait()
    (left,) = held(database)

    with listening(address):
        (now,) = held(database)

    assert (left.name, now.name) == ("listen", "listen")
    assert (now.id != left.id, now.secret != left.secret) == (True, True)


@pytest.mark.parametrize("kind", ["sqlite"])
def test_one_that_was_replaced_leaves_the_other_alone(address, database):
    with listening(address) as first, listening(address) as second:
        first.stop()
        (left,) = held(database)

    assert first.process.returncode == 0
    assert left.secret == second.secret


@pytest.mark.parametrize("kind", ["sqlite"])
def test_messages_are_verified_and_said_one_line_each(address):
    with listening(address) as listener:
        statuses = [listener.send(), listener.send(), listener.send(webhook_signature="v1,AAAA")]

        lines = listener.stop()

    assert statuses == [204, 204, 401]
    said = "lab.flag.raised         moderate  hypercalcemia  flg_1  signature"
    assert [line.partition("Z  ")[2] for line in lines] == [
        f"{said} good",
        f"{said} good  (sent again)",
        f"{said} SIGNATURE BAD".replace("signature SIGNATURE", "SIGNATURE") + "  (sent again)",
    ]


ODD_HEADERS = {
    "none": {"webhook_signature": ""},
    "another version": {"webhook_signature": "v1a,AAAA"},
    "no comma": {"webhook_signature": "v1"},
    "two commas": {"webhook_signature": "v1,a,b"},
    "no base64": {"webhook_signature": "v1,a"},
    "no time": {"webhook_timestamp": "now"},
    "not a number": {"webhook_timestamp": "nan"},
    "another time": {"webhook_timestamp": "1772442902"},
    "another id": {"webhook_id": "evt_2"},
}


@pytest.mark.parametrize("kind", ["sqlite"])
def test_whatever_is_not_signed_is_not_believed(address):
    stale = datetime.now(UTC) - timedelta(minutes=6)
    body = json.dumps(RAISED)
    with listening(address) as listener:
        statuses = {name: listener.send(**headers) for name, headers in ODD_HEADERS.items()}
        statuses["too old"] = listener.post(body, signed(listener.secret, body, at=stale))
        statuses["another secret"] = listener.post(
            body, signed("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", body)
        )
        statuses["not UTF-8"] = listener.post(b"\xff", signed(listener.secret, "x"))
        lines = listener.stop()

    assert set(statuses.values()) == {401}
    assert len(lines) == len(statuses)
    assert all("SIGNATURE BAD" in line for line in lines)


@pytest.mark.parametrize("kind", ["sqlite"])
def test_as_many_as_was_asked_for_are_answered_with_a_failure_each_once(address):
    body = json.dumps(RAISED)
    with listening(address, "--fail", "2") as listener:
        statuses = [listener.send(), listener.send(webhook_id="x")]
        statuses += [
            listener.post(body, signed(listener.secret, body, name=name))
            for name in ("evt_1", "evt_2", "evt_2", "evt_3")
        ]

        lines = listener.stop()

    assert statuses == [500, 401, 204, 500, 204, 204]
    assert ["answered 500, as asked for" in line for line in lines] == [True, False, False, True, False, False]


@pytest.mark.parametrize("kind", ["sqlite"])
def test_as_json_the_whole_message_is_printed(address):
    with listening(address, "--json") as listener:
        listener.send()
        listener.send("no JSON")

        first, second = [json.loads(line) for line in listener.stop()]

    assert (first["body"], first["signature"], first["again"], first["answered"]) == (RAISED, "good", False, 204)
    assert (second["body"], second["webhook_id"]) == ("no JSON", "evt_1")


@pytest.mark.parametrize("kind", ["sqlite"])
@pytest.mark.parametrize("length", ["", "x", "-1", "1048577", "00000000001048577"])
def test_a_body_of_unsaid_or_absurd_length_is_not_read(address, length):
    head = f"POST / HTTP/1.1\r\nHost: x\r\n{f'Content-Length: {length}' if length else 'X: y'}\r\n\r\n"
    with listening(address) as listener, socket.create_connection(("127.0.0.1", listener.port), _PATIENCE) as sock:
        sock.sendall(head.encode())
        answer = sock.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_port_that_is_taken_is_said_and_nothing_is_left(address, database):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [str(Path(sys.executable).parent / "lab-alerts"), "listen", "--port", str(taken.getsockname()[1])]
        told: Any = {"env": {"LAB_ALERTS_DATABASE_URL": address}, "capture_output": True, "text": True}
        done = subprocess.run(command, check=False, timeout=_PATIENCE, **told)  # noqa: S603  our own program

    assert done.returncode == 1
    assert "cannot listen on 127.0.0.1:" in done.stderr
    assert held(database) == []


# ---------------------------------------------------------------------------------------------------------- its lines
def came(said: Any, **more: Any) -> Message:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return Message(**{"id": "evt_1", "body": body, "genuine": True, **more})


LINES = {
    "a flag": (RAISED, "lab.flag.raised         moderate  hypercalcemia  flg_1  signature good"),
    "a source": (
        {"type": "lab.feed.silent", "data": {"source": "lab-1"}},
        "lab.feed.silent         lab-1  signature good",
    ),
    "a test": ({"type": "lab.subscription.test", "data": {}}, "lab.subscription.test   signature good"),
    "no object": ([1], "no event                signature good"),
    "no JSON": (b"<html>", "no event                signature good"),
    "data of another kind": ({"type": 7, "data": 8}, "7                       signature good"),
    "what a terminal obeys": (
        {"type": "\x1b[2J\r\n", "data": {"flag": "\u202eflg\x07"}},
        "?[2J??                  ?flg?  signature good",
    ),
    "too long": ({"type": "x" * 1_000, "data": {}}, f"{'x' * 100}  signature good"),
    "too deep": (b"[" * 100_000, "no event                signature good"),
}


@pytest.mark.parametrize(("said", "line"), LINES.values(), ids=LINES)
def test_a_line_says_what_a_message_is_about(said, line):
    assert plain_line(came(said), 204, AT) == f"12:00:03Z  {line}"


def test_json_stays_in_one_line_whatever_came():
    line = json_line(came(b"\xff\r\n\x1b", id="\x1b\n"), 401, AT)

    assert line.isprintable()
    assert json.loads(line)["received_at"] == "2026-11-20T12:00:03Z"
