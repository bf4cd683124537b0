"""A provider of OpenID Connect that says what it should not: each token has one thing wrong, and opens nothing."""

import hmac
import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from service.config import Settings
from service.domain.roles import Role
from service.flows import people
from service.pages.oidc import Provider
from tests.flows.build import NOW

OURS, THEIRS = RSAKey.generate_key(2048, {"kid": "k"}), RSAKey.generate_key(2048, {"kid": "k"})
CLIENT, SECRET = "lab-alerts", "a secret of at least thirty-two bytes"
HTML = b"<html>not what was asked for</html>"

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Said:
    """What the provider says; a test changes it."""

    issuer: str = ""
    token: Callable[[], Answer] = field(default=lambda: (500, {}, b""))
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    other_keys: list[object] = field(default_factory=list)


def plain(content: object) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(content).encode()


class Handler(BaseHTTPRequestHandler):
    said: Said

    def do_GET(self) -> None:
        base = self.said.issuer
        keys = {"keys": [*self.said.other_keys, OURS.as_dict(private=False)]}
        ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
        described = {"issuer": base, **{name: f"{base}/{path}" for name, path in ends.items()}}
        self.answer(plain(keys if self.path == "/jwks" else described))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.said.asked.append(parse_qs(body))
        self.answer(self.said.token())

    def answer(self, answer: Answer) -> None:
        status, headers, body = answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def said(app) -> Iterator[Said]:
    said = Said()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"said": said}))
    said.issuer = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    before = app.extensions["lab_alerts_oidc"]
    app.extensions["lab_alerts_oidc"] = Provider(
        Settings(
            public_url="http://localhost", oidc_issuer=said.issuer, oidc_client_id=CLIENT, oidc_client_secret=SECRET
        )
    )
    with time_machine.travel(time_machine.escape_hatch.time.time(), tick=True):
        yield said
    app.extensions["lab_alerts_oidc"] = before
    server.shutdown()
    server.server_close()


@pytest.fixture
def anna(database):
    return people.add(
        database, login="anna@hospital.example", name="Anna", role=Role.VIEWER, password=None, now=NOW,
        must_change=False,
    )  # fmt: skip


def signed_in(client, said: Said, token: Callable[[dict[str, Any]], Answer]):
    """Come back from the provider, which then answers with what ``token`` makes of the right claims."""
    away = parse_qs(urlsplit(client.get("/sign-in/elsewhere").location).query)
    now = int(time.time())
    right = {
        "iss": said.issuer, "aud": CLIENT, "sub": "anna-1", "nonce": away["nonce"][0], "iat": now, "exp": now + 300,
        "email": "anna@hospital.example", "email_verified": True,
    }  # fmt: skip
    said.token = lambda: token(right)
    return client.get("/sign-in/back", query_string={"state": away["state"][0], "code": "c"})


def signed(claims: dict[str, Any], key: Any = OURS, algorithm: str = "RS256", kid: str = "k") -> Answer:
    token = jwt.encode({"alg": algorithm, "kid": kid}, claims, key, algorithms=[algorithm])
    return plain({"access_token": "a", "token_type": "Bearer", "id_token": token})


def with_token(token: object) -> Answer:
    return plain({"access_token": "a", "token_type": "Bearer", "id_token": token})


def by_hand(claims: dict[str, Any], algorithm: str, sign: Callable[[bytes], bytes]) -> str:
    """A token that the libraries refuse to make."""
    parts = [_base64(json.dumps(part).encode()) for part in ({"alg": algorithm, "kid": "k"}, claims)]
    return ".".join([*parts, _base64(sign(".".join(parts).encode()))])


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def changed(**more: Any) -> Callable[[dict[str, Any]], Answer]:
    kept = {name: value for name, value in more.items() if value is not None}
    return lambda right: signed({name: value for name, value in right.items() if name not in more} | kept)


NOT_BELIEVED: dict[str, Callable[[dict[str, Any]], Answer]] = {
    "another nonce": changed(nonce="another"),
    "no nonce": changed(nonce=None),
    "another issuer": changed(iss="https://evil.example"),
    "no issuer": changed(iss=None),
    "for another": changed(aud="another"),
    "for nobody": changed(aud=None),
    "for several, of whom it does not say which": changed(aud=["another", CLIENT]),
    "made for another of several": changed(aud=["another", CLIENT], azp="another"),
    "made for another": changed(azp="another"),
    "over": changed(exp=1),
    "without end": changed(exp=None),
    "without time": changed(iat=None),
    "of nobody": changed(sub=None),
    "of the future": changed(iat=4_000_000_000, exp=4_000_000_300),
    "signed by another": lambda right: signed(right, THEIRS),
    "signed with a key that is not there": lambda right: signed(right, THEIRS, kid="other"),
    "signed with our secret": lambda right: signed(right, OctKey.import_key(SECRET), "HS256"),
    "signed with the public key as a secret": lambda right: with_token(
        by_hand(right, "HS256", lambda text: hmac.digest(OURS.as_pem(private=False), text, "sha256"))
    ),
    "not signed": lambda right: with_token(by_hand(right, "none", lambda _text: b"")),
    "no token": lambda _right: plain({"access_token": "a", "token_type": "Bearer"}),
    "not a token": lambda _right: with_token("x.y.z"),
    "a number": lambda _right: with_token(7),
    "an error": lambda _right: (400, {"Content-Type": "application/json"}, b'{"error": "invalid_grant"}'),
}
NOT_ANSWERED: dict[str, Callable[[dict[str, Any]], Answer]] = {
    "broken": lambda _right: (500, {}, HTML),
    "not JSON": lambda _right: (200, {}, HTML),
    "somewhere else": lambda _right: (302, {"Location": "http://127.0.0.1:1/"}, HTML),
}


def test_a_token_with_nothing_wrong_is_believed(doors, anna, said):
    answer = signed_in(doors.without_key(), said, signed)

    assert answer.status_code == 303
    (asked,) = said.asked
    assert len(asked["code_verifier"][0]) >= 43


OTHER_KEYS = {
    "a curve of tomorrow": {"kty": "EC", "crv": "P-1024", "x": "AA", "y": "AA"},
    "a kind of tomorrow": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
    "a key that is broken": {"kty": "EC", "crv": "P-256", "x": "a", "y": "b"},
    "a kind that is a list": {"kty": ["RSA"]},
    "no key": "x",
    "nothing": None,
}


@pytest.mark.parametrize("other", OTHER_KEYS.values(), ids=OTHER_KEYS)
def test_keys_that_nobody_understands_are_passed_over(doors, anna, said, other):
    said.other_keys = [other]

    assert signed_in(doors.without_key(), said, signed).status_code == 303


@pytest.mark.parametrize("token", NOT_BELIEVED.values(), ids=NOT_BELIEVED)
def test_what_is_not_believed(doors, database, anna, said, token):
    client = doors.without_key()

    answer = signed_in(client, said, token)

    assert answer.status_code == 403
    assert "did not sign you in" in answer.text or "for another service" in answer.text
    assert client.get_cookie("session") is None
    assert people.listed(database)[0].subject is None


@pytest.mark.parametrize("token", NOT_ANSWERED.values(), ids=NOT_ANSWERED)
def test_a_provider_that_answers_nothing_of_use_counts_as_away(doors, anna, said, token):
    client = doors.without_key()

    answer = signed_in(client, said, token)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert client.get_cookie("session") is None


def test_nothing_of_a_token_is_logged(doors, anna, said, capsys):
    signed_in(doors.without_key(), said, changed(nonce="another"))

    logged = capsys.readouterr().out
    assert "a sign-in was not vouched for" in logged
    assert not [word for word in ("anna", "eyJ", "another", SECRET) if word in logged]
