"""The HTTP client of the channels: one request, to an address that was checked, within one span of time.

Law: nothing is followed, unpacked, repeated or taken from the environment; of an answer no more than its beginning is
read; and however slowly the other side trickles, the attempt ends with its time.
"""

import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError, SSLError

from service.delivery.addresses import Guard, Resolve, Target, resolve
from service.delivery.deadline import Attempt, Watch, watched

MOST = 4096  # bytes of an answer
_POOLS = 64  # receivers to which connections are kept
_CONNECTIONS = 16  # to each of them


class NotReached(Exception):
    """No answer came. The text says why, without addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The beginning of an answer."""

    status: int
    headers: Mapping[str, str]
    text: str = field(repr=False)


class Client:
    """Connections to receivers, kept alive between requests. Threads may share it.

    ``seconds``: for the whole of an attempt. ``authorities``: a file with further certificates to trust.
    """

    def __init__(
        self, guard: Guard, *, seconds: float, authorities: str | None = None, look_up: Resolve = resolve
    ) -> None:
        self._guard, self._seconds, self._look_up = guard, seconds, look_up
        self._tls = ssl.create_default_context()
        # A name counts where certificates have names, and not in their free text (RFC 9525, section 1.4.2).
        self._tls.hostname_checks_common_name = False
        if authorities is not None:
            self._tls.load_verify_locations(authorities)
        self._pools: OrderedDict[tuple[str, str, int, str], Any] = OrderedDict()
        self._lock = threading.Lock()
        self._watch = Watch(seconds / 8)

    def post(self, endpoint: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post a body. Raises ``Forbidden`` where it must not go, and ``NotReached``."""
        target = self._guard.read(endpoint)
        ends = time.monotonic() + self._seconds
        try:
            address = self._guard.pick(target, self._look_up)
        except OSError:
            raise NotReached("the name of the receiver is not found") from None
        own = {"Host": target.authority, "Accept-Encoding": "identity", "User-Agent": "lab-alerts", **headers}
        return self._ask(self._pool(target, address), target, body, headers=own, ends=ends)

    def _ask(self, pool: Any, target: Target, body: bytes, *, headers: Mapping[str, str], ends: float) -> Answer:
        left = max(0.001, ends - time.monotonic())
        with self._watch.until(ends) as attempt:
            try:
                # What is asked for stands in the order in which urllib3 names it; nothing is left to its defaults.
                response = pool.urlopen(
                    "POST",
                    target.path,
                    body=body,
                    headers=headers,
                    retries=False,
                    redirect=False,
                    assert_same_host=False,
                    timeout=urllib3.Timeout(connect=left, read=left),
                    preload_content=False,
                    decode_content=False,
                )
                if attempt.over:  # cut off in the middle of the head, which reads as if it had ended there
                    raise NotReached(_TOO_LATE)
                return _begun(response)
            except (HTTPError, OSError) as error:
                raise NotReached(_why(error, attempt)) from None

    def _pool(self, target: Target, address: str) -> Any:
        """The connections to one address under one name."""
        key = (target.scheme, target.host, target.port, address)
        with self._lock:
            found = self._pools.pop(key, None) or self._opened(target, address)
            self._pools[key] = found
            dropped = [self._pools.popitem(last=False)[1] for _ in range(len(self._pools) - _POOLS)]
        for one in dropped:
            one.close()
        return found

    def _opened(self, target: Target, address: str) -> Any:
        options: dict[str, Any] = {"maxsize": _CONNECTIONS, "block": False, "retries": False}
        if target.scheme == "http":
            return _Pool(address, target.port, **options)
        options |= {"ssl_context": self._tls, "server_hostname": target.host, "assert_hostname": target.host}
        return _TlsPool(address, target.port, **options)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = watched(urllib3.connection.HTTPConnection)


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = watched(urllib3.connection.HTTPSConnection)


def _begun(response: Any) -> Answer:
    """The beginning of an answer. Of a long one the rest is not waited for, and its connection is given up."""
    try:
        text = response.read(MOST)
        whole = not response.read(1)
    except (HTTPError, OSError):
        text, whole = b"", False  # what counts has come: the status
    if whole:
        response.release_conn()
    else:
        with suppress(OSError):
            response.close()
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(
        status=response.status, headers=headers, text=text.decode("utf-8", "replace").replace("\x00", "\ufffd")
    )


_TOO_LATE = "no answer in time"


def _why(error: Exception, attempt: Attempt) -> str:
    if isinstance(error, NewConnectionError):
        return "no connection"
    if attempt.over or isinstance(error, ConnectTimeoutError | ReadTimeoutError):
        return _TOO_LATE
    if isinstance(error, SSLError):
        return "the certificate of the receiver is not trusted, or its TLS is not right"
    return "the connection broke, or what came is not HTTP"
