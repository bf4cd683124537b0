"""Callers and their tokens: one call of one address, by an issuer of the list, with one of its keys."""

import hmac
import json
from base64 import urlsafe_b64encode
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from sqlalchemy import select

from service.api.cds_callers import issuers_from
from service.api.cds_hooks import Policy
from service.config import Settings, SettingsError
from service.storage.tables_cds import cds_cards, cds_tokens
from tests.api.cds.speak import asked, cards, hold, post, refused
from tests.flows.build import NOW, calcium
from tests.formats.fhir.build import patient

PUBLIC = "https://alerts.example/base"
ISSUER = "https://ehr.example"
ES384 = ECKey.generate_key("P-384", {"kid": "es384"})
ES256 = ECKey.generate_key("P-256", {"kid": "es256"})
RS = RSAKey.generate_key(2048, {"kid": "rs"})
STRANGER = ECKey.generate_key("P-384", {"kid": "es384"})
JWKS = {"keys": [one.as_dict(private=False) for one in (ES384, ES256, RS)]}
URL = f"{PUBLIC}/cds-services"


@pytest.fixture
def guarded(policy, listed, doors):
    """A client of a service that lets in the callers of one issuer."""
    policy(public_url=PUBLIC, issuers=listed({"iss": ISSUER, "jwks": JWKS}))
    return doors.without_key()


numbers = iter(range(10**6))


def claims(**changed):
    """The claims of a token for the discovery document; what is given as None is left out."""
    seconds = int(NOW.timestamp())
    whole = {"iss": ISSUER, "aud": URL, "exp": seconds + 300, "iat": seconds, "jti": f"t-{next(numbers)}", **changed}
    return {name: one for name, one in whole.items() if one is not None}


def token(*, key=ES384, alg="ES384", header=None, **changed):
    return jwt.encode({"alg": alg, "kid": key.kid, **(header or {})}, claims(**changed), key, algorithms=[alg])


def discover(client, shown, scheme="Bearer"):
    return client.get("/cds-services", headers={"Authorization": f"{scheme} {shown}"} if shown else {})


@pytest.mark.parametrize(
    ("key", "alg"),
    [(ES384, "ES384"), (ES256, "ES256"), (RS, "RS384"), (RS, "RS256")],
    ids=["ES384", "ES256", "RS384", "RS256"],
)
def test_a_token_of_the_issuer_lets_in(key, alg, guarded):
    assert discover(guarded, token(key=key, alg=alg)).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [{"aud": [URL, "https://other.example"]}, {"exp": int(NOW.timestamp()) - 30}, {"iat": int(NOW.timestamp()) + 30}],
)
def test_an_audience_among_others_and_clocks_that_differ_a_little_are_allowed(changed, guarded):
    assert discover(guarded, token(**changed)).status_code == 200


def hmac_with_the_public_key():
    """The old trick: the public key, which everybody knows, taken for a shared secret."""
    head, body = (urlsafe_b64encode(json.dumps(one).encode()) for one in ({"alg": "HS256", "kid": "es384"}, claims()))
    said = b".".join((head, body)).replace(b"=", b"")
    signature = urlsafe_b64encode(hmac.digest(ES384.as_pem(private=False), said, "sha256"))
    return b".".join((said, signature)).decode().rstrip("=")


def unsigned():
    head, body, _ = token().split(".")
    none = jwt.encode({"alg": "HS256", "kid": "es384"}, claims(), OctKey.import_key("x" * 32), algorithms=["HS256"])
    return [f"{head}.{body}.", none.rpartition(".")[0] + ".", f"eyJhbGciOiJub25lIn0.{body}."]


SECONDS = int(NOW.timestamp())
WRONG = [
    ("no token", lambda: ""),
    ("not a token", lambda: "abc"),
    ("a key of ours", lambda: "lak_abc"),
    ("an unknown issuer", lambda: token(iss="https://evil.example")),
    ("no issuer", lambda: token(iss=None)),
    ("an issuer that is no text", lambda: token(iss=["https://ehr.example"])),
    ("another's key under a known name", lambda: token(key=STRANGER)),
    ("a key that the issuer has not", lambda: token(header={"kid": "other"})),
    ("no name of a key", lambda: token(header={"kid": ""})),
    ("another type", lambda: token(header={"typ": "at+jwt"})),
    ("an algorithm that is not allowed", lambda: token(key=RS, alg="PS256")),
    ("a shared secret", hmac_with_the_public_key),
    ("a signature that is left out", lambda: unsigned()[0]),
    ("a signature cut off", lambda: unsigned()[1]),
    ("no algorithm", lambda: unsigned()[2]),
    ("another address", lambda: token(aud=f"{URL}/lab-flags")),
    ("the same address with a slash", lambda: token(aud=f"{URL}/")),
    ("the address without its host", lambda: token(aud="/cds-services")),
    ("no address", lambda: token(aud=None)),
    ("over", lambda: token(exp=SECONDS - 61)),
    ("without an end", lambda: token(exp=None)),
    ("with an end that is no number", lambda: token(exp="soon")),
    ("for too long", lambda: token(exp=SECONDS + 86_460)),
    ("for ever", lambda: token(exp=10**400)),
    ("not from now", lambda: token(iat=SECONDS + 61)),
    ("without a beginning", lambda: token(iat=None)),
    ("not yet", lambda: token(nbf=SECONDS + 61)),
    ("without an id", lambda: token(jti=None)),
    ("with an empty id", lambda: token(jti="")),
    ("with an id that is no text", lambda: token(jti=7)),
]


@pytest.mark.parametrize("make", [one for _, one in WRONG], ids=[name for name, _ in WRONG])
def test_any_other_token_is_refused(make, guarded, database):
    shown = make()

    answer = discover(guarded, shown)

    assert refused(answer, 401) == [("login", "")]
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="cds-hooks"'
    assert not shown or shown not in answer.text
    assert "evil.example" not in answer.text
    with database.reading() as connection:
        assert connection.execute(select(cds_tokens)).all() == []


def test_a_token_in_another_scheme_is_refused(guarded):
    assert refused(discover(guarded, token(), scheme="JWT"), 401) == [("login", "")]


def test_every_route_asks_for_a_token_of_its_own_address(guarded):
    routes = [("", guarded.get), ("/lab-flags", guarded.post), ("/lab-flags/feedback", guarded.post)]

    for path, call in routes:
        assert refused(call(f"/cds-services{path}", json={}), 401) == [("login", "")]
        right = {"Authorization": f"Bearer {token(aud=URL + path)}"}
        assert call(f"/cds-services{path}", json={}, headers=right).status_code in {200, 400}


def test_a_token_counts_once(guarded, database):
    shown = token(jti="once")

    first, second = discover(guarded, shown), discover(guarded, shown)
    anew = discover(guarded, token(jti="once"))

    assert first.status_code == 200
    assert refused(second, 401) == refused(anew, 401) == [("login", "")]
    assert "jti" in second.text
    with database.reading() as connection:
        (row,) = connection.execute(select(cds_tokens))
    assert (row.issuer, row.expires_at) == (ISSUER, NOW + timedelta(seconds=300))
    assert row.token != "once"


def test_used_tokens_are_forgotten_when_nobody_could_use_them_any_more(guarded, database, app):
    discover(guarded, token())
    with database.transaction() as connection:
        connection.execute(cds_tokens.update().values(expires_at=NOW - timedelta(hours=2)))

    discover(guarded, token(jti="newer"))

    with database.reading() as connection:
        (row,) = connection.execute(select(cds_tokens))
    assert row.expires_at > NOW


def test_two_issuers_may_use_the_same_id(policy, listed, doors):
    both = listed({"iss": ISSUER, "jwks": JWKS}, {"iss": "https://two.example", "jwks": JWKS})
    policy(public_url=PUBLIC, issuers=both)

    answers = [discover(doors.without_key(), token(jti="7", iss=one)) for one in both]

    assert [one.status_code for one in answers] == [200, 200]


def test_a_tenant_that_is_not_listed_is_forbidden(policy, listed, doors):
    policy(public_url=PUBLIC, issuers=listed({"iss": ISSUER, "jwks": JWKS, "tenants": ["ward-1"]}))
    client = doors.without_key()

    assert discover(client, token(tenant="ward-1")).status_code == 200
    assert refused(discover(client, token(tenant="ward-2")), 403) == [("forbidden", "")]
    assert refused(discover(client, token()), 403) == [("forbidden", "")]


def test_cards_are_kept_with_who_saw_them_and_the_source_is_the_issuers(policy, listed, doors, means, database):
    policy(public_url=PUBLIC, issuers=listed({"iss": ISSUER, "jwks": JWKS, "source": "ehr-1"}))
    hold(means, calcium("11.4"), patient={"id": "77", "authority": "ehr-1"})
    sent = asked(prefetch={"patient": patient(identifier=[{"value": "77"}])})

    shown = cards(post(doors.without_key(), sent, Authorization=f"Bearer {token(aud=f'{URL}/lab-flags')}"))

    assert len(shown) == 1
    assert shown[0]["links"][0]["url"].startswith(f"{PUBLIC}/flags/")
    with database.reading() as connection:
        assert connection.execute(select(cds_cards.c.client)).scalars().all() == [ISSUER]


def test_without_a_list_nobody_is_let_in(policy, doors):
    policy(public_url=PUBLIC, issuers={})

    assert refused(discover(doors.without_key(), token()), 401) == [("login", "")]


def test_a_key_of_ours_opens_nothing_here(guarded, doors):
    assert refused(doors.with_scopes("admin").get("/cds-services"), 401) == [("login", "")]


# ------------------------------------------------------------------------------------------------ the operator's file
PRIVATE = {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (7, "issuers[0]: must be an object"),
        ({"jwks": JWKS}, "issuers[0]: iss must be a text"),
        ({"iss": ISSUER}, "issuers[0]: needs either jwks or jwks_url"),
        ({"iss": ISSUER, "jwks": JWKS, "jwks_url": "https://x"}, "issuers[0]: needs either jwks or jwks_url"),
        ({"iss": ISSUER, "jwks": PRIVATE}, "issuers[0]: jwks holds no public key of the kinds EC and RSA"),
        ({"iss": ISSUER, "jwks": {"keys": [{"kty": "EC"}]}}, "issuers[0]: jwks holds no public key"),
        ({"iss": ISSUER, "jwks_url": "http://ehr.example/keys"}, "issuers[0]: jwks_url must be an https address"),
        ({"iss": ISSUER, "jwks_url": "file:///etc/passwd"}, "issuers[0]: jwks_url must be an https address"),
        ({"iss": ISSUER, "jwks": JWKS, "source": ""}, "issuers[0]: source must be a text"),
        ({"iss": ISSUER, "jwks": JWKS, "tenants": "all"}, "issuers[0]: tenants must be a list of texts"),
        ({"iss": ISSUER, "jwks": JWKS, "jwk": 1}, "issuers[0]: has members that are not known: jwk"),
    ],
)
def test_a_list_that_cannot_be_used_stops_the_start(entry, said, listed):
    with pytest.raises(SettingsError) as stopped:
        listed(entry)

    assert f"LAB_ALERTS_CDS_HOOKS_ISSUERS: {said}" in str(stopped.value)


def test_an_issuer_twice_and_a_missing_public_address_stop_the_start(listed):
    twice = {"iss": ISSUER, "jwks": JWKS}

    with pytest.raises(SettingsError) as stopped:
        listed(twice, twice, public_url=None)

    assert [fault.partition(":")[0] for fault in stopped.value.faults] == [
        "LAB_ALERTS_PUBLIC_URL",
        "LAB_ALERTS_CDS_HOOKS_ISSUERS",
    ]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"issuers": 1}', b"\xff", b"{}"])
def test_a_file_that_is_no_list_stops_the_start(content, tmp_path):
    path = tmp_path / "issuers.json"
    path.write_bytes(content)

    with pytest.raises(SettingsError):
        issuers_from(Settings(cds_hooks_issuers=str(path), public_url=PUBLIC))


def test_a_file_that_is_not_there_stops_the_start(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        issuers_from(Settings(cds_hooks_issuers=str(tmp_path / "none.json"), public_url=PUBLIC))


def test_no_file_lists_nobody():
    assert issuers_from(Settings()) == {}


def test_the_picture_of_a_policy_shows_no_keys(listed):
    assert "es384" not in repr(Policy(issuers=listed({"iss": ISSUER, "jwks": JWKS})))
