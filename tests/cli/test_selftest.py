"""``lab-alerts selftest`` tries a running service through its doors, over sockets, and says what came of each."""

import socket
import threading
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from flask import Flask
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import select
from werkzeug.serving import make_server

from service import selftest
from service.api.cds_callers import Issuer
from service.api.cds_hooks import Policy
from service.api.cds_keys import FixedKeys, key_set
from service.cli import main
from service.storage.tables import flags, inbox, outbox
from tests.flows.build import NOW, standing

BOTH = ("panels:write", "flags:read")


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    """The address of the service, on a socket of this machine."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(url: str, *options: str) -> tuple[int, str]:
    found = CliRunner().invoke(main, ["selftest", url, *options], env={"COLUMNS": "200"})
    # The service of the tests runs in the same process, and logs beside it.
    printed = "".join(line for line in found.output.splitlines(keepends=True) if not line.startswith("{"))
    return found.exit_code, printed


def result_of(printed: str, door: str) -> str:
    row = next(line for line in printed.splitlines() if f"│ {door} " in line)
    return row.split("│")[2].strip()


DOORS = ("json", "ndjson", "csv", "fhir", "hl7v2")


def test_every_door_works(url, doors):
    code, printed = run(url, "--key", doors.key(*BOTH, source="selftest"))

    assert code == 0, printed
    assert {door: result_of(printed, door) for door in DOORS} == dict.fromkeys(DOORS, "works")
    assert result_of(printed, "mllp").startswith("not tried: say --mllp")


def test_what_it_sent_is_taken_back_and_nobody_is_told(url, doors, database):
    run(url, "--key", doors.key(*BOTH, source="selftest"))

    assert standing(database) == set()
    with database.reading() as connection:
        assert set(connection.execute(select(flags.c.state)).scalars()) == {"withdrawn"}
        assert all(data["test"] for data in connection.execute(select(outbox.c.data)).scalars())
        assert set(connection.execute(select(inbox.c.test)).scalars()) == {True}


def test_it_can_be_run_again(url, doors):
    key = doors.key(*BOTH, source="selftest")

    assert [run(url, "--key", key)[0] for _ in range(2)] == [0, 0]


def test_a_key_of_another_source_is_refused_before_anything_is_sent(url, doors, database):
    code, printed = run(url, "--key", doors.key(*BOTH, source="lab-1"))

    assert code == 1
    assert "lab-alerts keys add selftest" in printed
    with database.reading() as connection:
        assert connection.execute(select(inbox.c.id)).first() is None


def test_a_key_that_opens_nothing_is_said(url):
    assert run(url, "--key", "lak_wrong") == (1, "Error: the key is refused (401)\n")


def test_nobody_there_is_said():
    code, printed = run("http://127.0.0.1:9", "--key", "lak_x")

    assert (code, printed) == (1, "Error: nobody answers at this address as lab-alerts does\n")


def test_a_door_that_judges_otherwise_is_found(url, doors, monkeypatch):
    monkeypatch.setitem(selftest.EXPECTED, "platelets", "flagged")

    code, printed = run(url, "--key", doors.key(*BOTH, source="selftest"))

    assert code == 1
    assert result_of(printed, "csv").startswith("FAILED: step 1: verdicts calcium flagged,")


@pytest.mark.parametrize("text", ["2575", "localhost:", "localhost:x"])
def test_an_address_that_is_none_is_refused(text):
    code, printed = run("http://127.0.0.1:9", "--key", "k", "--mllp", text)

    assert (code, "--mllp needs HOST:PORT" in printed) == (2, True)


@pytest.fixture
def listener():
    """Call it with an answer: the address of a listener that gives it once, whatever it hears."""
    threads = []

    def listen(answer):
        waiting = socket.create_server(("127.0.0.1", 0))
        threads.append(threading.Thread(target=_answer_once, args=(waiting, answer)))
        threads[-1].start()
        return f"127.0.0.1:{waiting.getsockname()[1]}"

    yield listen
    for thread in threads:
        thread.join()


def _answer_once(waiting, answer):
    with waiting, waiting.accept()[0] as connection:
        heard = b""
        while not heard.endswith(b"\x1c\r"):
            heard += connection.recv(65_536)
        connection.sendall(answer)


@pytest.mark.parametrize("answer", [b"\x0bMSH|^~\\&|\rMSA|AE|1\r\x1c\r", b""], ids=["refused", "closed"])
def test_a_listener_that_does_not_accept_is_found(url, doors, listener, answer):
    code, printed = run(url, "--key", doors.key(*BOTH, source="selftest"), "--mllp", listener(answer))

    assert code == 1
    assert result_of(printed, "mllp").startswith("FAILED: the ")


@pytest.fixture
def callers(app):
    """Call it with those who may call CDS Hooks; the policy of before is back afterward."""
    name = "lab_alerts_cds_hooks"
    before = app.extensions[name]

    def put(issuers):
        app.extensions[name] = Policy(issuers=issuers)

    yield put
    app.extensions[name] = before


def test_cards_are_tried_where_nobody_needs_a_token(url, doors, callers):
    callers(None)

    code, printed = run(url, "--key", doors.key(*BOTH, source="selftest"))

    assert (code, result_of(printed, "cds-hooks")) == (0, "works"), printed


def test_cards_are_tried_with_one_token_which_counts_once(url, doors, callers):
    key = ECKey.generate_key("P-384", {"kid": "k-1"})
    keys = key_set({"keys": [key.as_dict(private=False)]})
    callers({"https://ehr.example": Issuer(name="https://ehr.example", keys=FixedKeys(keys))})
    now = int(NOW.timestamp())
    claims = {"iss": "https://ehr.example", "aud": f"{url}/cds-services/lab-flags", "iat": now, "exp": now + 300}
    token = jwt.encode({"alg": "ES384", "kid": "k-1", "typ": "JWT"}, {**claims, "jti": "1"}, key, algorithms=["ES384"])

    first, again = (run(url, "--key", doors.key(*BOTH, source="selftest"), "--cds-token", token) for _ in range(2))

    assert (first[0], result_of(first[1], "cds-hooks")) == (0, "works"), first[1]
    assert (again[0], result_of(again[1], "cds-hooks")) == (1, "FAILED: answered with 401")


def test_cards_are_left_out_where_a_token_is_needed_and_none_is_given(url, doors, callers):
    callers({})

    code, printed = run(url, "--key", doors.key(*BOTH, source="selftest"))

    assert code == 0
    assert result_of(printed, "cds-hooks").startswith("not tried: answered with 401: say --cds-token")
