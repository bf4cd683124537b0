"""What becomes of a message, whatever its receiver does."""

import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
import trustme
from standardwebhooks import Webhook

from service.delivery.addresses import Guard
from service.delivery.http import MOST, Client
from service.delivery.outcome import Later, Refused, Sent
from service.delivery.webhook import WebhookSender, retry_after, signed
from tests.delivery.receivers import AT, OK, OTHER, SECRET, closes, letter, receiving, says, trickles

LOCAL = Guard(http=True, networks=(ip_network("127.0.0.0/8"),))


def sender(guard: Guard = LOCAL, **more) -> WebhookSender:
    return WebhookSender(guard, Client(guard, **{"seconds": 5.0, **more}))


def answer(status: int, *headers: str, body: bytes = b"") -> bytes:
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


STATUSES = [
    (200, Sent), (201, Sent), (202, Sent), (204, Sent), (299, Sent),
    (301, Later), (302, Later), (307, Later), (308, Later),
    (401, Later), (403, Later), (404, Later), (408, Later), (409, Later), (425, Later), (429, Later),
    (500, Later), (502, Later), (503, Later), (504, Later), (599, Later),
    (400, Refused), (405, Refused), (406, Refused), (410, Refused), (411, Refused), (413, Refused), (414, Refused),
    (415, Refused), (417, Refused), (422, Refused), (431, Refused), (451, Refused), (501, Refused), (505, Refused),
]  # fmt: skip


@pytest.mark.parametrize(("status", "kind"), STATUSES)
def test_what_a_status_means(status, kind):
    reply = OK if status == 204 else answer(status, "Location: http://127.0.0.1:1/never", body=b"said")
    with receiving(says(reply)) as receiver:
        outcome = sender().send(letter(receiver.address()))

    assert (type(outcome), outcome.status) == (kind, status)
    assert outcome.answer == ("" if status == 204 else "said")
    assert getattr(outcome, "gone", False) == (status == 410)


def test_a_redirect_is_never_followed():
    with receiving(says(OK)) as other:
        there = answer(307, f"Location: {other.address()}")
        with receiving(says(there)) as receiver:
            outcome = sender().send(letter(receiver.address()))

    assert outcome == Later(why="redirects are not followed", status=307)
    assert other.connections == 0


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("120", timedelta(minutes=2)),
        ("0", timedelta()),
        ("Mon, 02 Mar 2026 09:16:02 GMT", timedelta(minutes=1)),
        ("Mon, 02 Mar 2020 09:16:02 GMT", timedelta()),
        ("999999999999999", timedelta(hours=24)),
        ("Fri, 31 Dec 2199 23:59:59 GMT", timedelta(hours=24)),
        ("-5", None),
        ("soon", None),
        ("9" * 5000, timedelta(hours=24)),
        ("Mon, 02 Mar 99999999999 09:16:02 GMT", None),
        ("Mon, 02 Mar 2026 09:16:02 +99999999999", None),
        ("", None),
        ("१२", None),
    ],
    ids=lambda one: str(one)[:40],
)
def test_how_long_a_receiver_asks_to_be_left_alone(text, after):
    assert retry_after(text, now=AT) == after


def test_it_is_left_alone_for_as_long_as_it_asks():
    with receiving(says(answer(503, "Retry-After: 90"))) as receiver:
        outcome = sender().send(letter(receiver.address()))

    assert outcome == Later(why="the receiver failed", status=503, after=timedelta(seconds=90))


# ------------------------------------------------------------------------------------------------- unwell receivers
BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
UNWELL = {
    "says nothing": (lambda _connection, _request, over: over.wait(10), "no answer in time"),
    "trickles its head": (trickles(b"HTTP/1.1 200 OK\r\nX: "), "no answer in time"),
    "trickles lines": (trickles(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"), None),
    "breaks off at once": (closes(), "the connection broke, or what came is not HTTP"),
    "breaks off in the status": (closes(b"HTTP/1.1 2"), "the connection broke, or what came is not HTTP"),
    "is no web server": (says(b"220 mail.example ESMTP\r\n" * 20), "the connection broke, or what came is not HTTP"),
    "has an endless line": (says(b"HTTP/1.1 200 " + b"x" * 200_000 + b"\r\n\r\n"), None),
    "has a thousand headers": (says(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n"), None),
}


@pytest.mark.parametrize("name", UNWELL)
def test_a_receiver_that_is_not_well_is_tried_again_later(name):
    talk, why = UNWELL[name]
    began = time.monotonic()
    with receiving(talk) as receiver:
        outcome = sender(seconds=0.5).send(letter(receiver.address()))

    assert isinstance(outcome, Later)
    assert why is None or outcome.why == why
    # Its time is half a second; without an end it would be for ever.
    assert time.monotonic() - began < 8


@pytest.mark.parametrize(
    "talk", [trickles(BEGUN), closes(BEGUN + b"begun"), closes(b"HTTP/1.1 200 O"), says(BEGUN + b"x" * 1_000_000)]
)
def test_what_comes_behind_the_status_changes_nothing(talk):
    with receiving(talk) as receiver:
        outcome = sender(seconds=0.5).send(letter(receiver.address()))

    assert isinstance(outcome, Sent)
    assert len(outcome.answer) <= MOST


def test_what_no_database_keeps_is_not_in_the_answer():
    with receiving(says(answer(200, body=b"ok\x00nul\xff"))) as receiver:
        outcome = sender().send(letter(receiver.address()))

    assert outcome.answer == "ok\ufffdnul\ufffd"


def test_nobody_there():
    with receiving(says(OK)) as receiver:
        pass

    assert sender().send(letter(receiver.address())) == Later(why="no connection")


def test_a_name_that_is_not_found():
    def nowhere(_host: str, _port: int) -> list[str]:
        raise OSError

    outcome = sender(look_up=nowhere).send(letter("http://nowhere.example/hook"))

    assert outcome == Later(why="the name of the receiver is not found")


# ---------------------------------------------------------------------------------------------------------------- TLS
@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def trusted(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def tls(certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def to_this_machine(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def test_a_certificate_of_an_authority_that_is_trusted_besides(authority, trusted):
    with receiving(says(OK), tls=tls(authority.issue_cert("hook.example"))) as receiver:
        outcome = sender(authorities=trusted, look_up=to_this_machine).send(letter(receiver.address("hook.example")))

    assert outcome == Sent(status=204)
    assert b"Host: hook.example:%d\r\n" % receiver.port in receiver.requests[0]


PAST = datetime(2020, 1, 1, tzinfo=UTC)
WRONG = {
    "of nobody": lambda _authority: trustme.CA().issue_cert("hook.example"),
    "of another host": lambda authority: authority.issue_cert("other.example"),
    "of the address and not of the name": lambda authority: authority.issue_cert("127.0.0.1"),
    "by its common name alone": lambda authority: authority.issue_cert(common_name="hook.example"),
    "expired": lambda authority: authority.issue_cert("hook.example", not_after=PAST),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_certificate_that_is_wrong_gets_no_message(authority, trusted, name):
    with receiving(says(OK), tls=tls(WRONG[name](authority))) as receiver:
        outcome = sender(authorities=trusted, look_up=to_this_machine).send(letter(receiver.address("hook.example")))

    assert outcome == Later(why="the certificate of the receiver is not trusted, or its TLS is not right")
    assert receiver.requests == []


def test_a_handshake_that_trickles_is_cut_off(trusted):
    with receiving(trickles(b"\x16\x03\x03\x40\x00"), at_once=True) as receiver:
        to = f"https://hook.example:{receiver.port}/"
        outcome = sender(authorities=trusted, look_up=to_this_machine, seconds=0.5).send(letter(to))

    assert outcome == Later(why="no answer in time")


def test_a_receiver_that_speaks_no_tls(trusted):
    with receiving(says(OK)) as receiver:
        to = f"https://hook.example:{receiver.port}/"
        outcome = sender(authorities=trusted, look_up=to_this_machine, seconds=1.0).send(letter(to))

    assert isinstance(outcome, Later)
    assert receiver.requests == []


# ------------------------------------------------------------------------------------------------------------ the guard
def test_a_name_is_looked_up_once_and_the_address_found_is_the_one_connected_to():
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    with receiving(says(OK)) as receiver:
        outcome = sender(look_up=lambda _host, _port: next(answers)).send(letter(receiver.address("hook.example")))

    assert outcome == Sent(status=204)
    assert next(answers) == ["10.0.0.1"]


def test_a_private_address_is_refused_and_never_connected_to():
    with receiving(says(OK)) as receiver:
        outcome = sender(Guard(http=True)).send(letter(receiver.address()))

    assert isinstance(outcome, Refused)
    assert receiver.connections == 0


def test_http_is_refused_unless_it_is_allowed():
    with receiving(says(OK)) as receiver:
        guard = Guard(networks=LOCAL.networks)
        outcome = sender(guard).send(letter(receiver.address()))

    assert isinstance(outcome, Refused)
    assert receiver.connections == 0


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with receiving(says(OK)) as receiver:
        assert sender().send(letter(receiver.address())) == Sent(status=204)


# ---------------------------------------------------------------------------------------------------------- signatures
def headers_of(request: bytes) -> dict[str, str]:
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_the_vector_of_the_contract():
    at = datetime.fromtimestamp(1772442902, tz=UTC)
    body = b'{"type":"lab.flag.raised","timestamp":"2026-03-02T09:15:01Z","data":{"flagId":"flg_01"}}'

    told = signed(letter("https://hook.example/", id="msg_2f9c0d1e4b7a", at=at, body=body))

    assert told == {
        "webhook-id": "msg_2f9c0d1e4b7a",
        "webhook-timestamp": "1772442902",
        "webhook-signature": "v1,Wan9RjKrck4mYaW5ndyKY+tmDR2pxBzNRlBsD2lZraY=",
    }


@pytest.mark.parametrize("zone", [UTC, datetime.fromisoformat("2026-03-02T00:00:00+05:30").tzinfo])
@pytest.mark.parametrize("known", [SECRET, OTHER])
def test_while_a_secret_is_replaced_both_are_good(known, zone):
    now = datetime.now(zone)
    with receiving(says(OK)) as receiver:
        sender().send(letter(receiver.address(), secrets=(SECRET, OTHER), at=now))

    (request,) = receiver.requests
    body = request.partition(b"\r\n\r\n")[2]
    assert Webhook(known).verify(body, headers_of(request)) == {"type": "x"}


def test_the_message_arrives_to_the_letter():
    with receiving(says(OK)) as receiver:
        sender().send(letter(receiver.address(path="/a?b=c"), body='{"ä": "€"}'.encode()))

    (request,) = receiver.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert headers_of(request)["content-type"] == "application/json"
    assert body.decode() == '{"ä": "€"}'


# --------------------------------------------------------------------------------------------------------- connections
def test_connections_are_kept_and_used_again():
    with receiving(says(OK)) as receiver:
        mine = sender()
        outcomes = [mine.send(letter(receiver.address())) for _ in range(5)]

    assert outcomes == [Sent(status=204)] * 5
    assert receiver.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_opened_again():
    with receiving(says(OK)) as receiver:
        mine = sender()
        mine.send(letter(receiver.address()))
    again = Later(why="no connection")

    assert mine.send(letter(receiver.address())) == again


def test_many_threads_share_it():
    with receiving(says(OK)) as receiver:
        mine = sender()
        with ThreadPoolExecutor(12) as threads:
            outcomes = list(threads.map(lambda _: mine.send(letter(receiver.address())), range(120)))

    assert outcomes == [Sent(status=204)] * 120
    assert len(receiver.requests) == 120
