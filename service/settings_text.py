"""How the text of a setting is read.

Law: a text that is not accepted raises ``Odd``, which says what is wrong and never the text itself.
"""

import re
import ssl
from ipaddress import ip_network
from urllib.parse import SplitResult, urlsplit

_POSTGRESQL = re.compile(r"(?:postgresql|postgres|postgresql\+psycopg)://(.+)", re.DOTALL)
_POSTGRESQL_REST = re.compile(r"(?:[^@]*@)?(?:[^@/?:]*|\[[0-9a-fA-F:.]+\])(?::\d+)?/[^@/?]+(?:\?\S*)?")

_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?")


class Odd(ValueError):
    """A value is not accepted; the text says what is wrong, never the value itself."""


def whole(text: str, low: int, high: int) -> int:
    """A whole number within its bounds."""
    # int() alone would also take " 1", "1_0" and digits of other scripts.
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise Odd("is not a whole number")
    if not low <= int(text) <= high:
        raise Odd("is out of range")
    return int(text)


def switch(text: str) -> bool:
    """``true`` or ``false``."""
    if text.lower() not in ("true", "false"):
        raise Odd("is neither true nor false")
    return text.lower() == "true"


def choice(text: str, choices: tuple[str, ...]) -> str:
    """One of the choices, in small letters."""
    if text.lower() not in choices:
        raise Odd("is not one of the choices")
    return text.lower()


def database_url(text: str) -> str:
    """The address of a database, as SQLAlchemy takes it."""
    if text.startswith("sqlite:"):
        return _sqlite_url(text)
    match = _POSTGRESQL.fullmatch(text)
    if match is None:
        raise Odd("is not a database address that this program knows")
    if not _POSTGRESQL_REST.fullmatch(match[1]):
        raise Odd("is not user:password@host:port/name (in a password write @ as %40)")
    return f"postgresql+psycopg://{match[1]}"


def _sqlite_url(text: str) -> str:
    if text != "sqlite://" and not re.fullmatch(r"sqlite:///[^?\x00-\x1f]+", text):
        raise Odd("needs three slashes before a relative path, four before an absolute one")
    return text


def host_and_port(text: str) -> str:
    """A host and a port, as gunicorn binds them."""
    match = re.fullmatch(r"(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})", text)
    if match is None:
        raise Odd("is not host:port")
    if not 1 <= int(match[1]) <= 65535:
        raise Odd("has a port out of range")
    return text


def ruleset_name(text: str) -> str:
    """The name of a rule set."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text):
        raise Odd("is not the name of a rule set")
    return text


def public_url(text: str) -> str:
    """An absolute address without a slash at its end."""
    parts = _split(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Odd("is not an absolute http or https address")
    if "@" in parts.netloc or parts.query or parts.fragment or re.search(r"\s", text):
        raise Odd("holds more than scheme, host, port and path")
    return text.rstrip("/")


def issuer(text: str) -> str:
    """The address of a provider of OpenID Connect, to the letter as it names itself."""
    parts = _split(text)
    here = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if not parts.hostname or (parts.scheme != "https" and not (parts.scheme == "http" and here)):
        raise Odd("is not an https address")
    if "@" in parts.netloc or parts.query or parts.fragment or re.search(r"\s", text):
        raise Odd("holds more than scheme, host, port and path")
    return text


def origins(text: str) -> tuple[str, ...]:
    """Origins as browsers name them: scheme, host, and a port where it is not the usual one."""
    found = tuple(one.strip() for one in text.split(","))
    if not all(_ORIGIN.fullmatch(one) for one in found):
        raise Odd("is not a list of origins")
    return found


def networks(text: str) -> tuple[str, ...]:
    """Addresses and networks, with commas between them."""
    try:
        return tuple(str(ip_network(one.strip())) for one in text.split(","))
    except ValueError:
        raise Odd("is not a list of addresses and networks") from None


def certificates(text: str) -> str:
    """The path of a file of certificates (PEM) that can be read now."""
    try:
        ssl.create_default_context(cafile=text)
    except OSError:
        raise Odd("is not a file of certificates that can be read") from None
    return text


def mail_address(text: str) -> str:
    """One mail address, without a name."""
    if not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}", text):
        raise Odd("is not a mail address")
    return text


def ascii_line(text: str) -> str:
    """What can be said in ASCII in one line, as SMTP has it."""
    if not (not_empty(text).isascii() and text.isprintable()):
        raise Odd("holds more than printable ASCII")
    return text


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # reading it is what checks it
    except ValueError:
        raise Odd("is not an absolute http or https address") from None
    return parts


def not_empty(text: str) -> str:
    """A text that says something."""
    # Taking an empty variable for "not set" would quietly put a production service on the default database.
    if not text:
        raise Odd("is set but empty (remove it to have the default)")
    return text
