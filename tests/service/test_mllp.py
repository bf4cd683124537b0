"""The listener for MLLP, met over real connections."""

import asyncio
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from ipaddress import ip_network

import pytest
from sqlalchemy import select

from service import cli_mllp, mllp
from service.domain.errors import Unavailable
from service.formats.hl7v2.frames import framed
from service.mllp import Listener, Listening
from service.storage.tables import inbox, patients
from service.storage.tables_audit import audit
from tests.flows.build import flag_states, row_counts
from tests.formats.hl7v2.build import msh, obx, report
from tests.service.certificates import certificate

GOOD = report(obx())
PATIENCE = 20  # seconds


class Client:
    """One connection; ``ask`` sends bytes and answers what comes back until one frame has ended."""

    def __init__(self, port, wrap=lambda sock: sock):
        self.sock = wrap(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
        self.left = b""

    def ask(self, *pieces):
        for piece in pieces:
            self.sock.sendall(piece)
        return self.frame()

    def frame(self):
        while b"\x1c\r" not in self.left:
            received = self.sock.recv(65_536)
            if not received:
                return None
            self.left += received
        frame, _, self.left = self.left.partition(b"\x1c\r")
        assert frame.startswith(b"\x0b")
        return frame[1:]

    def closed(self):
        """Is the connection ended from the other side, without a word?"""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True


@pytest.fixture
def listening(means):
    """Call it with what is special about a listener: a context in which it runs, on a port that is free."""

    @contextmanager
    def run(**special):
        ready, found = threading.Event(), {}

        async def listen():
            given = {"host": "127.0.0.1", "port": 0, "source": "lab-1", **special}
            found["listener"] = Listener(Listening(**given), means)
            found["loop"] = asyncio.get_running_loop()

            def tell(_host, port):
                found["port"] = port
                ready.set()

            await found["listener"].run(tell)

        thread = threading.Thread(target=lambda: asyncio.run(listen()))
        thread.start()
        assert ready.wait(PATIENCE)

        def stop():
            # It may have stopped by itself.
            with suppress(RuntimeError):
                found["loop"].call_soon_threadsafe(found["listener"].stop)

        found["stop"] = stop
        clients = []

        def connect(**how):
            clients.append(Client(found["port"], **how))
            return clients[-1]

        found["connect"] = connect
        try:
            yield found
        finally:
            found["stop"]()
            thread.join(PATIENCE)
            for client in clients:
                client.sock.close()
            assert not thread.is_alive()

    return run


def code(answer):
    return answer.split(b"\r")[1].split(b"|")[1].decode()


def test_a_message_is_kept_under_the_source_and_acknowledged(listening, database):
    with listening(source="lab-9") as found:
        answer = found["connect"]().ask(framed(GOOD))

    assert code(answer) == "AA"
    assert flag_states(database) == [("hypercalcemia", "moderate", "open")]
    with database.reading() as connection:
        assert connection.execute(select(inbox.c.source, inbox.c.body)).one() == ("lab-9", GOOD)


def test_every_frame_is_written_down_with_its_source_and_whom_it_was_about(listening, database, monkeypatch):
    with listening(source="lab-9") as found:
        client = found["connect"]()
        client.ask(framed(GOOD))
        client.ask(framed(b"hello"))

        def away(*_):
            raise Unavailable("the database is busy")

        monkeypatch.setattr(mllp, "take_in", away)
        assert found["connect"]().ask(framed(GOOD)) is None

    with database.reading() as connection:
        rows = connection.execute(select(audit).order_by(audit.c.place)).all()
        patient = connection.execute(select(patients.c.id)).scalar_one()
    assert [(row.action, row.kind, row.actor) for row in rows] == [("mllp", "system", "lab-9")] * 3
    assert [(row.outcome, row.subject) for row in rows] == [("AA", patient), ("AR", None), ("failed", None)]
    assert [row.detail for row in rows] == [
        {"messages": count, "panels": kept} for count, kept in ((1, 1), (1, 0), (0, 0))
    ]


def test_it_does_not_matter_where_the_stream_is_cut_and_noise_is_counted(listening):
    other = report(obx(), head=msh(control="M2"))
    stream = b"noise" + framed(GOOD) + framed(other)

    with listening() as found:
        client = found["connect"]()
        first = client.ask(stream[:3], stream[3:40], stream[40:])
        second = client.frame()

    assert [answer.split(b"\r")[1] for answer in (first, second)] == [b"MSA|AA|M1", b"MSA|AA|M2"]
    assert found["listener"].dropped == len(b"noise")


def test_many_connections_are_served_at_once(listening, database):
    with listening() as found:
        clients = [found["connect"]() for _ in range(12)]
        for number, client in enumerate(clients):
            client.sock.sendall(framed(report(obx(), head=msh(control=f"M{number}"))))
        answers = [code(client.frame()) for client in clients]

    assert answers == ["AA"] * 12
    assert row_counts(database)["inbox"] == 12


def test_a_message_that_cannot_be_kept_is_not_acknowledged(listening, monkeypatch):
    def away(*_, **__):
        raise Unavailable("the database is away")

    monkeypatch.setattr(mllp, "take_in", away)

    with listening() as found:
        client = found["connect"]()
        client.sock.sendall(framed(GOOD))

        assert client.closed()


def test_a_message_that_is_too_large_is_answered_and_ends_the_connection(listening, database):
    with listening(largest=1_000) as found:
        client = found["connect"]()
        answer = client.ask(b"\x0b" + GOOD.ljust(2_000, b"x"))

        assert (code(answer), client.closed()) == ("AE", True)
    assert row_counts(database)["inbox"] == 0


@pytest.mark.parametrize("sent", [b"", b"\x0bMSH|"])
def test_who_does_not_go_on_is_left(sent, listening):
    with listening(read=0.2, idle=0.2) as found:
        client = found["connect"]()
        client.sock.sendall(sent)

        assert client.closed()


def test_who_is_not_on_the_list_is_not_let_in(listening):
    with listening(allow=(ip_network("10.0.0.0/8"),)) as found:
        assert found["connect"]().closed()
    with listening(allow=(ip_network("10.0.0.0/8"), ip_network("127.0.0.0/8"))) as found:
        assert code(found["connect"]().ask(framed(GOOD))) == "AA"


def test_there_are_no_more_connections_than_allowed(listening):
    with listening(connections=1) as found:
        first = found["connect"]()
        first.ask(framed(GOOD))

        assert found["connect"]().closed()


def test_what_is_under_way_is_answered_before_it_stops(listening, monkeypatch):
    begun, going = threading.Event(), threading.Event()
    real = mllp.take_in

    def slow(*given):
        begun.set()
        assert going.wait(PATIENCE)
        return real(*given)

    monkeypatch.setattr(mllp, "take_in", slow)

    with listening() as found:
        idle, client = found["connect"](), found["connect"]()
        client.sock.sendall(framed(GOOD))
        assert begun.wait(PATIENCE)
        found["stop"]()
        left = idle.closed()
        going.set()
        answer = client.frame()

    assert (left, code(answer)) == (True, "AA")


def test_a_batch_is_answered_as_a_batch(listening):
    with listening() as found:
        answer = found["connect"]().ask(framed(b"BHS|^~\\&|LIS|LAB|ALERTS|HOSP\r" + GOOD + b"BTS|1\r"))

    assert answer.startswith(b"BHS|^~\\&|ALERTS|HOSP|LIS|LAB\r")


@pytest.fixture
def encrypted(listening, tmp_path):
    """A listener with a certificate that lets in only those of one authority, and how a client trusts it."""
    (server, key), (clients, _) = certificate(tmp_path, "server"), certificate(tmp_path, "client")
    with listening(tls=cli_mllp._tls(server, key, clients)) as found:
        yield found, ssl.create_default_context(cafile=server)


def test_connections_can_be_encrypted_and_a_known_certificate_is_let_in(encrypted, tmp_path):
    found, trusting = encrypted
    trusting.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")

    client = found["connect"](wrap=lambda sock: trusting.wrap_socket(sock, server_hostname="localhost"))
    answer = client.ask(framed(GOOD))

    assert code(answer) == "AA"


@pytest.mark.parametrize("name", [None, "stranger"])
def test_without_a_certificate_of_the_authority_nothing_is_taken(encrypted, tmp_path, database, name):
    found, trusting = encrypted
    if name is not None:
        trusting.load_cert_chain(*certificate(tmp_path, name))

    answer = None
    with suppress(ssl.SSLError, ConnectionError):  # how a client hears of it is not the same in every version of TLS
        client = found["connect"](wrap=lambda sock: trusting.wrap_socket(sock, server_hostname="localhost"))
        answer = client.ask(framed(GOOD))

    assert (answer, row_counts(database)["panels"]) == (None, 0)
