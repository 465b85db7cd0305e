"""Where a message may go: never inside the operator's network by anybody else's word."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from prelisten.outbox.address import AddressRefused, Target, resolve

INSIDE = [
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "[::1]",
    "[fc00::1]",
    "[fd12:3456::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a00:1]",
    "[2002:7f00:1::]",
    "[2002:a00:1::]",
    "2130706433",  # 127.0.0.1 as one number
    "0x7f000001",
    "127.1",
    "localhost",
]
NEVER = [
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "0.0.0.0",
    "[::]",
    "224.0.0.1",
    "[ff02::1]",
    "255.255.255.255",
    "240.0.0.1",
]


@pytest.mark.parametrize("host", INSIDE + NEVER)
def test_address_inside_is_refused(host: str) -> None:
    """However it is written: as a name, a number, a short form, or inside an IPv6 address."""
    with pytest.raises(AddressRefused):
        resolve(Target.of(f"https://{host}/hook"))


@pytest.mark.parametrize("host", NEVER)
def test_metadata_and_nowhere_are_refused_whoever_named_them(host: str) -> None:
    """A cloud machine's credentials lie behind some of these."""
    target = Target.of(f"https://{host}/hook")
    with pytest.raises(AddressRefused, match="never a receiver"):
        resolve(target, named_hosts={target.host})


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "[::1]", "[fc00::1]", "localhost"])
def test_operator_may_name_a_host_inside(host: str) -> None:
    """An address of the operator's own configuration may be private, and needs no TLS there."""
    target = Target.of(f"http://{host}:8080/hook")
    assert resolve(target, named_hosts={target.host})


@pytest.mark.parametrize("address", ["8.8.8.8", "[2606:4700::1111]"])
def test_public_address_is_taken_with_tls_alone(address: str) -> None:
    """An event must not cross the internet in clear, even to a host that the operator named."""
    target = Target.of(f"http://{address}/")
    assert resolve(Target.of(f"https://{address}/"))
    with pytest.raises(AddressRefused, match="https"):
        resolve(target, named_hosts={target.host})


def test_name_with_one_inner_address_is_refused_as_a_whole(monkeypatch) -> None:
    """Picking the public one of two would leave the other to the next lookup."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        resolve(Target.of("https://two-faced.example/"))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/",
        "https://",
        "a.example",
        "https://me:pw@a.example/",
        "https://a.example:99999/",
        "file:///x",
        "https://a.example/a b",
        "https://a.example/\r\nX: y",
        "https://a.example/ü",
    ],
)
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    """Nothing is guessed about an odd address."""
    with pytest.raises(AddressRefused):
        Target.of(url)


def test_every_special_network_of_the_registry_is_refused() -> None:
    """One address of each range that IANA keeps for special purposes, as Python's own table has them."""
    special = [*ipaddress._IPv4Constants._private_networks, *ipaddress._IPv6Constants._private_networks]
    taken = []
    for network in special:
        host = f"[{network[-1]}]" if network.version == 6 else str(network[-1])
        try:
            taken += resolve(Target.of(f"https://{host}/"))
        except (AddressRefused, OSError):
            continue
    assert taken == []
