"""The public keys of those who may call: from the operator's file, or from an address that it names.

Law: no address is asked but those in the file, whatever a token says; no redirect is followed. A key that is not an
elliptic curve's or RSA's verifies nothing.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, build_opener

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

from service.domain.errors import Unavailable

KINDS = ("EC", "RSA")
FRESH = 600.0  # seconds for which fetched keys are used without asking again
PAUSE = 60.0  # seconds before an address is asked again, for a key that is not known or because it failed
PATIENCE = 5.0
MAX_BYTES = 262_144


def key_set(jwks: Any) -> KeySet | None:
    """The keys of a JWK Set that can verify a signature; None when there is none."""
    listed = jwks.get("keys") if isinstance(jwks, Mapping) else None
    found = [_key(one) for one in listed] if isinstance(listed, list) else []
    usable = [one for one in found if one is not None]
    return KeySet(usable) if usable else None


def _key(jwk: Any) -> Key | None:
    if not isinstance(jwk, dict) or jwk.get("kty") not in KINDS or jwk.get("use", "sig") != "sig":
        return None
    try:
        return JWKRegistry.import_key(jwk)
    except (JoseError, ValueError, TypeError, KeyError):
        return None


class _NoRedirect(HTTPRedirectHandler):
    """What is at another address is not what the operator named."""

    def redirect_request(self, *_: Any) -> None:
        return None


def fetch(url: str) -> bytes:
    """What is at an address of the operator's file. Raises ``OSError``."""
    opener = build_opener(_NoRedirect)
    try:
        with opener.open(url, timeout=PATIENCE) as answer:
            body: bytes = answer.read(MAX_BYTES + 1)
    except (URLError, HTTPException, ValueError) as error:
        raise OSError(type(error).__name__) from None
    if len(body) > MAX_BYTES:
        raise OSError("too long")
    return body


class FixedKeys:
    """Keys that stand in the operator's file."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    def holding(self, _kid: str) -> KeySet:
        return self._keys


class FetchedKeys:
    """Keys at an address, asked for again now and then, and when one is named that is not known."""

    def __init__(
        self, url: str, fetch: Callable[[str], bytes] = fetch, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.url, self._fetch, self._clock = url, fetch, clock
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._asked: float | None = None

    def holding(self, kid: str) -> KeySet:
        """The keys, with one that is called ``kid`` if there is one. Raises ``Unavailable``."""
        with self._lock:
            if self._due(kid):
                self._ask()
            if self._keys is None:
                raise Unavailable("the keys of the caller cannot be fetched", retry_after=int(PAUSE))
            return self._keys

    def _due(self, kid: str) -> bool:
        if self._asked is None:
            return True
        unknown = self._keys is None or all(one.kid != kid for one in self._keys)
        return self._clock() - self._asked >= (PAUSE if unknown else FRESH)

    def _ask(self) -> None:
        """Fetch the keys anew. Where that fails, those that are known go on being used."""
        self._asked = self._clock()
        try:
            found = key_set(json.loads(self._fetch(self.url)))
        except (OSError, ValueError, RecursionError):
            return
        self._keys = found or self._keys


Keys = FixedKeys | FetchedKeys
