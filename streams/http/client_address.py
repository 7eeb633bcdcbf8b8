"""Where requests come from, for limits: an address, or of IPv6 the site, for one has as many addresses as one likes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Settings read `LOOPBACK`, and are read where no server is installed.
    from starlette.requests import Request

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""Hosts that nobody on another machine reaches."""

_IPV6_SITE_BITS = 64


def place(host: str) -> str:
    """The place of an address. One of IPv4 is the same, whether it is written as such or within IPv6."""
    address = address_of(host)
    if isinstance(address, IPv6Address):
        return str(int(address) >> (128 - _IPV6_SITE_BITS))
    return host if address is None else str(address)


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """The address that is written there; None if it is none."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def place_of(request: Request) -> str:
    """Return the place that a request comes from; empty where its address is not known."""
    return place(request.client.host if request.client is not None else "")
