"""One run of one side: what it did, how long that took, and what it cost each process.

Law: the time of the processors is read around the run alone, from the processes themselves.
"""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.children import children, together
from bench.common import Answers
from bench.machine import Served, cpu


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run: how many a second, how long each took (seconds), and what it cost each process (seconds)."""

    latencies: Sequence[float] = field(repr=False)
    statuses: Counter[str]
    seconds: float
    server: float
    database: float
    client: float

    @property
    def done(self) -> int:
        """How many were answered or written."""
        return self.statuses.total()

    @property
    def rate(self) -> float:
        """How many a second."""
        return self.done / self.seconds

    def percentile(self, share: int) -> float:
        """Seconds within which this share (in percent) was answered."""
        return statistics.quantiles(self.latencies, n=100)[share - 1]

    @property
    def client_ceiling(self) -> float:
        """How often a second the client could ask if it had a processor for itself and answers came at once."""
        return self.done / self.client

    def told(self) -> str:
        """Where the time of the processors went."""
        parts = (("server", self.server), ("database", self.database), ("client", self.client))
        shares = ", ".join(f"{name} {1000 * cost / self.done:.2f}" for name, cost in parts if cost)
        busy = sum(cost for _, cost in parts) / self.seconds
        return f"ms of processor each: {shares}; {busy:.1f} processors busy"


def asked(server: Served, requests: Sequence[bytes], *, clients: int, database: int = 0) -> Measured:
    """Send requests to a server from so many clients."""
    return run("bench.client:asking", [(server.port, clients, requests)], server=server.process.pid, database=database)


def streamed(server: Served, body: bytes, *, database: int = 0) -> Measured:
    """Send NDJSON to the service in one request."""
    sent = (server.port, server.key, body)
    return run("bench.client:streaming", [sent], server=server.process.pid, database=database)


def run(side: str, arguments: Sequence[Sequence[object]], *, server: int = 0, database: int = 0) -> Measured:
    """Let a side work, in a process for each list of arguments, at the same time.

    ``server`` and ``database`` are the processes behind it, of which the time is measured, too.
    """
    with children(side, *arguments) as started:
        before = cpu(server), cpu(database)
        answers = together(started)
        after = cpu(server), cpu(database)
    return measured(answers, server=after[0] - before[0], database=after[1] - before[1])


def measured(answers: Sequence[Answers], *, server: float = 0, database: float = 0) -> Measured:
    """What several clients or writers did at the same time, with what it cost the processes behind them."""
    return Measured(
        latencies=[each for one in answers for each in one["latencies"]],
        statuses=sum((Counter(one["statuses"]) for one in answers), Counter()),
        seconds=max(one["end"] for one in answers) - min(one["start"] for one in answers),
        server=server,
        database=database,
        client=sum(one["cpu"] for one in answers),
    )


def done_here(work: Callable[[], None], *, count: int, database: int = 0) -> Measured:
    """Do ``count`` of something in this process."""
    before, cpu_before, started = cpu(database), time.process_time(), time.monotonic()
    work()
    end, own = time.monotonic(), time.process_time() - cpu_before
    answer = {"start": started, "end": end, "cpu": own, "latencies": [], "statuses": {"kept": count}}
    return measured([answer], database=cpu(database) - before)
