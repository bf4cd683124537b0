"""Alertmanager's ``POST /api/v2/alerts``: an alert for each incident.

Law: labels make the alert what it is and stay the same until it ends; what changes stands in the annotations.

Source: Prometheus Alertmanager, OpenAPI of version 2. An alert without ``endsAt`` ends after five minutes there, unless
it is sent again; so it is given an end far ahead, and told again when it really ends.
"""

from datetime import datetime, timedelta

import orjson

from service.formats.events.incidents import Step, ends, incident, step
from service.formats.events.telling import Telling, Written, headline, instant

CONTENT_TYPE = "application/json"
_AHEAD = timedelta(days=365)
_BRIEF = timedelta(days=1)


def write(telling: Telling) -> Written:
    """The message."""
    event, data = telling.event, telling.event.data
    over = step(telling) is Step.OVER
    labels = {
        "alertname": "LabFinding" if event.flag else "LabAlerts",
        "incident": incident(telling),
        **({"finding": str(data["finding"])} if data.get("finding") else {}),
        "service": "lab-alerts",
    }
    alert = {
        "labels": labels,
        "annotations": {"summary": headline(telling), "type": event.type, "severity": str(data.get("severity", ""))},
        "startsAt": instant(event.at),
        "endsAt": instant(event.at if over else _end(telling)),
    }
    if telling.link is not None:
        alert["generatorURL"] = telling.link
    return Written(body=orjson.dumps([alert]), content_type=CONTENT_TYPE)


def _end(telling: Telling) -> datetime:
    """Counted from now where nothing else ends it, so that one that comes late is seen all the same."""
    return telling.event.at + _AHEAD if ends(telling) else telling.at + _BRIEF
