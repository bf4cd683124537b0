"""What is counted at the doors while the service works, for Prometheus.

Law: a label is a word of ours, a route, or the name of a source: never a path, an identity or a measured value. What
came in is counted after it was kept; a dry run is not counted.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, disable_created_metrics, values
from prometheus_client.multiprocess import MultiProcessCollector

from service.api.requests import METHODS
from service.domain.errors import BadInput
from service.domain.verdicts import Outcome
from service.flows.bulk import Answered
from service.flows.receipts import Receipt
from service.formats import csv_rows, native, ndjson
from service.formats.lines import Entry

DOORS = {native.MEDIA_TYPE: "json", ndjson.MEDIA_TYPE: "ndjson", csv_rows.MEDIA_TYPE: "csv"}

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

disable_created_metrics()  # several workers have no such times anyway

# One of its own: the library's global one also tells of the process that happens to answer.
REGISTRY = CollectorRegistry()

_RESULTS = Counter(
    "lab_alerts_results",
    "Results taken in, by how each ended.",
    ("source", "analyte", "outcome", "reason"),
    registry=REGISTRY,
)
_DUPLICATES = Counter(
    "lab_alerts_duplicate_results",
    "Results that were held already, word for word.",
    ("source",),
    registry=REGISTRY,
)
_FLAGS = Counter(
    "lab_alerts_flags",
    "Changes of flags and episodes that panels brought about.",
    ("finding", "severity", "change"),
    registry=REGISTRY,
)
_INTAKE = Histogram(
    "lab_alerts_intake_seconds",
    "Time from a panel at the door to its commit.",
    ("door",),
    buckets=_SECONDS,
    registry=REGISTRY,
)
_REQUESTS = Histogram(
    "lab_alerts_http_request_seconds",
    "Time of requests until the end of the answer.",
    ("route", "method", "status"),
    buckets=_SECONDS,
    registry=REGISTRY,
)
_PROBLEMS = Counter(
    "lab_alerts_problems",
    "Requests refused, by kind of problem.",
    ("type",),
    registry=REGISTRY,
)


@cache
def _audit_dropped() -> Counter:
    """A counter without labels is there, with its file, as soon as it is made: only in a process that counts."""
    return Counter(
        "lab_alerts_audit_dropped",
        "Entries of the audit that were lost, for the database could not be written.",
        registry=REGISTRY,
    )


def audit_lost(entries: int) -> None:
    """Count entries of the audit that will not be written."""
    _audit_dropped().inc(entries)


def collected() -> Iterable[Metric]:
    """Everything counted so far, by all workers of this service."""
    if values.ValueClass is values.MutexValue:  # this process is the only one
        return REGISTRY.collect()
    found: Iterable[Metric] = MultiProcessCollector(None).collect()
    return found


def taken_in(receipt: Receipt, *, source: str, door: str, seconds: float) -> None:
    """Count a panel that was kept, or was held already."""
    _INTAKE.labels(door).observe(seconds)
    for arrival, verdict in receipt.items:
        if arrival.duplicate:
            _DUPLICATES.labels(source).inc()
        else:
            _RESULTS.labels(source, verdict.analyte or "unmapped", verdict.outcome, verdict.reason or "").inc()
    for one in receipt.told:
        _FLAGS.labels(one.finding, one.severity, one.type.rpartition(".")[2]).inc()


def rejected(source: str, kind: str, places: int = 1) -> None:
    """Count what was refused: a panel, a line or a message."""
    _RESULTS.labels(source, "", Outcome.REJECTED, kind).inc(places)


@contextmanager
def refusals(source: str, *, dry_run: bool) -> Iterator[None]:
    """Count a panel that is refused within the block as one result rejected, like a refused line."""
    try:
        yield
    except BadInput as error:
        if not dry_run:
            rejected(source, error.kind)
        raise


class Stream:
    """The panels of one long message, each timed from when its last line was read until its commit."""

    def __init__(self, *, source: str, door: str, dry_run: bool) -> None:
        self._source, self._door, self._dry_run = source, door, dry_run
        self._read_at: dict[int, float] = {}

    def read(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries, timed on their way in."""
        for entry in entries:
            self._read_at[entry.lines[0]] = time.perf_counter()
            yield entry

    def answered(self, answers: Iterable[Sequence[Answered]]) -> Iterator[Sequence[Answered]]:
        """The answers, counted as soon as they are kept, whether or not the client still reads them."""
        for batch in answers:
            for one in batch:
                seconds = time.perf_counter() - self._read_at.pop(one.entry.lines[0])
                if not self._dry_run:
                    self._count(one, seconds)
            yield batch

    def _count(self, one: Answered, seconds: float) -> None:
        if one.receipt is not None:
            taken_in(one.receipt, source=self._source, door=self._door, seconds=seconds)
        elif one.refused is not None:
            rejected(self._source, one.refused.kind, len(one.entry.lines))


def problem(kind: str) -> None:
    """Count a request that is refused."""
    _PROBLEMS.labels(kind).inc()


def _end(response: Response) -> Response:
    labels = _labels(response)
    began: float = g.get("began", time.perf_counter())
    if response.is_streamed:  # what is still to be done for it counts, too
        response.call_on_close(lambda: _observe(labels, began))
    else:
        _observe(labels, began)
    return response


def _labels(response: Response) -> tuple[str, str, str]:
    route = request.url_rule.rule if request.url_rule else "none"
    return route, request.method if request.method in METHODS else "other", str(response.status_code)


def _observe(labels: tuple[str, str, str], began: float) -> None:
    _REQUESTS.labels(*labels).observe(time.perf_counter() - began)


def register(app: Flask, kinds: Iterable[str]) -> None:
    """Count every request. Must be registered after ``requests``, which notes when each began, and before ``etags``,
    which decides on the status. ``kinds`` of problem are there from the start, so that the first of one is an increase.
    """
    for kind in kinds:
        _PROBLEMS.labels(kind)
    _audit_dropped()
    app.after_request(_end)
