"""FHIR R4 Subscriptions as the backport has them: a Bundle of type ``history`` that begins with the status.

Law: events of a subscription are counted without a gap, so that whoever misses one notices; a handshake is not counted,
and says how many there have been.

Source: HL7 FHIR, "Subscriptions R5 Backport" 1.1, R4 notification bundles.
"""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson

from service.domain.subscriptions import TEST_TYPE
from service.formats.events.telling import Telling, Written, instant

CONTENT_TYPE = "application/fhir+json"
# A subscription has one topic; which kind of event it is stands in a tag of the Bundle.
TOPIC, TYPES = "urn:lab-alerts:topic:alerts", "urn:lab-alerts:event-type"
_PROFILE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"

Json = dict[str, Any]


def write(telling: Telling) -> Written:
    """The message: a handshake for a test, a notification for everything else."""
    about = _focus(telling)
    entries = [_status(telling, about)]
    if about is not None:
        entries.append(_about(telling, about))
    bundle = {
        "resourceType": "Bundle",
        "meta": {
            "profile": [f"{_PROFILE}/backport-subscription-notification-r4"],
            "tag": [{"system": TYPES, "code": telling.event.type}],
        },
        "type": "history",
        "timestamp": instant(telling.at),
        "entry": entries,
    }
    return Written(body=orjson.dumps(bundle), content_type=CONTENT_TYPE)


def _address(telling: Telling, name: str) -> str:
    """Something of ours: absolute where we know at which address we are reached, and relative elsewhere."""
    return f"{telling.source}/fhir/R4/{name}" if telling.source.startswith("http") else name


def _focus(telling: Telling) -> str | None:
    """The DetectedIssue of the flag, by its address."""
    flag = telling.event.flag
    if flag is None or telling.event.type == TEST_TYPE:
        return None
    return f"DetectedIssue/{flag.replace('_', '-')}"


def _status(telling: Telling, about: str | None) -> Json:
    name = f"Subscription/{telling.subscription.replace('_', '-')}"
    test = telling.event.type == TEST_TYPE
    said: list[Json] = [
        {"name": "subscription", "valueReference": {"reference": _address(telling, name)}},
        {"name": "topic", "valueCanonical": TOPIC},
        {"name": "status", "valueCode": "active"},
        {"name": "type", "valueCode": "handshake" if test else "event-notification"},
        {"name": "events-since-subscription-start", "valueString": str(telling.number)},
    ]
    if not test:
        said.append({"name": "notification-event", "part": _event(telling, about)})
    profile = {"profile": [f"{_PROFILE}/backport-subscription-status-r4"]}
    return {
        "fullUrl": f"urn:uuid:{_uuid(telling)}",
        "resource": {"resourceType": "Parameters", "meta": profile, "parameter": said},
        "request": {"method": "GET", "url": f"{name}/$status"},
        "response": {"status": "200"},
    }


def _event(telling: Telling, about: str | None) -> list[Json]:
    parts: list[Json] = [
        {"name": "event-number", "valueString": str(telling.number)},
        {"name": "timestamp", "valueInstant": instant(telling.event.at)},
    ]
    if about is not None:
        parts.append({"name": "focus", "valueReference": {"reference": _address(telling, about)}})
    return parts


def _about(telling: Telling, about: str) -> Json:
    address = _address(telling, about)
    entry: Json = {"fullUrl": address if address != about else f"urn:uuid:{uuid5(NAMESPACE_URL, about)}"}
    if telling.resource is not None:
        entry["resource"] = telling.resource
    return entry | {"request": {"method": "GET", "url": about}, "response": {"status": "200"}}


def _uuid(telling: Telling) -> str:
    """A UUID that is the same whenever this event is told to this subscription (RFC 9562, version 5)."""
    return str(uuid5(NAMESPACE_URL, f"{telling.subscription}/{telling.event.id}"))
