"""The benches run, and their sides do the same work.

Law: in the smallest size, and never about time: how fast it is depends on the machine.
"""

import importlib
from functools import cache

import pytest

from bench.__main__ import BENCHES
from bench.common import Better, Row, Size, compared
from bench.databases import databases
from bench.synthetic import bodies, panels


@pytest.fixture(scope="module", autouse=True)
def _shared_databases():
    with databases():
        yield


@cache
def measured(name: str) -> list[Row]:
    return importlib.import_module(f"bench.{name}").measure(Size.SMOKE)


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_yields_its_rows(name):
    rows = measured(name)

    assert rows
    assert all(row.measure and row.unit for row in rows)
    assert all(row.ratio is not None or row.ours is not None or row.note for row in rows)


@pytest.mark.parametrize("name", ["posts", "bulk", "pages", "memory", "depth"])
def test_both_sides_of_a_bench_do_the_same_work(name):
    rows = [row for row in measured(name) if row.work]

    assert rows
    assert [row.measure for row in rows if len(set(row.work)) > 1 or not row.work[0]] == []


def test_every_goal_has_its_row():
    numbers = {row.number for name in BENCHES for row in measured(name)}

    assert numbers - {""} == {str(number) for number in range(1, 14)}


@pytest.mark.parametrize(
    ("ratio", "better", "standing"),
    [
        (3, Better.MORE, "goal"),
        (2, Better.MORE, "goal"),
        (1.5, Better.MORE, "floor"),
        (0.9, Better.MORE, "below"),
        (0.9, Better.LESS, "goal"),
        (2, Better.LESS, "floor"),
        (2.1, Better.LESS, "below"),
    ],
)
def test_a_row_says_whether_it_reaches_its_goal_or_its_floor(ratio, better, standing):
    goal, floor = (2, 1) if better is Better.MORE else (1, 2)

    row = Row(number="4", measure="", ours=1, unit="", ratio=ratio, goal=goal, floor=floor, better=better)

    assert row.standing == standing


def test_the_ratio_is_the_median_of_the_ratios_of_each_round():
    both = compared([10, 50, 30], [10, 100, 10])

    assert (both.ratio.low, both.ratio.middle, both.ratio.high) == (0.5, 1, 3)
    assert (both.ours.middle, both.baseline.middle) == (30, 10)


def test_synthetic_panels_are_the_same_every_time():
    once, again = bodies(20, per_patient=2), bodies(20, per_patient=2)

    assert once == again


def test_a_patient_has_as_many_synthetic_panels_as_wanted():
    found = list(panels(20, per_patient=2))

    assert len({panel["patient"]["id"] for panel in found}) == 10
    assert len({panel["accession"] for panel in found}) == 20


@pytest.mark.parametrize("kind", ["sqlite"])
def test_synthetic_panels_are_taken_in_and_raise_flags_as_often_as_goals_suppose(client):
    sent = [client.post("/v1/panels", data=body, content_type="application/json") for body in bodies(400)]

    assert {response.status_code for response in sent} == {201}
    assert {response.json["counts"]["received"] for response in sent} == {4}
    assert 0.75 < sum(len(response.json["flags"]) for response in sent) / len(sent) < 1.05
