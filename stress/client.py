"""A client of the service: one connection that is kept alive, and answers as they came over it.

Law: an answer counts when it came whole. Everything else is ``Broken``, and says nothing about what was kept.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

from stress.common import PATIENCE

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
PROBLEM = "application/problem+json"


class Broken(Exception):
    """The connection ended before the answer did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that came whole."""

    status: int
    media_type: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def data(self) -> Any:
        """The JSON value in it."""
        return json.loads(self.body)


class Client:
    """A connection, opened when it is needed and again after it broke."""

    def __init__(self, port: int, key: str = "", *, timeout: float = PATIENCE) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def get(self, path: str) -> Answer:
        """Ask for something."""
        return self.request("GET", path)

    def post(self, body: bytes, media_type: str = JSON, *, path: str = "/v1/panels") -> Answer:
        """Send something."""
        return self.request("POST", path, body, headers={"Content-Type": media_type})

    def request(
        self, method: str, path: str, body: bytes | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Make one request. Raises ``Broken``."""
        try:
            response = self._begin(method, path, body, headers=headers or {})
            return _answer(response, response.read())
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise Broken(type(error).__name__) from None

    def lines(self, body: bytes, media_type: str = NDJSON) -> Iterator[Mapping[str, Any]]:
        """Send many panels; each line of the answer as it comes. Raises ``Broken`` where the answer breaks off."""
        try:
            response = self._begin("POST", "/v1/panels", body, headers={"Content-Type": media_type})
            if response.status != 200:
                yield {"line": 0, "status": response.status, "detail": response.read().decode(errors="replace")}
                return
            for line in response:
                if not line.endswith(b"\n"):
                    break
                yield json.loads(line)
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise Broken(type(error).__name__) from None

    def _begin(self, method: str, path: str, body: bytes | None, *, headers: Mapping[str, str]) -> HTTPResponse:
        self._connection.request(method, path, body, {**self._headers, **headers})
        return self._connection.getresponse()


def _answer(response: HTTPResponse, body: bytes) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    media_type = headers.get("content-type", "").partition(";")[0]
    return Answer(status=response.status, media_type=media_type, headers=headers, body=body)
