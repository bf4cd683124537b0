"""Where messages may go: endpoints are read strictly, resolved once, and refused where they lead somewhere private.

    an endpoint ─► scheme, host and port ─► every address of the host ─► those that are connected to, and no other

Law: what is checked is what is connected to. A name is looked up once, and the connection is made to an address that
was found to be allowed, so that the answer cannot be another one the second time (server-side request forgery).
"""

import re
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

_PORTS = {"http": 80, "https": 443}
_LABEL, _LONGEST_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}"), 253  # RFC 1035, section 2.3.4
_NO_HOST = "names no host: parts of 1 to 63 letters, digits, - and _ with dots between them, 253 characters in all"
# Of IPv6 only this range is given out (IANA, "IPv6 Global Unicast Address Assignments"). Outside are NAT64, IPv4
# addresses within IPv6 ones, and site-local addresses, which Python does not call private.
_GIVEN_OUT = IPv6Network("2000::/3")
# Ranges that some versions of Python do not call private either: shared address space (RFC 6598), protocol assignments
# with Teredo (RFC 6890, RFC 4380), 6to4 and its relays (RFC 3056, RFC 7526), documentation (RFC 9637).
_ODD = (
    IPv4Network("100.64.0.0/10"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)


class Forbidden(Exception):
    """It must not be connected to. The text says why, without the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an endpoint leads. ``path`` is everything behind the host, the query included."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)

    @property
    def authority(self) -> str:
        """As it stands in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What is allowed. ``http``: also without encryption; ``networks``: also these, though they are private."""

    http: bool = False
    networks: tuple[Network, ...] = ()

    def read(self, endpoint: str) -> Target:
        """The target of an endpoint. Raises ``Forbidden`` with the first thing that speaks against it."""
        parts, port = _parts(endpoint)
        for why in self._against(endpoint, parts, port):
            raise Forbidden(why)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(scheme=parts.scheme, host=_host(parts), port=port or _PORTS[parts.scheme], path=path)

    def _against(self, endpoint: str, parts: SplitResult, port: int | None) -> Iterator[str]:
        """What speaks against an endpoint in the way in which it is written."""
        if "@" in parts.netloc or parts.fragment or " " in endpoint or "\\" in endpoint:
            yield "holds more than scheme, host, port, path and query"
        if parts.scheme == "http" and not self.http:
            yield "is not encrypted: only https addresses are allowed (LAB_ALERTS_WEBHOOK_HTTP)"
        if port == 0:
            yield "has port 0, to which nobody connects"
        if not _is_host(_host(parts), bracketed="[" in parts.netloc):
            yield _NO_HOST

    def allows(self, address: Address) -> bool:
        """May this address be connected to?"""
        if any(address in network for network in self.networks if network.version == address.version):
            return True
        if isinstance(address, IPv6Address) and address not in _GIVEN_OUT:
            return address.ipv4_mapped is not None and self.allows(address.ipv4_mapped)
        odd = any(address in network for network in _ODD if network.version == address.version)
        return address.is_global and not address.is_multicast and not odd

    def pick(self, target: Target, resolve: Resolve) -> tuple[str, ...]:
        """The addresses to connect to, in the order in which they are tried; looked up once.

        One private address among several refuses all: nobody should guess which one is meant. Raises ``Forbidden``,
        and ``OSError`` when there is none.
        """
        found = [_address(one) for one in resolve(target.host, target.port)]
        if not found:
            raise OSError("no address")
        if not all(map(self.allows, found)):
            raise Forbidden("leads into a private network (LAB_ALERTS_WEBHOOK_NETWORKS)")
        return tuple(map(str, found))

    def faults(self, endpoint: str) -> list[str]:
        """All that speaks against an endpoint, as far as it can be seen without looking anything up."""
        try:
            parts, port = _parts(endpoint)
        except Forbidden as error:
            return [str(error)]
        return [*self._against(endpoint, parts, port), *self._against_literally(_host(parts))]

    def _against_literally(self, host: str) -> Iterator[str]:
        """What speaks against a host that is an address already."""
        target = Target(scheme="https", host=host, port=0, path="")
        try:
            self.pick(target, lambda written, _port: [written])
        except Forbidden as error:
            yield str(error)
        except ValueError:
            return  # a name


def _parts(endpoint: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        raise Forbidden("is not an address") from None
    if parts.scheme not in _PORTS or not parts.hostname or not endpoint.isascii() or not endpoint.isprintable():
        raise Forbidden("is not an absolute https address in ASCII (write a name of other letters as xn--…)")
    return parts, port


def _host(parts: SplitResult) -> str:
    """The host, without the dot by which a name may say that it is whole."""
    return str(parts.hostname).removesuffix(".")


def _is_host(host: str, *, bracketed: bool) -> bool:
    """Can it be looked up? A name as RFC 1123 has it, with the underscores of containers; or an IPv6 address."""
    if bracketed:
        return is_address(host)
    return len(host) <= _LONGEST_NAME and all(map(_LABEL.fullmatch, host.split(".")))


def is_address(text: str) -> bool:
    """Is there nothing to look up?"""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _address(text: str) -> Address:
    """An address as the resolver gives it; a zone (``%eth0``) is of this machine only."""
    found = ip_address(text)
    if isinstance(found, IPv6Address) and found.scope_id is not None:
        raise Forbidden("leads into a network of this machine")
    return found


def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a host, as this machine finds them. Raises ``OSError``."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError("not a name") from None
    return list(dict.fromkeys(str(one[4][0]) for one in found))
