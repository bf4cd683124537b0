"""PagerDuty's Events API v2: trigger, acknowledge, resolve.

Law: one incident has one ``dedup_key``; it names an episode, and nobody.

Source: PagerDuty, "Send an Alert Event" (Events API v2); its severities are critical, error, warning and info.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from service.formats.events.incidents import Step, incident, step
from service.formats.events.telling import Telling, Written, headline, instant

CONTENT_TYPE = "application/json"

_ACTIONS: Mapping[Step, str] = {
    Step.OPEN: "trigger",
    Step.NOTE: "trigger",
    Step.TAKEN: "acknowledge",
    Step.OVER: "resolve",
}
_SEVERITIES: Mapping[str, str] = {"critical": "critical", "severe": "error", "moderate": "warning"}


def write(telling: Telling) -> Written:
    """The message. The routing key is the credential of the subscription."""
    event, data = telling.event, telling.event.data
    silent = event.type == "lab.feed.silent"  # it has no severity, and alerts may be missing because of it
    said: dict[str, Any] = {
        "routing_key": telling.credential or "",
        "event_action": _ACTIONS[step(telling)],
        "dedup_key": incident(telling),
        "payload": {
            "summary": headline(telling),
            "source": str(data.get("source") or "lab-alerts"),
            "severity": _SEVERITIES.get(str(data.get("severity")), "warning" if silent else "info"),
            "timestamp": instant(event.at),
            "custom_details": {"type": event.type, "flag": event.flag, "episode": event.episode},
        },
    }
    if telling.link is not None:
        said["links"] = [{"href": telling.link, "text": "The flag"}]
    return Written(body=orjson.dumps(said), content_type=CONTENT_TYPE)
