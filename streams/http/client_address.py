"""The origin of requests, for limits: an IPv4 address, or an IPv6 site, of which a client can use any address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Settings read `LOOPBACK`, and are read where no server is installed.
    from starlette.requests import Request

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""Hosts that can't be reached from other machines."""

_IPV6_SITE_BITS = 64


def place(host: str) -> str:
    """Return the place of an address. An IPv4 address within IPv6 has the same place as the plain one."""
    address = address_of(host)
    if isinstance(address, IPv6Address):
        return str(int(address) >> (128 - _IPV6_SITE_BITS))
    return host if address is None else str(address)


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text states; None if the text is not an address."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def place_of(request: Request) -> str:
    """Return the place that a request comes from; empty if its address is not known."""
    return place(request.client.host if request.client is not None else "")
