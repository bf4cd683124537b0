"""``POST /v1/panels`` with everything it keeps, against hello-world, the raw driver and a plain ORM (goals 1, 2, 3, 8).

Law: all sides work on the same panels in the same round, and the raw driver writes the very rows that the service
wrote; where the rows differ afterwards, the bench fails.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from bench import rows
from bench.client import posts, request
from bench.common import NO_GOAL, PYTHON, ROOT, Better, Goal, Row, Size, compared, row_of, take_turns
from bench.databases import NAMES, connect
from bench.machine import Ground, Served, ground
from bench.measured import Measured, asked, run
from bench.synthetic import bodies, identifier

CLIENTS = 32
CONNECTIONS = 4
WRITERS = 2  # processes of the raw driver, as many as the service has
HELLO = Goal(number="1", goal=0.9, floor=0.25)
# The ways of the raw driver, which are functions of bench.raw.
WAYS = {
    "prepared": ("raw driver", Goal(number="2", goal=1.0, floor=0.40)),
    "executed": ("raw driver's execute", NO_GOAL),
}
PLAIN = Goal(number="3", goal=8, floor=2)
TAIL = Goal(number="8", goal=3, floor=8, better=Better.LESS)


def measure(size: Size) -> list[Row]:
    """Everything about one panel at a time."""
    with ground() as place:
        contest = Contest(place)
        return [*_contest(contest, size), *_other_clients(contest, size)]


class Contest:
    """The sides on PostgreSQL that take turns: the service, hello-world, the raw driver in two ways, the plain ORM."""

    def __init__(self, place: Ground) -> None:
        self.postmaster = place.postmaster
        self.kept = place.database("postgresql")
        self.copied = {way: place.database("postgresql") for way in WAYS}
        self.kept_plainly = place.empty_database()
        self.ours = place.service(self.kept)
        self.hello = place.baseline("bench.hello:app", self.kept)
        self.plain = _plain(place, self.kept_plainly)
        self.on_sqlite = place.service(place.database("sqlite"))
        place.wait()
        self.next_patient = 0

    def turn(self, count: int) -> "Turn":
        """One round: each side once, with panels of new patients."""
        first = self.next_patient
        self.next_patient += count
        sent = bodies(count, first=first)
        return Turn(
            ours=self._asked(self.ours, posts(sent, key=self.ours.key)),
            hello=self._asked(self.hello, [request("GET", "/")] * count),
            raw=self._write_again(rows.Span(first=identifier(first), last=identifier(first + count - 1))),
            plain=self._asked(self.plain, posts(sent, key="")),
        )

    def _asked(self, server: Served, requests: Sequence[bytes]) -> Measured:
        return asked(server, requests, clients=CLIENTS, database=self.postmaster)

    def _write_again(self, span: rows.Span) -> dict[str, Measured]:
        units, found = rows.units(self.kept, span), {}
        for way, target in self.copied.items():
            rows.share(self.kept, target)
            shares = [(target, units[place::WRITERS], CONNECTIONS // WRITERS) for place in range(WRITERS)]
            found[way] = run(f"bench.raw:{way}", shares, database=self.postmaster)
        return found

    def same_rows(self, way: str) -> tuple[int, int]:
        """All rows of the service and of the raw driver. Raises ``RuntimeError`` when a table differs."""
        ours, copied = rows.counted(self.kept), rows.counted(self.copied[way])
        if ours != copied:
            raise RuntimeError(f"the raw driver wrote other rows: {ours} and {copied}")
        return sum(ours.values()), sum(copied.values())

    def same_findings(self) -> tuple[int, int]:
        """Panels, results and flags of the service, without the pattern, and of the plain endpoint."""
        return _found(self.kept, "flags WHERE finding <> 'pattern'"), _found(self.kept_plainly, "flags")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What each side gave in one round."""

    ours: Measured
    hello: Measured
    raw: dict[str, Measured]
    plain: Measured


def _plain(place: Ground, address: str) -> Served:
    environment = {"LAB_ALERTS_DATABASE_URL": address}
    subprocess.run([str(PYTHON), "-m", "bench.plain"], cwd=ROOT, env=environment, check=True)
    return place.baseline("bench.plain:app", address)


def _found(address: str, flags: str) -> int:
    with closing(connect(address)) as connection:
        counts = (connection.execute(f"SELECT count(*) FROM {one}").fetchone() for one in ("panels", "results", flags))
        return sum(count for (count,) in counts)


def _contest(contest: Contest, size: Size) -> Iterator[Row]:
    if size is not Size.SMOKE:
        contest.turn(size.of(0, 200, 1000))  # everything is warm afterwards
    turns = [contest.turn(size.of(CLIENTS, 600, 3000)) for _ in range(size.of(1, 3, 5))]
    ours = [turn.ours for turn in turns]
    hello = [turn.hello for turn in turns]
    yield _row("hello-world", ours, hello, goal=HELLO, work=_statuses(ours, hello))
    for way, (name, goal) in WAYS.items():
        yield _row(name, ours, [turn.raw[way] for turn in turns], goal=goal, work=contest.same_rows(way))
    yield _row("plain ORM", ours, [turn.plain for turn in turns], goal=PLAIN, work=contest.same_findings())
    yield _tail(ours)


def _row(
    against: str, ours: Sequence[Measured], baseline: Sequence[Measured], *, goal: Goal, work: tuple[int, int]
) -> Row:
    both = compared([one.rate for one in ours], [one.rate for one in baseline])
    measure_ = f"POST, PostgreSQL, {CLIENTS} clients / {against}"
    limit = f"{ours[-1].told()}; {against}: {baseline[-1].told()}"
    return row_of(measure_, both, goal, unit="/s", limit=limit, work=work)


def _tail(ours: Sequence[Measured]) -> Row:
    both = compared([1000 * one.percentile(99) for one in ours], [1000 * one.percentile(50) for one in ours])
    limit = f"the client alone could ask {ours[-1].client_ceiling:,.0f} times a second"
    return row_of(f"POST, PostgreSQL, {CLIENTS} clients: p99 / p50", both, TAIL, unit="ms", limit=limit)


def _other_clients(contest: Contest, size: Size) -> Iterator[Row]:
    """Fewer clients, and SQLite, beside hello-world with as many clients."""
    fewer, all_ = size.of((1,), (1, 8), (1, 8)), size.of((8,), (1, 8, CLIENTS), (1, 8, CLIENTS))
    yield from _with_clients(contest, size, kind="postgresql", numbers=fewer)
    yield from _with_clients(contest, size, kind="sqlite", numbers=all_)


def _with_clients(contest: Contest, size: Size, *, kind: str, numbers: Sequence[int]) -> Iterator[Row]:
    ours = contest.ours if kind == "postgresql" else contest.on_sqlite
    database = contest.postmaster if kind == "postgresql" else 0
    count, rounds = size.of(CLIENTS, 150, 1000), size.of(1, 1, 3)
    sent = iter(posts(bodies(count * (1 + rounds * len(numbers)), first=contest.next_patient), key=ours.key))
    asked(ours, list(islice(sent, count)), clients=CLIENTS)  # it is warm afterwards
    for clients in numbers:
        gave, beside = take_turns(
            rounds,
            lambda clients=clients: asked(ours, list(islice(sent, count)), clients=clients, database=database),
            lambda clients=clients: asked(contest.hello, [request("GET", "/")] * count, clients=clients),
        )
        both = compared([one.rate for one in gave], [one.rate for one in beside])
        what = f"POST, {NAMES[kind]}, {clients} client{'s'[: clients > 1]} / hello-world"
        yield row_of(what, both, unit="/s", limit=gave[-1].told(), work=_statuses(gave, beside))


def _statuses(ours: Sequence[Measured], hello: Sequence[Measured]) -> tuple[int, int]:
    return sum(one.statuses["201"] for one in ours), sum(one.statuses["200"] for one in hello)
