"""Keys at an address of the operator's list: fetched now and then, from there and from nowhere else."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from service.api.cds_keys import FRESH, PAUSE, FetchedKeys, fetch
from service.domain.errors import Unavailable
from tests.api.cds.speak import refused
from tests.api.cds.test_callers import ES256, ES384, ISSUER, JWKS, PUBLIC, discover, token


class Desk:
    """Somebody who answers with keys, and counts how often they are asked; and a clock."""

    def __init__(self, *answers):
        self.answers, self.asked, self.time = list(answers), 0, 0.0

    def fetch(self, _url):
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer).encode()

    @property
    def keys(self):
        return FetchedKeys("https://ehr.example/keys", fetch=self.fetch, clock=lambda: self.time)


def names(found):
    return [one.kid for one in found]


OLD, NEW = ({"keys": [one.as_dict(private=False)]} for one in (ES384, ES256))


def test_keys_are_fetched_once_and_again_when_they_are_no_longer_fresh():
    desk = Desk(OLD)
    keys = desk.keys

    for at in (0, 1, FRESH - 1, FRESH):
        desk.time = at
        assert names(keys.holding("es384")) == ["es384"]

    assert desk.asked == 2


def test_a_key_that_is_not_known_is_asked_for_but_not_all_the_time():
    desk = Desk(OLD, NEW)
    keys = desk.keys

    assert names(keys.holding("es256")) == ["es384"]
    desk.time = PAUSE - 1
    assert names(keys.holding("es256")) == ["es384"]
    desk.time = PAUSE
    assert names(keys.holding("es256")) == ["es256"]
    assert desk.asked == 2


@pytest.mark.parametrize("failure", [OSError("away"), {}, {"keys": []}, [], "text"])
def test_keys_that_are_known_go_on_being_used_when_new_ones_cannot_be_fetched(failure):
    desk = Desk(OLD, failure)
    keys = desk.keys
    keys.holding("es384")

    desk.time = FRESH

    assert names(keys.holding("es384")) == ["es384"]


def test_without_any_keys_it_cannot_be_said_who_calls():
    desk = Desk(OSError("away"))
    keys = desk.keys

    for _ in range(3):
        with pytest.raises(Unavailable):
            keys.holding("es384")

    assert desk.asked == 1


@pytest.fixture
def keeper():
    """A server on this machine: what it answers under each path, and which paths were asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.path)
            status, body = server.pages[self.path]
            self.send_response(status)
            self.send_header("Location", "/keys")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    server.pages = {
        "/keys": (200, json.dumps(JWKS).encode()),
        "/moved": (302, b""),
        "/gone": (404, b"{}"),
        "/long": (200, b" " * 300_000),
    }
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_keys_are_fetched_from_the_address_of_the_list(keeper, policy, listed, doors):
    address = f"http://127.0.0.1:{keeper.server_port}/keys"
    policy(public_url=PUBLIC, issuers=listed({"iss": ISSUER, "jwks_url": address}))
    client = doors.without_key()

    named = discover(client, token(header={"jku": address}))
    other = discover(client, token(header={"jku": f"http://127.0.0.1:{keeper.server_port}/evil"}))

    assert (named.status_code, discover(client, token()).status_code) == (200, 200)
    assert refused(other, 401) == [("login", "")]
    assert keeper.asked == ["/keys"]


@pytest.mark.parametrize("path", ["/moved", "/gone", "/long"])
def test_what_is_elsewhere_missing_or_too_long_is_not_taken(path, keeper):
    with pytest.raises(OSError, match=r"."):
        fetch(f"http://127.0.0.1:{keeper.server_port}{path}")

    assert keeper.asked == [path]


def test_keys_that_cannot_be_fetched_are_told_as_something_that_passes(policy, listed, doors):
    policy(public_url=PUBLIC, issuers=listed({"iss": ISSUER, "jwks_url": "http://127.0.0.1:1/keys"}))

    answer = discover(doors.without_key(), token())

    assert refused(answer, 503) == [("transient", "")]
    assert int(answer.headers["Retry-After"]) > 0
