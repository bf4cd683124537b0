"""Who may call the services of CDS Hooks: the operator's list of issuers, and the tokens that they sign.

Law: a token counts for one call of one address, by an issuer of the list, with a signature of one of its keys. What is
wrong with it is told in fixed words, never by what stood in it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ClaimError, InvalidKeyIdError, JoseError
from joserfc.jwt import JWTClaimsRegistry

from service.api.cds_keys import KINDS, FetchedKeys, FixedKeys, Keys, key_set
from service.api.problems import Refused
from service.config import Settings, SettingsError

SOURCE = "cds-hooks"
ALGORITHMS = ("ES384", "RS384", "ES256", "RS256")
LEEWAY = 60  # seconds by which clocks may differ
LONGEST = timedelta(days=1)
_SETTING = "LAB_ALERTS_CDS_HOOKS_ISSUERS"
_ADDRESS = re.compile(r"https://[^\s@]+|http://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?(?:/\S*)?")
_MEMBERS = {"iss", "jwks", "jwks_url", "tenants", "source"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One of the list. ``source``: the one whose map and whose identifiers without a system are the caller's.

    ``tenants``: only for these, if there are any.
    """

    name: str
    keys: Keys = field(repr=False)
    source: str = SOURCE
    tenants: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token that is in order, but for whether it was used before."""

    issuer: Issuer
    id: str = field(repr=False)
    expires_at: datetime


Issuers = Mapping[str, Issuer]


def issuers_from(settings: Settings) -> Issuers:
    """The issuers of the operator's file. Raises ``SettingsError`` with every fault."""
    if settings.cds_hooks_issuers is None:
        return {}
    faults = [] if settings.public_url else ["LAB_ALERTS_PUBLIC_URL: is needed, because a token names the address"]
    found, wrong = _read(Path(settings.cds_hooks_issuers))
    faults += [f"{_SETTING}: {one}" for one in wrong]
    if faults:
        raise SettingsError(faults)
    return found


def _read(path: Path) -> tuple[Issuers, list[str]]:
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["issuers"]
    except OSError as error:
        return {}, [f"names a file that cannot be read ({error.strerror})"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}, ['names a file that is not JSON like {"issuers": [...]}']
    if not isinstance(listed, list):
        return {}, ["issuers must be a list"]
    wrong = [f"issuers[{index}]: {one}" for index, sent in enumerate(listed) for one in _faults(sent)]
    if wrong:
        return {}, wrong
    found = [_issuer(sent) for sent in listed]
    twice = len({one.name for one in found}) < len(found)
    return {one.name: one for one in found}, ["names an issuer twice"] if twice else []


def _faults(sent: Any) -> Iterator[str]:
    if not isinstance(sent, dict):
        yield "must be an object"
        return
    if unknown := sorted(set(sent) - _MEMBERS):
        yield f"has members that are not known: {', '.join(unknown)}"
    if not _text(sent.get("iss")):
        yield "iss must be a text"
    yield from _faults_of_keys(sent)
    if "source" in sent and not _text(sent["source"]):
        yield "source must be a text"
    tenants = sent.get("tenants", [])
    if not isinstance(tenants, list) or not all(map(_text, tenants)):
        yield "tenants must be a list of texts"


def _faults_of_keys(sent: Mapping[str, Any]) -> Iterator[str]:
    if ("jwks" in sent) == ("jwks_url" in sent):
        yield "needs either jwks or jwks_url"
    if "jwks" in sent and key_set(sent["jwks"]) is None:
        yield f"jwks holds no public key of the kinds {' and '.join(KINDS)}"
    if "jwks_url" in sent and not (_text(sent["jwks_url"]) and _ADDRESS.fullmatch(sent["jwks_url"])):
        yield "jwks_url must be an https address"


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _issuer(sent: Mapping[str, Any]) -> Issuer:
    fixed = key_set(sent["jwks"]) if "jwks" in sent else None
    return Issuer(
        name=sent["iss"],
        keys=FixedKeys(fixed) if fixed is not None else FetchedKeys(sent["jwks_url"]),
        source=sent.get("source", SOURCE),
        tenants=frozenset(sent.get("tenants", ())),
    )


def refused(why: str) -> Refused:
    """The refusal of a caller who is not known."""
    return Refused("unauthenticated", why, headers={"WWW-Authenticate": 'Bearer realm="cds-hooks"'})


def check(token: str, issuers: Issuers, *, address: str, now: datetime) -> Token:
    """The token, if it is one for a call of an address. Raises ``Refused``, and ``Unavailable`` where keys are."""
    try:
        found = jws.extract_compact(token.encode())
        header, claims = found.headers(), json.loads(found.payload)
    except (JoseError, ValueError, TypeError, RecursionError):
        raise refused("the token is not a signed JWT") from None
    issuer = issuers.get(claims.get("iss")) if _named(claims) else None
    if issuer is None:
        raise refused("the issuer of the token is not on the list")
    _check_header(header, issuer)
    _check_signature(token, header, issuer)
    _check_claims(claims, address=address, now=now)
    _check_tenant(claims, issuer)
    return Token(issuer=issuer, id=claims["jti"], expires_at=datetime.fromtimestamp(claims["exp"], UTC))


def _named(claims: Any) -> bool:
    return isinstance(claims, dict) and isinstance(claims.get("iss"), str)


def _check_header(header: Mapping[str, Any], issuer: Issuer) -> None:
    if header.get("alg") not in ALGORITHMS:
        raise refused(f"the token is not signed with one of {', '.join(ALGORITHMS)}")
    if not _text(header.get("kid")):
        raise refused("the token does not name its key (kid)")
    if str(header.get("typ", "JWT")).upper() != "JWT":
        raise refused("the type of the token (typ) is not JWT")
    # A set of keys is taken from the operator's file or not at all.
    known = issuer.keys.url if isinstance(issuer.keys, FetchedKeys) else None
    if known is not None and header.get("jku", known) != known:
        raise refused("the address of keys in the token (jku) is not that of the list")


def _check_signature(token: str, header: Mapping[str, Any], issuer: Issuer) -> None:
    keys = issuer.keys.holding(header["kid"])
    try:
        jwt.decode(token, keys, algorithms=list(ALGORITHMS))
    except InvalidKeyIdError:
        raise refused("the key of the token (kid) is not one of its issuer's") from None
    except (JoseError, ValueError, TypeError):
        raise refused("the signature of the token is not valid") from None


def _check_claims(claims: Mapping[str, Any], *, address: str, now: datetime) -> None:
    needed: Any = {name: {"essential": True} for name in ("iss", "exp", "iat", "jti")}
    registry = JWTClaimsRegistry(
        now=int(now.timestamp()), leeway=LEEWAY, aud={"essential": True, "value": address}, **needed
    )
    try:
        registry.validate(dict(claims))
    except ClaimError as error:
        raise refused(f"the token does not count here and now: {error.claim}") from None
    except JoseError:
        raise refused("the token lacks one of iss, aud, exp, iat and jti") from None
    if claims["exp"] > (now + LONGEST).timestamp():
        raise refused("the token counts for more than a day: exp")


def _check_tenant(claims: Mapping[str, Any], issuer: Issuer) -> None:
    if issuer.tenants and claims.get("tenant") not in issuer.tenants:
        raise Refused("forbidden", "the tenant of the token is not on the list")
