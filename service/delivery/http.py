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
from service.delivery.names import MOST_TRIED, Names, TooSlow, share

MOST = 4096  # bytes of an answer
_POOLS = 64  # receivers to which connections are kept
_CONNECTIONS = 16  # to each of them


class NotReached(Exception):
    """No answer came. The text says why, without addresses."""


class _NoConnection(NotReached):
    """Nothing was sent, as there was nobody to send it to."""


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
        self._guard, self._seconds, self._names = guard, seconds, Names(look_up)
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
        own = {"Host": target.authority, "Accept-Encoding": "identity", "User-Agent": "lab-alerts", **headers}
        with self._watch.until(time.monotonic() + self._seconds) as attempt:
            *others, last = self._addresses(target, attempt)
            for left, address in zip(range(len(others) + 1, 1, -1), others, strict=True):
                # Nothing was sent where no connection was made; the next address may take one.
                with suppress(_NoConnection):
                    return self._ask(target, address, attempt, body=body, headers=own, left=left)
            return self._ask(target, last, attempt, body=body, headers=own)

    def _addresses(self, target: Target, attempt: Attempt) -> list[str]:
        """Those to try: first to which there are connections, then as they were found."""
        try:
            found = self._guard.pick(target, lambda host, port: self._names.find(host, port, ends=attempt.ends))
        except TooSlow:
            raise NotReached("the name of the receiver is not found in time") from None
        except OSError:
            raise NotReached("the name of the receiver is not found") from None
        with self._lock:
            return sorted(found, key=lambda address: _key(target, address) not in self._pools)[:MOST_TRIED]

    def _ask(
        self, target: Target, address: str, attempt: Attempt, *, body: bytes, headers: Mapping[str, str], left: int = 1
    ) -> Answer:
        """Ask one address; ``left``: how many have to share the time for a connection."""
        timeout = urllib3.Timeout(connect=share(attempt.ends, of=left), read=share(attempt.ends, of=1))
        try:
            # What is asked for stands in the order in which urllib3 names it; nothing is left to its defaults.
            response = self._pool(target, address).urlopen(
                "POST",
                target.path,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=timeout,
                preload_content=False,
                decode_content=False,
            )
            if attempt.over:  # cut off in the middle of the head, which reads as if it had ended there
                raise NotReached(_TOO_LATE)
            return _begun(response)
        except (NewConnectionError, ConnectTimeoutError) as error:
            self._forget(target, address)
            raise _NoConnection(_why(error, attempt)) from None
        except (HTTPError, OSError) as error:
            raise NotReached(_why(error, attempt)) from None

    def _pool(self, target: Target, address: str) -> Any:
        """The connections to one address under one name."""
        key = _key(target, address)
        with self._lock:
            found = self._pools.pop(key, None) or self._opened(target, address)
            self._pools[key] = found
            dropped = [self._pools.popitem(last=False)[1] for _ in range(len(self._pools) - _POOLS)]
        for one in dropped:
            one.close()
        return found

    def _forget(self, target: Target, address: str) -> None:
        """Nothing connects there now: others come first the next time."""
        with self._lock:
            self._pools.pop(_key(target, address), None)

    def _opened(self, target: Target, address: str) -> Any:
        options: dict[str, Any] = {"maxsize": _CONNECTIONS, "block": False, "retries": False}
        if target.scheme == "http":
            return _Pool(address, target.port, **options)
        options |= {"ssl_context": self._tls, "server_hostname": target.host, "assert_hostname": target.host}
        return _TlsPool(address, target.port, **options)


def _key(target: Target, address: str) -> tuple[str, str, int, str]:
    return target.scheme, target.host, target.port, address


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = watched(urllib3.connection.HTTPConnection)


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = watched(urllib3.connection.HTTPSConnection)


POOLS = {"http": _Pool, "https": _TlsPool}


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
