"""Where a message may go: a name is resolved once, and every address that it has is looked at before any is used.

An address inside the operator's network is a way into it: a webhook to `http://169.254.169.254/` reads a cloud
machine's credentials. So only public addresses are taken, unless the operator's own settings named the host.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from prelisten.errors import PrelistenError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Addresses by which a cloud machine is asked for its own credentials, beside link-local ones. Nobody's receiver.
METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254", "192.0.0.192")))
# IPv6 addresses that carry an IPv4 address in their last four bytes: translators hand them on to it.
NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


class AddressRefused(PrelistenError):  # noqa: N818 - a word about the address, not a fault of ours
    """The address is none that a message may be sent to; nothing was sent."""

    code = "address_refused"


@dataclass(frozen=True, slots=True)
class Target:
    """An address of a web server, taken apart. `path` holds the query too."""

    is_tls: bool
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Target:
        """Take an address apart. Raises `AddressRefused` for what is no plain address of a web server."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise AddressRefused(f"The address cannot be read ({error}).") from error
        if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
            raise AddressRefused("Expected an address such as https://example.org/hook.")
        is_tls = parts.scheme == "https"
        # Looked for in the whole text: the standard library drops line ends silently while it takes it apart.
        if not url.isascii() or any(letter <= " " or letter == "\x7f" for letter in url):
            raise AddressRefused("The address holds a space or another sign that must be percent-encoded.")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(is_tls, host, port or (443 if is_tls else 80), path)


def resolve(target: Target, *, named_hosts: Collection[str] = ()) -> list[Address]:
    """Resolve the host, once, and return its addresses, all of which may be connected to.

    1. Link-local, metadata, multicast and unspecified addresses are refused whoever named them.
    2. Private and loopback addresses are refused, unless `named_hosts` (from the operator's settings) holds the host.
    3. Without TLS only private and loopback addresses are taken: an event must not cross the internet in clear.

    One refused address among several refuses the host: a name that also leads inside is no mistake to look past.
    Raises `AddressRefused` with a reason, `OSError` when the name cannot be resolved.
    """
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = list(
        dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found)
    )
    for address in addresses:
        inner = embedded(address)
        if is_never_a_receiver(inner):  # 1
            raise AddressRefused(f"{target.host} is {address}, which is never a receiver's address.")
        if not inner.is_global and target.host not in named_hosts:  # 2
            raise AddressRefused(f"{target.host} is {address}, inside a network that is not public.")
        if inner.is_global and not target.is_tls:  # 3
            raise AddressRefused(
                f"{target.host} is public: use https, so that events do not travel in clear."
            )
    return addresses


def is_never_a_receiver(address: Address) -> bool:
    """Return whether no web server of anybody's can be meant by the address."""
    is_odd = address.is_link_local or address.is_multicast or address.is_unspecified
    return is_odd or (address.is_reserved and not address.is_loopback) or address in METADATA


def embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for (mapped, NAT64, 6to4, Teredo), else the address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if any(address in network for network in NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address
