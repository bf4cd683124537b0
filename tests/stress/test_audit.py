"""The audit with which every trial ends sees whatever is missing and whatever is there twice."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from stress.audit import Kept, faults_of
from stress.story import Heard, Statement, Story

pytestmark = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)

TABLES = ("panels", "results", "verdicts", "flags", "episodes", "outbox")


@pytest.fixture
def told(client: FlaskClient) -> list[Statement]:
    """The statements of a story that was sent, with what was answered."""
    story = Story(1)
    for _ in range(24):
        one = story.next()
        one.answers.append(Heard.of(client.post("/v1/panels", data=one.body, content_type="application/json").json))
    return story.statements


@pytest.fixture
def kept(told: list[Statement], address: str) -> Kept:
    return Kept.of(address)


def test_what_was_kept_as_answered_has_no_fault(kept: Kept, told: list[Statement]) -> None:
    assert faults_of(kept, told) == []
    assert all(getattr(kept, name) for name in TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_whichever_row_is_missing_or_there_twice_is_seen(kept: Kept, told: list[Statement], name: str) -> None:
    rows = getattr(kept, name)

    missing = [[*rows[:place], *rows[place + 1 :]] for place in range(0, len(rows), 5)]
    doubled = [[*rows, row] for row in rows[::5]]

    assert [one for one in (*missing, *doubled) if not faults_of(replace(kept, **{name: one}), told)] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda heard: replace(heard, panel="pnl_other"),
        lambda heard: replace(heard, duplicate=True),
        lambda heard: replace(heard, flags=("flg_other",)),
        lambda heard: replace(heard, events=(("lab.flag.raised", "flg_other", "eps_other"),)),
        lambda heard: replace(heard, verdicts=((heard.verdicts[0][0], 9, "clear"),)),
    ],
)
def test_an_answer_that_was_not_kept_is_seen(
    kept: Kept, told: list[Statement], change: Callable[[Heard], Heard]
) -> None:
    told[3].answers[:] = [change(told[3].answers[0])]

    assert faults_of(kept, told)
