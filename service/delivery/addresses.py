"""Where messages may go: endpoints are read strictly, resolved once, and refused where they lead somewhere private.

    an endpoint ─► scheme, host and port ─► every address of the host ─► the one that is connected to, and no other

Law: what is checked is what is connected to. A name is looked up once, and the connection is made to the address that
was found to be allowed, so that the answer cannot be another one the second time (server-side request forgery).
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

_PORTS = {"http": 80, "https": 443}
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
        """The target of an endpoint. Raises ``Forbidden``."""
        try:
            parts = urlsplit(endpoint)
            port = parts.port
        except ValueError:
            raise Forbidden("is not an address") from None
        if parts.scheme not in _PORTS or not parts.hostname or not endpoint.isascii() or not endpoint.isprintable():
            raise Forbidden("is not an absolute https address in ASCII (write a name of other letters as xn--…)")
        if "@" in parts.netloc or parts.fragment or " " in endpoint or "\\" in endpoint:
            raise Forbidden("holds more than scheme, host, port, path and query")
        if parts.scheme == "http" and not self.http:
            raise Forbidden("is not encrypted: only https addresses are allowed (LAB_ALERTS_WEBHOOK_HTTP)")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.hostname.rstrip(".")
        return Target(scheme=parts.scheme, host=host, port=port or _PORTS[parts.scheme], path=path)

    def allows(self, address: Address) -> bool:
        """May this address be connected to?"""
        if any(address in network for network in self.networks if network.version == address.version):
            return True
        if isinstance(address, IPv6Address) and address not in _GIVEN_OUT:
            return address.ipv4_mapped is not None and self.allows(address.ipv4_mapped)
        odd = any(address in network for network in _ODD if network.version == address.version)
        return address.is_global and not address.is_multicast and not odd

    def pick(self, target: Target, resolve: Resolve) -> str:
        """The address to connect to, looked up once. Raises ``Forbidden``, and ``OSError`` when there is none.

        One private address among several refuses all: nobody should guess which one is meant.
        """
        found = [_address(one) for one in resolve(target.host, target.port)]
        if not found:
            raise OSError("no address")
        if not all(map(self.allows, found)):
            raise Forbidden("leads into a private network (LAB_ALERTS_WEBHOOK_NETWORKS)")
        return str(found[0])

    def faults(self, endpoint: str) -> list[str]:
        """What speaks against an endpoint, as far as it can be seen without looking anything up."""
        try:
            target = self.read(endpoint)
        except Forbidden as error:
            return [str(error)]
        try:
            self.pick(target, lambda host, _port: [host])
        except Forbidden as error:
            return [str(error)]
        except ValueError:
            return []  # a name
        return []


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
