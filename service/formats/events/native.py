"""Our own language: ``{"type", "timestamp", "data"}``, as Standard Webhooks 1.0.0 recommends.

Law: the same event is the same bytes whenever it is sent, as long as it is thin.
"""

from typing import Any

import orjson

from service.formats.events.telling import Telling, Written, instant

CONTENT_TYPE = "application/json"


def write(telling: Telling) -> Written:
    """The message."""
    event = telling.event
    said = {"type": event.type, "timestamp": instant(event.at), "data": data(telling)}
    return Written(body=orjson.dumps(said), content_type=CONTENT_TYPE)


def data(telling: Telling) -> dict[str, Any]:
    """What is said of the event; ``shown`` holds the flag in full where that is asked for."""
    event = telling.event
    named = {"flag": event.flag, "episode": event.episode, **event.data}
    told = {name: said for name, said in named.items() if said is not None}
    if event.flag is not None:
        told["href"] = telling.address(f"/v1/flags/{event.flag}")
    if telling.link is not None:
        told["html"] = telling.link
    if telling.flag is not None:
        told["shown"] = telling.flag
    return told
