"""Threads that write at the same time write together, and each has its own answer or its own error."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from service.domain.errors import Unavailable
from service.flows import group_commit
from service.flows.group_commit import GroupCommit

MANY = 40


class Desk:
    """Work that can be held up, and that remembers what it was given together."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.begun, self.go_on = Event(), Event()
        self.poison: set[int] = set()
        self.waits: set[int] = set()
        self.unavailable = False
        self.locked: set[int] = set()

    def work(self, asked: Sequence[int]) -> list[str | None]:
        self.groups.append(list(asked))
        self.begun.set()
        self.go_on.wait(10)
        if self.unavailable:
            raise Unavailable("the database is busy")
        if self.locked.intersection(asked):
            raise Unavailable("the database is busy", locked=True)
        if self.poison.intersection(asked):
            raise ValueError(f"poison among {len(asked)}")
        if len(asked) > 1:
            return [None if one in self.waits and place else f"answer {one}" for place, one in enumerate(asked)]
        return [f"answer {asked[0]}"]


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(MANY) as pool:
        yield pool


def brought(pool, desk, numbers):
    """Futures of threads that came while the first of them was writing; all of the others wait."""
    company: GroupCommit[int, str] = GroupCommit()
    futures = [pool.submit(company.run, numbers[0], desk.work)]
    desk.begun.wait(10)
    futures += [pool.submit(company.run, number, desk.work) for number in numbers[1:]]
    while len(company._waiting) < len(numbers) - 1:
        pass
    desk.go_on.set()
    return futures


def outcome(future):
    try:
        return future.result(10)
    except (ValueError, Unavailable) as error:
        return str(error)


def test_who_comes_alone_is_served_at_once(desk):
    desk.go_on.set()

    assert GroupCommit().run(7, desk.work) == "answer 7"
    assert desk.groups == [[7]]


def test_those_that_come_while_one_writes_are_written_together(pool, desk):
    futures = brought(pool, desk, range(MANY))

    assert [outcome(future) for future in futures] == [f"answer {number}" for number in range(MANY)]
    assert [len(group) for group in desk.groups] == [1, MANY - 1]


def test_no_group_is_larger_than_its_bound(pool, desk, monkeypatch):
    monkeypatch.setattr(group_commit, "MOST", 10)

    futures = brought(pool, desk, range(MANY))

    assert sorted(outcome(future) for future in futures) == sorted(f"answer {number}" for number in range(MANY))
    assert [len(group) for group in desk.groups] == [1, 10, 10, 10, 9]


def test_one_that_fails_fails_alone(pool, desk):
    desk.poison = {5}

    futures = brought(pool, desk, range(10))

    assert [outcome(future) for future in futures] == [
        "poison among 1" if number == 5 else f"answer {number}" for number in range(10)
    ]


def test_one_that_has_to_wait_is_served_with_those_that_come_after(pool, desk):
    desk.waits = {4, 6}

    futures = brought(pool, desk, range(10))

    assert [outcome(future) for future in futures] == [f"answer {number}" for number in range(10)]
    assert sorted(map(len, desk.groups)) == [1, 1, 2, 9]


def test_what_cannot_be_done_now_is_said_to_everybody_and_tried_once(pool, desk):
    desk.unavailable = True

    futures = brought(pool, desk, range(10))

    assert {outcome(future) for future in futures} == {"the database is busy"}
    assert len(desk.groups) == 2


def test_one_that_waits_for_what_somebody_else_holds_does_not_harm_the_others(pool, desk):
    desk.locked = {5}

    futures = brought(pool, desk, range(10))

    assert [outcome(future) for future in futures] == [
        "the database is busy" if number == 5 else f"answer {number}" for number in range(10)
    ]


def test_when_several_wait_for_what_somebody_else_holds_the_rest_is_told_soon(pool, desk):
    desk.locked = set(range(1, 10))

    futures = brought(pool, desk, range(10))

    assert [outcome(future) for future in futures] == ["answer 0"] + ["the database is busy"] * 9
    assert sorted(map(len, desk.groups)) == [1, 1, 1, 9]


def test_after_a_failure_the_next_one_is_served(desk):
    company, desk.poison = GroupCommit(), {1}
    desk.go_on.set()
    with pytest.raises(ValueError, match="poison"):
        company.run(1, desk.work)

    assert company.run(2, desk.work) == "answer 2"


def test_a_leader_that_is_stopped_leaves_nobody_waiting(pool, desk):
    def stopped(asked):
        desk.work(asked)
        raise SystemExit

    company = GroupCommit()
    leader = pool.submit(company.run, 0, stopped)
    desk.begun.wait(10)
    follower = pool.submit(company.run, 1, desk.work)
    while not company._waiting:
        pass
    desk.go_on.set()

    with pytest.raises(SystemExit):
        leader.result(10)
    assert outcome(follower) == "answer 1"
