"""Who is told, and when, while nobody acknowledges: tables that a reader can check."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.escalation import Policy, Step, StepState, taken_now
from service.domain.rules import Severity

THREE = Policy(
    steps=(
        Step(subscription="nurse", after_minutes=15),
        Step(subscription="doctor", after_minutes=30),
        Step(subscription="chief", after_minutes=60),
    )
)
EVERYBODY = {"nurse", "doctor", "chief"}
WORDS = {"told": "told", "passed_over": "passed", "too_late": "late", "unheard": "nobody"}


def taken(waited, *, before=None, active=EVERYBODY, policy=THREE, lost=()):
    """What becomes of which step, in words: ``1 told, 2 passed``."""
    found = taken_now(policy, waited=timedelta(minutes=waited), before=before or {}, active=active, lost=lost)
    return ", ".join(f"{one.number} {WORDS[one.state]}" for one in sorted(found, key=lambda one: one.number))


def states(**words):
    back = {short: StepState(long) for long, short in WORDS.items()}
    return {int(number.removeprefix("s")): back[word] for number, word in words.items()}


@pytest.mark.parametrize(
    ("waited", "before", "expected"),
    [
        (0, {}, ""),
        (14.9, {}, ""),
        (15, {}, "1 told"),
        (16, {"s1": "told"}, ""),
        (30, {"s1": "told"}, "2 told"),
        (59, {"s1": "told", "s2": "told"}, ""),
        (60, {"s1": "told", "s2": "told"}, "3 told"),
        (1_000, {"s1": "told", "s2": "told", "s3": "told"}, ""),
        # The service was away for a while.
        (35, {}, "1 told, 2 told"),
        (200, {}, "1 told, 2 told, 3 told"),
        # Old when it is first seen: the last one only.
        (24 * 60, {}, "1 late, 2 late, 3 told"),
        (10_000, {}, "1 late, 2 late, 3 told"),
        # Not old news to those who have been told of it.
        (24 * 60, {"s1": "told"}, "2 told, 3 told"),
        # The clock has gone back since.
        (-60, {}, ""),
        (-60, {"s1": "told"}, ""),
        (5, {"s1": "told", "s2": "told"}, ""),
    ],
    ids=str,
)
def test_steps_are_taken_when_they_are_due_and_once(waited, before, expected):
    assert taken(waited, before=states(**before)) == expected


@pytest.mark.parametrize(
    ("waited", "active", "before", "expected"),
    [
        (15, "doctor chief", {}, "1 passed, 2 told"),
        (15, "chief", {}, "1 passed, 3 told"),
        (30, "nurse chief", {"s1": "told"}, "2 passed, 3 told"),
        (30, "doctor chief", {"s1": "passed", "s2": "told"}, ""),
        (30, "doctor", {}, "1 passed, 2 told"),
        (60, "nurse", {}, "1 told, 2 nobody, 3 nobody"),
        # Nobody can be told: it stays due, and is said once.
        (15, "", {}, "1 nobody"),
        (16, "", {"s1": "nobody"}, ""),
        (30, "", {"s1": "nobody"}, "2 nobody"),
        # Somebody can be told again.
        (40, "nurse", {"s1": "nobody", "s2": "nobody"}, "1 told"),
        (40, "doctor", {"s1": "nobody", "s2": "nobody"}, "1 passed, 2 told"),
        (40, "chief", {"s1": "nobody", "s2": "nobody"}, "1 passed, 2 passed, 3 told"),
        (40, "", {"s1": "nobody", "s2": "nobody"}, ""),
        # Whoever comes later was told already.
        (61, "nurse doctor", {"s1": "told", "s3": "told"}, "2 told"),
        (61, "nurse", {"s1": "told", "s3": "told"}, "2 passed"),
        # Old news: the last who can be told, or whoever comes next.
        (2_000, "nurse doctor", {}, "1 late, 2 told, 3 passed"),
        (2_000, "nurse", {}, "1 told, 2 passed, 3 passed"),
        (2_000, "", {}, "3 nobody"),
        (2_000, "nurse", {"s3": "nobody"}, "1 told, 2 passed, 3 passed"),
    ],
    ids=str,
)
def test_who_cannot_be_told_is_passed_over_to_the_next(waited, active, before, expected):
    assert taken(waited, active=set(active.split()), before=states(**before)) == expected


@pytest.mark.parametrize(
    ("waited", "active", "before", "lost", "expected"),
    [
        (16, "nurse doctor chief", {"s1": "told"}, [1], "1 passed, 2 told"),
        (16, "doctor chief", {"s1": "told"}, [1], "1 passed, 2 told"),
        (16, "chief", {"s1": "told"}, [1], "1 passed, 3 told"),
        # It was told in place of the one before.
        (16, "nurse chief", {"s1": "passed", "s2": "told"}, [2], "2 passed, 3 told"),
        # Both at once; and the next one is due as well.
        (31, "nurse doctor chief", {"s1": "told", "s2": "told"}, [1, 2], "1 passed, 2 passed, 3 told"),
        (31, "nurse doctor chief", {"s1": "told"}, [1], "1 passed, 2 told"),
        # Somebody later has it already.
        (61, "doctor", {"s1": "told", "s2": "told", "s3": "told"}, [1], "1 passed"),
        (61, "", {"s1": "told", "s2": "told", "s3": "told"}, [2], "2 passed"),
        # Nobody is left. Who refuses it, and would again, is not told again.
        (61, "nurse doctor", {"s1": "told", "s2": "told", "s3": "told"}, [3], "3 nobody"),
        (61, "nurse doctor", {"s1": "told", "s2": "told", "s3": "nobody"}, [], ""),
        (61, "nurse doctor chief", {"s1": "told", "s2": "told", "s3": "told"}, [3], ""),
        (16, "nurse", {"s1": "told"}, [1], ""),
        (16, "", {"s1": "told"}, [1], "1 nobody"),
        # However old it is.
        (5_000, "nurse doctor chief", {"s1": "told"}, [1], "1 passed, 2 told, 3 told"),
        (5_000, "nurse doctor", {"s1": "late", "s2": "late", "s3": "told"}, [3], "3 nobody"),
        # Of another policy, which had more steps.
        (61, "nurse doctor chief", {"s1": "told", "s2": "told", "s3": "told", "s4": "told"}, [4], ""),
    ],
    ids=str,
)
def test_what_was_told_and_reached_nobody_goes_on_to_the_next_at_once(waited, active, before, lost, expected):
    assert taken(waited, active=set(active.split()), before=states(**before), lost=lost) == expected


def test_old_news_whose_due_steps_cannot_be_told_goes_to_the_next_one():
    late = Policy(
        steps=(Step(subscription="nurse", after_minutes=1_439), Step(subscription="doctor", after_minutes=1_440))
    )

    assert taken(1_440, policy=late) == "1 late, 2 told"


def test_a_policy_without_steps_tells_nobody():
    assert taken(10_000, policy=Policy()) == ""


@pytest.mark.parametrize(
    ("least", "levels"), [(Severity.CRITICAL, ["critical"]), (Severity.SEVERE, ["severe", "critical"])], ids=str
)
def test_what_is_graver_is_escalated_too(least, levels):
    assert [one.value for one in Policy(severity=least).levels] == levels


@pytest.mark.parametrize(
    "wrong",
    [
        {"severity": Severity.MODERATE},
        {"steps": [30, 15]},
        {"steps": [15, 15]},
        {"steps": [0]},
        {"steps": [1_441]},
        {"steps": [1, 2, 3, 4, 5, 6]},
    ],
    ids=str,
)
def test_a_policy_checks_itself(wrong):
    steps = tuple(Step(subscription="a", after_minutes=one) for one in wrong.pop("steps", []))

    with pytest.raises(ValueError, match="step"):
        Policy(steps=steps, **wrong)


MINUTES = st.lists(st.integers(1, 1_440), min_size=1, max_size=5, unique=True).map(sorted)
LOOKS = st.lists(st.tuples(st.integers(-100, 3_000), st.sets(st.sampled_from("abc"))), max_size=12)


@given(minutes=MINUTES, looks=LOOKS, data=st.data())
def test_however_often_and_at_whatever_time_it_is_looked_at_each_step_is_taken_once(minutes, looks, data):
    names = data.draw(st.lists(st.sampled_from("abc"), min_size=len(minutes), max_size=len(minutes)))
    both = zip(names, minutes, strict=True)
    policy = Policy(steps=tuple(Step(subscription=name, after_minutes=after) for name, after in both))
    before: dict[int, StepState] = {}

    for waited, active in looks:
        found = taken_now(policy, waited=timedelta(minutes=waited), before=before, active=active)
        for one in found:
            assert before.get(one.number) in (None, StepState.UNHEARD)
            assert one.state is not StepState.TOLD or names[one.number - 1] in active
            before[one.number] = one.state
        assert len({one.number for one in found}) == len(found)
        again = taken_now(policy, waited=timedelta(minutes=waited), before=before, active=active)
        assert again == ()


@given(minutes=MINUTES, waited=st.integers(0, 3_000), active=st.sets(st.sampled_from("abc"), min_size=1))
def test_whoever_can_be_told_somebody_is_once_a_step_is_due(minutes, waited, active):
    policy = Policy(steps=tuple(Step(subscription="abcab"[at], after_minutes=one) for at, one in enumerate(minutes)))
    able = [step for step in policy.steps if step.subscription in active]

    found = taken_now(policy, waited=timedelta(minutes=waited), before={}, active=active)

    told = [one for one in found if one.state is StepState.TOLD]
    first_due = waited >= minutes[0]
    somebody = any(step.after_minutes >= minutes[0] for step in able)
    assert bool(told) == (first_due and somebody)
