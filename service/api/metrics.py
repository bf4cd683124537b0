"""Metrics: what Prometheus reads.

Law: counters come from all workers, gauges from the database, and no number from the process that happens to answer.
Without the database it answers all the same, and says that the database is away.
"""

import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from flask import Flask, Response, current_app, request
from prometheus_client import Metric, exposition
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from service import __version__
from service.api import counting, guard
from service.api.description import Door, refuses
from service.api.guard import means, scope
from service.api.problems import PROBLEMS
from service.domain.errors import Unavailable
from service.domain.escalation import MOST_STEPS, StepState
from service.domain.rules import Finding, Severity
from service.storage import gauges
from service.storage.database import Database
from service.storage.gauges import Gauges

door = Door("metrics", __name__, description="Metrics for Prometheus")

_TEXT, _OPENMETRICS = "text/plain", "application/openmetrics-text"
# The library chooses by the header itself, but fails on a version that is no number.
_WRITERS: Mapping[str, tuple[Callable[[Collector], bytes], str]] = {
    _TEXT: (exposition.generate_latest, exposition.CONTENT_TYPE_PLAIN_0_0_4),
    _OPENMETRICS: (openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST),
}
_EXPOSITION = {"type": "string", "description": "One sample on each line."}


@door.route("/metrics")
@scope("metrics:read")
@refuses(400, 401, 403, 503)
@door.alt_response(200, schema=_EXPOSITION, content_type=_OPENMETRICS, description="When Accept asks for it first.")
@door.response(200, _EXPOSITION, content_type=_TEXT)
def show() -> Response:
    """Metrics

    Counters of all workers and gauges from the database, as Prometheus reads them (text, or OpenMetrics by Accept).
    """
    write, content_type = _WRITERS[_wanted()]
    return Response(write(_Everything()), content_type=content_type)


def _wanted() -> str:
    """The first of our formats that the caller would take; what Prometheus has always read, if none."""
    asked = (media.partition(";")[0].strip().lower() for media, quality in request.accept_mimetypes if quality > 0)
    return next((media for media in asked if media in _WRITERS), _TEXT)


class _Everything(Collector):
    """All that there is to tell in one answer."""

    def collect(self) -> Iterator[Metric]:
        yield from counting.collected()
        yield _build()
        found = None if guard.database_is_away() else _glance().of(means().database)
        yield GaugeMetricFamily("lab_alerts_database_up", "1 when the database answered.", value=int(bool(found)))
        if found is not None:
            yield from _told(found)


def _build() -> Metric:
    told = {
        "version": __version__,
        "ruleset": means().catalogue.rulebook.current,
        "python": platform.python_version(),
        "database": means().database.dialect,
    }
    return InfoMetricFamily("lab_alerts_build", "What is running.", value=told)


def _told(found: Gauges) -> Iterable[Metric]:
    opened = GaugeMetricFamily(
        "lab_alerts_open_episodes", "Episodes that are open, by their present severity.", labels=("finding", "severity")
    )
    for finding in Finding:
        for severity in Severity:
            opened.add_metric((finding, severity), found.open_episodes.get((finding, severity), 0))
    last = GaugeMetricFamily(
        "lab_alerts_source_last_received_timestamp_seconds",
        "When the last panel of a source was received.",
        labels=("source",),
    )
    for source, at in found.last_received.items():
        last.add_metric((source,), at.timestamp())
    return opened, last, *_told_of_delivery(found), *_told_of_escalation(found), *_told_of_feeds(found)


def _told_of_delivery(found: Gauges) -> Iterable[Metric]:
    labels = ("subscription",)
    waiting = GaugeMetricFamily("lab_alerts_deliveries_waiting", "Deliveries that wait.", labels=labels)
    failed = GaugeMetricFamily("lab_alerts_deliveries_failed", "Deliveries that were given up.", labels=labels)
    oldest = GaugeMetricFamily(
        "lab_alerts_delivery_waiting_since_timestamp_seconds", "Since when the oldest waits.", labels=labels
    )
    for name, doing in found.delivery.items():
        waiting.add_metric((name,), doing.waiting)
        failed.add_metric((name,), doing.failed)
        if doing.oldest_waiting_at is not None:
            oldest.add_metric((name,), doing.oldest_waiting_at.timestamp())
    unseen = GaugeMetricFamily("lab_alerts_events_unseen", "Events that no dispatcher has looked at.", found.unseen)
    return waiting, failed, oldest, unseen


def _told_of_escalation(found: Gauges) -> Iterable[Metric]:
    steps = GaugeMetricFamily(
        "lab_alerts_escalation_steps", "Steps of escalation in the last 24 hours.", labels=("step", "state")
    )
    for number in range(1, MOST_STEPS + 1):
        for state in StepState:
            steps.add_metric((str(number), state), found.steps.steps.get((number, state), 0))
    unheard = GaugeMetricFamily(
        "lab_alerts_episodes_unheard", "Episodes that are overdue and of which nobody can be told.", found.steps.unheard
    )
    return steps, unheard


def _told_of_feeds(found: Gauges) -> Iterable[Metric]:
    """Of feeds, as they are at this moment, whenever they were looked at."""
    now, labels = guard.now(), ("source",)
    since = GaugeMetricFamily(
        "lab_alerts_feed_seconds_since_last_result", "Time since a watched source was heard.", labels=labels
    )
    silent = GaugeMetricFamily(
        "lab_alerts_feed_silent", "1 when nothing came of a watched source for longer than expected.", labels=labels
    )
    for feed in found.feeds:
        since.add_metric((feed.source,), max(0.0, (now - feed.last_sign).total_seconds()))
        silent.add_metric((feed.source,), int(feed.is_late(now)))
    return since, silent


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What was found of a database, and until when it is told again. ``found`` is None when it did not answer."""

    database: Database
    found: Gauges | None
    until: float


# Scraping may take this part of a connection's time at most, and asks again after so many seconds at the earliest.
_SHARE, _PAUSE = 0.05, 5.0


class _Glance:
    """The gauges of the database as they were seen last, so that scraping cannot hurt it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: _Seen | None = None

    def of(self, database: Database) -> Gauges | None:
        """The gauges; None when the database does not answer."""
        with self._lock:
            if self._seen is None or self._seen.database is not database or _clock() >= self._seen.until:
                self._seen = _look(database)
            return self._seen.found


def _look(database: Database) -> _Seen:
    began = _clock()
    try:
        with database.reading() as connection:
            found = gauges.read(connection, now=guard.now())
    except Unavailable:
        return _Seen(database=database, found=None, until=_clock() + _PAUSE)
    now = _clock()
    return _Seen(database=database, found=found, until=now + max(_PAUSE, (now - began) / _SHARE))


_clock = time.monotonic


def _glance() -> _Glance:
    glance: _Glance = current_app.extensions["lab_alerts_glance"]
    return glance


def register(app: Flask) -> None:
    """Count every request of the app, and be ready to tell."""
    app.extensions["lab_alerts_glance"] = _Glance()
    counting.register(app, PROBLEMS)
