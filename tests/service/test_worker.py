"""A client is waited for as long as its allowance lasts, and earns some of it back by going on."""

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from service import worker
from service.worker import Connection, Patient, TooSlow

Pair = tuple[Patient, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Our end of a connection, and that of the client."""
    ours, theirs = socket.socketpair()
    patient = Patient(fileno=ours.detach())
    patient.allow(0.05)
    theirs.settimeout(30)
    with patient, theirs:
        yield patient, theirs


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every wait seems to take the seconds that stand first in the list."""
    left: list[float] = []
    now = [0.0]

    def clock() -> float:
        if len(asked) % 2:
            now[0] += left.pop(0)
        asked.append(now[0])
        return now[0]

    asked: list[float] = []
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=clock))  # of this module: other threads have theirs
    return left


def test_a_client_who_sends_nothing_is_given_up(pair: Pair) -> None:
    ours, _ = pair

    with pytest.raises(TooSlow):
        ours.recv(10)

    assert ours.given_up


def test_a_client_who_takes_nothing_is_given_up(pair: Pair) -> None:
    ours, _ = pair

    with pytest.raises(TooSlow):
        ours.sendall(b"x" * 10_000_000)

    assert ours.given_up


def test_all_of_an_answer_is_sent_and_all_of_a_request_received(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"asked")

    received = ours.recv(100)
    ours.sendall(b"x" * 20_000)

    assert received == b"asked"
    assert theirs.recv(20_000, socket.MSG_WAITALL) == b"x" * 20_000


def test_whoever_goes_on_is_never_given_up(pair: Pair, waits: list[float]) -> None:
    ours, theirs = pair
    ours.allow(1.0)
    waits += [0.9] * 50

    for _ in range(50):
        theirs.sendall(b"x" * 500)
        assert len(ours.recv(500)) == 500


def test_a_trickle_uses_the_allowance_up(pair: Pair, waits: list[float]) -> None:
    ours, theirs = pair
    ours.allow(1.0)
    waits += [0.4] * 4
    for _ in range(3):
        theirs.sendall(b"x")
        ours.recv(1)

    with pytest.raises(TooSlow):
        ours.recv(1)


def test_no_more_time_is_earned_than_there_was(pair: Pair, waits: list[float]) -> None:
    ours, theirs = pair
    ours.allow(1.0)
    waits += [0.0, 1.1, 0.0]
    theirs.sendall(b"x" * 5_000)
    ours.recv(5_000)
    theirs.sendall(b"x")
    ours.recv(1)

    with pytest.raises(TooSlow):
        ours.recv(1)


def test_a_new_request_has_a_whole_allowance(pair: Pair) -> None:
    ours, theirs = pair
    with pytest.raises(TooSlow):
        ours.recv(1)

    ours.allow(60.0)
    theirs.sendall(b"x")

    assert ours.recv(1) == b"x"
    assert not ours.given_up


def test_a_bound_that_gunicorn_sets_is_its_own(pair: Pair) -> None:
    ours, _ = pair
    ours.settimeout(0.01)

    with pytest.raises(TimeoutError) as raised:
        ours.recv(1)

    assert raised.type is TimeoutError
    assert not ours.given_up


def test_a_connection_is_closed_once_by_whoever_comes_first(pair: Pair) -> None:
    ours, theirs = pair
    connection: Any = Connection(None, ours, None, None)

    connection.close()
    connection.close(graceful=True)

    assert theirs.recv(1) == b""
