"""Asking a known server something: in so many seconds in all, with so many bytes of an answer at most.

    a session ─► sent ─► read up to a bound ─► over when its time is over, also for who trickles

Law: nobody who is asked can hold a thread, or fill the memory, for longer than is said here.
"""

import time
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from service.delivery.deadline import Watch
from service.delivery.http import POOLS

SECONDS = 5.0  # for a whole answer
LARGEST = 1_048_576  # bytes of an answer
_WATCH = Watch(SECONDS)


class Bounded(HTTPAdapter):
    """To be mounted on a session of requests. What is bounded raises ``requests.ConnectionError``."""

    def init_poolmanager(self, *given: Any, **more: Any) -> None:
        super().init_poolmanager(*given, **more)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **more: Any) -> urllib3.PoolManager:
        manager: urllib3.PoolManager = super().proxy_manager_for(proxy, **more)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def send(self, request: requests.PreparedRequest, *given: Any, **more: Any) -> requests.Response:
        with _WATCH.until(time.monotonic() + SECONDS) as attempt:
            answer = super().send(request, **{**more, "stream": True, "timeout": SECONDS})
            try:
                body = answer.raw.read(LARGEST + 1, decode_content=True)
            except urllib3.exceptions.HTTPError as error:
                raise requests.ConnectionError("the answer ended before its end") from error
        if attempt.over or len(body) > LARGEST:
            raise requests.ConnectionError("the answer takes too long, or is too long")
        # Where requests itself keeps what it has read, and that it has.
        vars(answer).update(_content=body, _content_consumed=True)
        return answer


def bound(session: requests.Session) -> requests.Session:
    """Bound everything that a session asks."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, Bounded(max_retries=0))
    return session
