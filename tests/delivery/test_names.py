"""Names that hang, and hosts of several addresses."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
import trustme

from service.delivery import names
from service.delivery.outcome import Later, Sent
from tests.delivery.receivers import OK, closes, letter, receiving, says
from tests.delivery.test_webhook import sender, tls


@pytest.fixture
def hanging():
    """A resolver that does not come to an end before its test does; it notes what it was asked for."""
    over, asked = threading.Event(), []

    def look_up(host: str, _port: int) -> list[str]:
        asked.append(host)
        if host.startswith("hanging"):
            over.wait(60)
        return ["127.0.0.1"]

    yield look_up, asked
    over.set()


def test_looking_up_a_name_that_hangs_is_over_with_the_time_of_the_attempt_and_holds_up_no_other(hanging):
    look_up, asked = hanging
    mine = sender(look_up=look_up, seconds=0.3)

    with receiving(says(OK)) as receiver, ThreadPoolExecutor(8) as threads:
        hosts = ["hanging.example"] * 7 + ["hook.example"]
        outcomes = list(threads.map(lambda host: mine.send(letter(receiver.address(host))), hosts))
        again = mine.send(letter(receiver.address("hanging.example")))

    late = Later(why="the name of the receiver is not found in time")
    assert (outcomes, again) == ([late] * 7 + [Sent(status=204)], late)
    # One thread hangs, and not one for each who asks.
    assert sorted(asked) == ["hanging.example", "hook.example"]


def test_there_is_an_end_to_how_many_names_may_hang(hanging, monkeypatch):
    look_up, asked = hanging
    monkeypatch.setattr(names, "_MOST", 2)
    mine = sender(look_up=look_up, seconds=0.1)

    outcomes = [mine.send(letter(f"http://hanging-{number}.example/")) for number in range(4)]

    assert outcomes == [Later(why="the name of the receiver is not found in time")] * 4
    assert len(asked) == 2


# -------------------------------------------------------------------------------------------------- several addresses
def to_two(_host: str, _port: int) -> list[str]:
    return ["127.0.0.2", "127.0.0.1"]


def test_when_one_address_takes_no_connection_the_next_is_tried_and_remembered():
    with receiving(says(OK)) as receiver:
        mine = sender(look_up=to_two)
        first = mine.send(letter(receiver.address("hook.example")))
        with socket.create_server(("127.0.0.2", receiver.port)) as other:
            other.setblocking(False)
            second = mine.send(letter(receiver.address("hook.example")))
            with pytest.raises(BlockingIOError):
                other.accept()

    assert (first, second) == (Sent(status=204), Sent(status=204))
    assert (receiver.connections, len(receiver.requests)) == (1, 2)


def test_an_address_that_does_not_answer_leaves_time_for_the_next():
    with receiving(says(OK)) as receiver, full("127.0.0.2", receiver.port):
        outcome = sender(look_up=to_two, seconds=2.0).send(letter(receiver.address("hook.example")))

    assert outcome == Sent(status=204)


@contextmanager
def full(host: str, port: int):
    """A port whose queue is full: who connects hears nothing."""
    with ExitStack() as stack:
        stack.enter_context(socket.create_server((host, port), backlog=0))
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex((host, port))
        yield


def test_what_may_have_arrived_at_one_address_is_not_sent_to_another():
    with receiving(closes()) as receiver, socket.create_server(("127.0.0.2", receiver.port)) as other:
        other.setblocking(False)
        mine = sender(look_up=lambda _host, _port: ["127.0.0.1", "127.0.0.2"])
        outcome = mine.send(letter(receiver.address("hook.example")))

        with pytest.raises(BlockingIOError):
            other.accept()
    assert outcome == Later(why="the connection broke, or what came is not HTTP")


def test_when_no_address_takes_a_connection_it_is_tried_again_later():
    with receiving(says(OK)) as receiver:
        pass

    outcome = sender(look_up=to_two).send(letter(receiver.address("hook.example")))

    assert outcome == Later(why="no connection")


@pytest.mark.parametrize(("name", "kind"), [("hook.example", Sent), ("other.example", Later)])
def test_at_the_second_address_the_certificate_is_that_of_the_name_too(tmp_path, name, kind):
    authority, trusted = trustme.CA(), str(tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(trusted)
    with receiving(says(OK), tls=tls(authority.issue_cert(name))) as receiver:
        outcome = sender(authorities=trusted, look_up=to_two).send(letter(receiver.address("hook.example")))

    assert isinstance(outcome, kind)
    assert len(receiver.requests) == (kind is Sent)
