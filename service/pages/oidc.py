"""OpenID Connect: people sign in at a provider, which vouches for them (Authorization Code with PKCE).

    to the provider, with state, nonce and challenge ─► back with a code ─► tokens ─► who it is ─► somebody we know

Law: a sign-in is finished once, by the browser that began it. A token is believed when its signature, its issuer, its
audience, its nonce and its time are right, and not before.

Source: OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE); RFC 9207 (issuer in the answer).
"""

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import requests
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, import_key

from service.config import Settings
from service.delivery.asking import bound
from service.domain.errors import LabAlertsError, Unavailable
from service.domain.roles import Role
from service.flows import vouching
from service.flows.means import Means
from service.storage.people import Person
from service.storage.rows import digest
from service.storage.sessions import Asked

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_PATIENCE = timedelta(minutes=10)  # for somebody to sign in there
_AT_ONCE = 4  # sign-ins that ask the provider at a time, of one process
_ANOTHER_ASKS = 0.5  # seconds to wait for another thread that asks what the provider offers
_SILENT = 10.0  # seconds for which a provider that did not answer is not asked again
_KEPT = 600.0  # seconds for which what the provider says of itself is not asked again
_LEEWAY = 60  # seconds by which clocks may differ


class NotVouchedFor(LabAlertsError):
    """The provider does not vouch for somebody whom we know. The text is for the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Where to send the browser, and what only it is told."""

    address: str
    browser: str = field(repr=False)


class Provider:
    """A provider, as the settings name it."""

    def __init__(self, settings: Settings) -> None:
        self.name = settings.oidc_name
        self._issuer = settings.oidc_issuer or ""
        self._client, self._secret = settings.oidc_client_id or "", settings.oidc_client_secret
        self._back = f"{settings.public_url}/sign-in/back"
        self._new = Role.VIEWER if settings.oidc_new_people == Role.VIEWER.value else None
        self._lock = threading.Lock()
        self._asking = threading.BoundedSemaphore(_AT_ONCE)
        self._said: tuple[float, Mapping[str, Any]] | None = None
        self._failed: float | None = None

    def set_out(self, means: Means, *, after: str, now: datetime) -> Begun:
        """Begin a sign-in. Raises ``Unavailable``."""
        state, nonce, verifier, browser = (secrets.token_urlsafe(32) for _ in range(4))
        with self._session() as session:
            address, _ = session.create_authorization_url(
                self._described()["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )
        asked = Asked(
            nonce=nonce,
            verifier=verifier,
            browser=digest(browser),
            after=after,
            ends_at=now + _PATIENCE,
        )
        vouching.remember(means, state, asked, now=now)
        return Begun(address=address, browser=browser)

    def _session(self) -> OAuth2Session:
        session = OAuth2Session(
            self._client,
            self._secret,
            scope="openid email profile",
            redirect_uri=self._back,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
        )
        bound(session)
        return session

    def come_back(self, means: Means, sent: Mapping[str, str], *, browser: str, now: datetime) -> tuple[Person, str]:
        """Finish a sign-in; answers who it is, and where they wanted to go.

        Raises ``NotVouchedFor`` and ``Unavailable``.
        """
        asked = vouching.take_up(means, sent["state"], browser=browser, now=now)
        if asked is None:
            raise NotVouchedFor("This sign-in was begun elsewhere, or too long ago. Begin again.")
        if sent["error"] or not sent["code"] or (sent["iss"] and sent["iss"] != self._issuer):
            raise NotVouchedFor(f"{self.name} did not sign you in.")
        claims = self._claims(sent["code"], asked)
        person = vouching.known(means, self._issuer, claims, new=self._new, now=now)
        if person is None:
            raise NotVouchedFor("You may not sign in here. Ask the administrator to add you.")
        return person, asked.after

    def _claims(self, code: str, asked: Asked) -> Mapping[str, Any]:
        """What the provider says of the person. Raises ``NotVouchedFor`` and ``Unavailable``."""
        described = self._described()
        with self._in_line():
            tokens = self._tokens(described["token_endpoint"], code, asked)
            said = self._keys(described["jwks_uri"])
        try:
            keys = KeySet(list(_keys_known(said["keys"])))
            token = jwt.decode(str(tokens["id_token"]), keys, algorithms=_ALGORITHMS)
            self._registry(asked.nonce).validate(token.claims)
        except (JoseError, KeyError, ValueError, TypeError, RecursionError) as error:
            raise self._refused(error) from None
        _check_party(token.claims, self._client)
        return token.claims

    @contextmanager
    def _in_line(self) -> Iterator[None]:
        """Few ask the provider at a time, so that one that is slow leaves threads for everything else."""
        if not self._asking.acquire(blocking=False):
            raise Unavailable("too many sign-ins wait for the provider of OpenID Connect")
        try:
            yield
        finally:
            self._asking.release()

    def _keys(self, address: str) -> Any:
        try:
            return _json(address)
        except (requests.RequestException, ValueError, RecursionError):
            raise Unavailable("the provider of OpenID Connect does not answer as one") from None

    def _tokens(self, address: str, code: str, asked: Asked) -> Mapping[str, Any]:
        """What the provider gives for a code. Raises ``NotVouchedFor`` and ``Unavailable``."""
        try:
            with self._session() as session:
                tokens: Mapping[str, Any] = session.fetch_token(
                    address, code=code, code_verifier=asked.verifier, allow_redirects=False
                )
        except (
            requests.RequestException,
            ValueError,
            RecursionError,
        ):  # nothing, or nothing that can be read as an answer
            raise Unavailable("the provider of OpenID Connect does not answer as one") from None
        except AuthlibBaseError as error:
            raise self._refused(error) from None
        return tokens

    def _refused(self, error: Exception) -> NotVouchedFor:
        structlog.get_logger().warning("a sign-in was not vouched for", why=type(error).__name__)
        return NotVouchedFor(f"{self.name} did not sign you in.")

    def _registry(self, nonce: str) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            leeway=_LEEWAY,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._client},
            nonce={"essential": True, "value": nonce},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )

    def _described(self) -> Mapping[str, Any]:
        """What the provider says of itself (OpenID Connect Discovery 1.0). Raises ``Unavailable``."""
        if not self._lock.acquire(timeout=_ANOTHER_ASKS):
            raise Unavailable("the provider of OpenID Connect is being asked what it offers")
        try:
            if self._said is None or time.monotonic() - self._said[0] > _KEPT:
                # Anybody may ask for this: a provider that is away must not hold up every thread, one after another.
                if self._failed is not None and time.monotonic() - self._failed < _SILENT:
                    raise Unavailable("the provider of OpenID Connect did not answer just now")
                self._failed = time.monotonic()
                self._said = time.monotonic(), self._asked_for()
                self._failed = None
            return self._said[1]
        finally:
            self._lock.release()

    def _asked_for(self) -> Mapping[str, Any]:
        try:
            said = _json(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if said["issuer"] != self._issuer:
                raise ValueError("another issuer")
            return {name: str(said[name]) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
        except (requests.RequestException, KeyError, ValueError, TypeError, RecursionError):
            raise Unavailable("the provider of OpenID Connect does not answer as one") from None


def _keys_known(listed: list[Any]) -> Iterator[Key]:
    """The keys of a kind that is known here; others are passed over (RFC 7517, section 5)."""
    for one in listed:
        with suppress(JoseError, KeyError, ValueError, TypeError):
            yield import_key(dict(one))


def _check_party(claims: Mapping[str, Any], client: str) -> None:
    """A token for several audiences has to say that it was made for us (Core, 3.1.3.7)."""
    audience = claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    if (several or "azp" in claims) and claims.get("azp") != client:
        raise NotVouchedFor("The provider signed you in for another service.")


def _json(address: str) -> Any:
    with bound(requests.Session()) as session:
        answer = session.get(address, allow_redirects=False)
    answer.raise_for_status()
    return answer.json()
