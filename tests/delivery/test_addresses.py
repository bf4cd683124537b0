"""Where messages may go, by every spelling of where they may not."""

from ipaddress import ip_network

import pytest

from service.delivery.addresses import Forbidden, Guard, resolve

OPEN = Guard(http=True)
PUBLIC = "93.184.215.14"

PRIVATE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1",  # noqa: S104  addresses to refuse
    "169.254.169.254", "100.64.0.1", "100.127.255.254", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255",
    "::1", "::", "fe80::1", "fe80::1%1", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:53aa:64c:0:0:0:1", "::127.0.0.1",
    "192.88.99.1", "::ffff:0:127.0.0.1", "fec0::1", "5f00::1", "3fff::1", "4000::1", "fe00::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_what_a_name_leads_to_is_looked_at(address):
    target = OPEN.read("http://hook.example/")

    with pytest.raises(Forbidden, match="leads into"):
        OPEN.pick(target, lambda _host, _port: [address])


@pytest.mark.parametrize("address", PRIVATE)
def test_one_private_address_among_others_refuses_all(address):
    target = OPEN.read("http://hook.example/")

    with pytest.raises(Forbidden):
        OPEN.pick(target, lambda _host, _port: [PUBLIC, address])


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses_are_connected_to(address):
    target = OPEN.read("http://hook.example/")

    assert OPEN.pick(target, lambda _host, _port: [address, PUBLIC]) == (address, PUBLIC)


# Spellings that some resolvers read as 127.0.0.1: this machine's own decides, and what it finds is looked at.
SPELLINGS = [
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "0x7f.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
]


@pytest.mark.parametrize("host", SPELLINGS)
def test_odd_spellings_of_this_machine_lead_nowhere(host):
    target = OPEN.read(f"http://{host}/")

    with pytest.raises((Forbidden, OSError)):
        OPEN.pick(target, resolve)


UNREADABLE = [
    "", "hook", "/hook", "//hook.example/", "ftp://hook.example/", "file:///etc/passwd", "gopher://hook.example/",
    "javascript:alert(1)", "mailto:a@b.example", "https://", "https:///path", "https://user@hook.example/",
    "https://user:secret@hook.example/", "https://good.example@127.0.0.1/", "https://hook.example/#part",
    "https://hook.example:99999/", "https://hook.example:x/", "https://hook.example/a b", "https://hook.example\\@x/",
    "https://[::1/", "https://[fe80::1%25eth0]/", "https://hook.example/\r\nHost: other", "https://hook.example/\x00",
    "https://hök.example/", "https://１２７.0.0.1/", "https://hook.example/ä", "http://hook.example/",
]  # fmt: skip


@pytest.mark.parametrize("endpoint", UNREADABLE)
def test_an_endpoint_that_is_not_a_plain_https_address_is_refused_without_being_repeated(endpoint):
    faults = Guard().faults(endpoint)

    assert faults
    assert not endpoint or not any(endpoint in one for one in faults)


# Each reads as an address, and none can be one.
ODD_HOSTS = [
    "....", ".", "a..b.example", ".hook.example", "hook.example..", "ho!ok.example", "hook%2eexample", "a,b",
    "hook%E2%80%AEexample", "*.example", "x" * 64 + ".example", ".".join(["x" * 60] * 5), "[v1.fe80]", "hook;x", "'",
]  # fmt: skip


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_a_host_that_can_be_no_name_is_refused(host):
    (fault,) = Guard().faults(f"https://{host}/")

    assert fault.startswith(("names no host", "is not an address"))


@pytest.mark.parametrize("host", ["a_b", "HOOK", "x" * 63 + ".example", ".".join(["x" * 62] * 4) + ".", "1.example"])
def test_names_as_they_are_given_to_machines_and_containers_are_allowed(host):
    assert Guard().faults(f"https://{host}/") == []


def test_everything_that_speaks_against_an_endpoint_is_said_at_once():
    faults = Guard().faults("http://user:T0KEN@a..b:0/#part")

    assert faults == [
        "holds more than scheme, host, port, path and query",
        "is not encrypted: only https addresses are allowed (LAB_ALERTS_WEBHOOK_HTTP)",
        "has port 0, to which nobody connects",
        "names no host: parts of 1 to 63 letters, digits, - and _ with dots between them, 253 characters in all",
    ]
    assert len(Guard().faults("http://user@10.0.0.1:0/")) == 4


@pytest.mark.parametrize(
    ("endpoint", "host", "port", "path", "authority"),
    [
        ("https://hook.example", "hook.example", 443, "/", "hook.example"),
        ("HTTPS://Hook.Example:443/a?b=c", "hook.example", 443, "/a?b=c", "hook.example"),
        ("https://hook.example:8443/x/", "hook.example", 8443, "/x/", "hook.example:8443"),
        ("https://hook.example./x", "hook.example", 443, "/x", "hook.example"),
        ("https://xn--hk-fka.example/", "xn--hk-fka.example", 443, "/", "xn--hk-fka.example"),
        (f"https://{PUBLIC}/", PUBLIC, 443, "/", PUBLIC),
        ("https://[2606:2800:21f:cb07::1]:8443/", "2606:2800:21f:cb07::1", 8443, "/", "[2606:2800:21f:cb07::1]:8443"),
    ],
)
def test_how_an_endpoint_is_read(endpoint, host, port, path, authority):
    target = Guard().read(endpoint)

    assert (target.host, target.port, target.path, target.authority) == (host, port, path, authority)
    assert Guard().faults(endpoint) == []


@pytest.mark.parametrize(
    ("endpoint", "allowed"),
    [
        ("http://10.20.1.2/", True),
        ("http://10.21.1.2/", False),
        ("http://[::ffff:10.20.1.2]/", True),
        ("http://[fd00::5]/", True),
        ("http://169.254.169.254/latest/meta-data/", False),
    ],
)
def test_private_networks_that_the_operator_allows(endpoint, allowed):
    guard = Guard(http=True, networks=(ip_network("10.20.0.0/16"), ip_network("fd00::/64")))

    assert (guard.faults(endpoint) == []) == allowed
