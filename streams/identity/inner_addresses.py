"""Resolves the host of a URL to addresses that may be connected to, so that no name leads into an inner network.

The settings name a host, but whoever controls its DNS entry chooses the address. So a name must not lead to loopback or
to link-local addresses, where machines of clouds have their credentials, nor to private networks unless the settings
name the host. The caller connects to the address that was checked; to resolve the name once more for the connection was
rejected, because the second answer can differ from the first. A URL with an address instead of a name was chosen by
whoever wrote the settings, and is only checked for addresses that no key set can have.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from streams.identity.errors import KeySetError

Address = IPv4Address | IPv6Address
LOOPBACK_NAMES = frozenset({"localhost"})
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))


async def checked_addresses(host: str, port: int, inner_hosts: Collection[str]) -> list[str]:
    """Return the addresses of a host that may be connected to.

    Args:
        host: a name or an address.
        port: the port.
        inner_hosts: the names that may lead to private addresses.

    Raises:
        KeySetError: one of its addresses is not allowed.
        OSError: the name can't be resolved.
    """
    literal = _literal(host)
    if literal is not None:
        if _is_never_allowed(literal):
            raise KeySetError(f"`{host}` is an address that no key set is fetched from")
        return [str(literal)]
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found = list(dict.fromkeys(ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers))
    if not found:
        raise KeySetError(f"`{host}` has no address")
    for address in found:
        if not is_allowed(host, address, inner_hosts):
            raise KeySetError(
                f"`{host}` resolves to the inner address {address}; if that is intended, add the host to "
                "`jwks_inner_hosts`"
            )
    return [str(address) for address in found]


def is_allowed(host: str, address: Address, inner_hosts: Collection[str]) -> bool:
    """Return whether a name may lead to an address."""
    inner = _plain(address)
    if _is_never_allowed(inner):
        return False
    if inner.is_loopback:
        return host.lower() in LOOPBACK_NAMES
    return inner.is_global or host.lower() in {name.lower() for name in inner_hosts}


def _literal(host: str) -> Address | None:
    try:
        return _plain(ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def _is_never_allowed(address: Address) -> bool:
    return address.is_link_local or address.is_multicast or address.is_unspecified


def _plain(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _NAT64):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
