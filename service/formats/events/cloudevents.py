"""CloudEvents 1.0, structured mode: the envelope and our own data in one JSON object.

Law: attributes are routed and logged by others, so they hold ids and words of ours only. A message is at most 64 KiB
(CloudEvents 1.0, "Size limits"); one that would be longer is told thin.
"""

from dataclasses import replace

import orjson

from service.formats.events import native
from service.formats.events.telling import Telling, Written, instant

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
MOST = 64 * 1024
PREFIX = "org.lab-alerts."  # in reverse of a domain name, as the specification recommends


def write(telling: Telling) -> Written:
    """The message."""
    body = orjson.dumps(_envelope(telling))
    if len(body) > MOST and telling.flag is not None:
        body = orjson.dumps(_envelope(replace(telling, flag=None)) | {"truncated": "true"})
    return Written(body=body, content_type=CONTENT_TYPE)


def _envelope(telling: Telling) -> dict[str, object]:
    event = telling.event
    subject = event.flag or event.episode
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": telling.source,
        "type": PREFIX + event.type,
        "time": instant(event.at),
        **({"subject": subject} if subject else {}),
        "datacontenttype": "application/json",
        "data": native.data(telling),
    }
