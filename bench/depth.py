"""The cost of a panel when many are stored, against an empty database (goal 11).

Law: both databases get the same work in the same round: first panels of new patients, then second panels of patients
of whom one panel is stored.

``python -m bench.depth 10000000`` stores another number than the sizes do.
"""

import random
import sys
from collections.abc import Sequence
from typing import Any

import orjson
from rich.console import Console

from bench.client import posts
from bench.clones import clone_everything
from bench.common import NO_GOAL, Better, Goal, Row, Size, compared, row_of
from bench.machine import Ground, ground
from bench.measured import Measured, asked
from bench.synthetic import SEED, bodies, panels
from bench.table import told

CLIENTS = 32
FEW = 100  # panels that are cloned
MODELS = SEED + 1  # the seed of their patients, who are others than those of the rounds
WANTED = 10_000_000
DEPTH = Goal(number="11", goal=1.3, floor=2.0, better=Better.LESS)


def measure(size: Size) -> list[Row]:
    """New patients, and patients that are known."""
    return measured_with(size.of(2_000, 20_000, 1_000_000), size)


def measured_with(stored: int, size: Size) -> list[Row]:
    """With so many panels stored."""
    count, rounds = size.of(CLIENTS, 300, 2000), range(1, 1 + size.of(1, 2, 5))
    note = "" if stored >= WANTED else f"stored are {stored:,}, not {WANTED:,}: python -m bench.depth {WANTED}"
    with ground() as place:
        contest = Contest(place, stored)
        contest.turn(bodies(count), bodies(count))  # everything is warm afterwards
        fresh = [contest.turn(each, each) for each in (bodies(count, first=count * number) for number in rounds)]
        known = [contest.turn(_second(count, number), contest.of_stored(count)) for number in rounds]
    return [
        _row(f"POST with {stored:,} panels stored / empty, new patients", fresh, goal=DEPTH, note=note),
        _row(f"POST with {stored:,} panels stored / empty, known patients", known, note=note),
    ]


Turn = tuple[Measured, Measured]


class Contest:
    """Two services on one PostgreSQL: on an empty database, and on one that was filled long ago."""

    def __init__(self, place: Ground, stored: int) -> None:
        self.postmaster, self.times = place.postmaster, stored // FEW
        empty, full = place.database("postgresql"), place.database("postgresql")
        self.empty, self.full = place.service(empty), place.service(full)
        place.wait()
        asked(self.full, posts(bodies(FEW, seed=MODELS), key=self.full.key), clients=CLIENTS)
        clone_everything(full, self.times)
        self._chance = random.Random(SEED)

    def turn(self, to_empty: Sequence[bytes], to_full: Sequence[bytes]) -> Turn:
        """Send panels to both, one after the other; the full one first."""
        full, empty = (
            asked(server, posts(sent, key=server.key), clients=CLIENTS, database=self.postmaster)
            for server, sent in ((self.full, to_full), (self.empty, to_empty))
        )
        return full, empty

    def of_stored(self, count: int) -> list[bytes]:
        """Second panels of clones that are picked by chance."""
        models = list(panels(2 * FEW, seed=MODELS, per_patient=2))[1::2]
        picked = self._chance.sample(range(FEW * self.times), count)
        return [_of_clone(models[one % FEW], 1 + one // FEW) for one in picked]


def _of_clone(model: dict[str, Any], number: int) -> bytes:
    who = {**model["patient"], "id": f"{number}-{model['patient']['id']}"}
    return orjson.dumps({**model, "patient": who})


def _second(count: int, number: int) -> list[bytes]:
    """Second panels of the patients who were new in a round."""
    return bodies(2 * count, per_patient=2, first=count * number)[1::2]


def _row(what: str, turns: Sequence[Turn], *, note: str, goal: Goal = NO_GOAL) -> Row:
    full, empty = [turn[0] for turn in turns], [turn[1] for turn in turns]
    both = compared([1000 / one.rate for one in full], [1000 / one.rate for one in empty])
    limit = f"{full[-1].told()}; empty: {empty[-1].told()}"
    work = sum(one.statuses["201"] for one in full), sum(one.statuses["201"] for one in empty)
    return row_of(what, both, goal, unit="ms", note=note, limit=limit, work=work)


if __name__ == "__main__":
    told(Console(), measured_with(int(sys.argv[1]), Size.FULL))
