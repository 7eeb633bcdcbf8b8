"""Functions on IP addresses and networks. Zones, dotted IPv4 inside IPv6, and leading zeros are rejected."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from streams.policy.cel.ops import no_overload
from streams.policy.cel.values import Address, Network
from streams.policy.errors import EvaluationError

TEXT_CHARS_MAX = 64


def _parse_ip(text: str) -> IPv4Address | IPv6Address:
    if len(text) > TEXT_CHARS_MAX or "%" in text or (":" in text and "." in text):
        raise EvaluationError("text is not an ip address")
    try:
        return ip_address(text)
    except ValueError:
        raise EvaluationError("text is not an ip address") from None


def _without_mapping(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address of an IPv4-mapped IPv6 address, so that both forms are the same address."""
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip


def to_ip(value: Any) -> Address:
    """Implement `ip(text)`, and `cidr.ip()`."""
    if value.__class__ is str:
        return Address(_without_mapping(_parse_ip(value)))
    if value.__class__ is Network:
        return Address(value.ip)
    raise no_overload("ip", value)


def to_cidr(value: Any) -> Network:
    """Implement `cidr(text)`."""
    if value.__class__ is not str:
        raise no_overload("cidr", value)
    text, slash, prefix = value.partition("/")
    if not slash or not prefix.isascii() or not prefix.isdigit() or (len(prefix) > 1 and prefix[0] == "0"):
        raise EvaluationError("text is not a network")
    ip = _parse_ip(text)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        raise EvaluationError("text is an ipv4 network written as ipv6")
    if len(prefix) > 3 or int(prefix) > ip.max_prefixlen:
        raise EvaluationError("text is not a network")
    return Network(ip, int(prefix))


def _network(value: Network) -> IPv4Network | IPv6Network:
    return ip_network((value.ip, value.prefix), strict=False)


def is_ip(value: Any) -> bool:
    """Implement `isIP(text)`."""
    return _parses(to_ip, value, "isIP")


def is_cidr(value: Any) -> bool:
    """Implement `isCIDR(text)`."""
    return _parses(to_cidr, value, "isCIDR")


def _parses(parse: Callable[[Any], Any], value: Any, name: str) -> bool:
    if value.__class__ is not str:
        raise no_overload(name, value)
    try:
        parse(value)
    except EvaluationError:
        return False
    return True


def is_canonical(value: Any) -> bool:
    """Implement `ip.isCanonical(text)`: whether an address is written in its canonical form."""
    if value.__class__ is not str:
        raise no_overload("ip.isCanonical", value)
    return str(_without_mapping(_parse_ip(value))) == value


def _of_ip(name: str, part: Callable[[IPv4Address | IPv6Address], Any]) -> Callable[[Any], Any]:
    def function(value: Any) -> Any:
        if value.__class__ is not Address:
            raise no_overload(name, value)
        return part(value.ip)

    return function


def _is_global_unicast(ip: IPv4Address | IPv6Address) -> bool:
    broadcast = isinstance(ip, IPv4Address) and int(ip) == 0xFFFF_FFFF
    return not (broadcast or ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.is_link_local)


def _is_link_local_multicast(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv4Address):
        return ip.packed[:3] == b"\xe0\x00\x00"
    return ip.packed[0] == 0xFF and ip.packed[1] & 0x0F == 0x02


def contains_ip(network: Any, ip: Any) -> bool:
    """Implement `cidr.containsIP(ip)`."""
    if network.__class__ is not Network or ip.__class__ not in (str, Address):
        raise no_overload("containsIP", network, ip)
    return _address_within(network, ip.ip if isinstance(ip, Address) else to_ip(ip).ip)


def _address_within(network: Network, ip: IPv4Address | IPv6Address) -> bool:
    return network.ip.version == ip.version and ip in _network(network)


def contains_cidr(network: Any, other: Any) -> bool:
    """Implement `cidr.containsCIDR(cidr)`."""
    if network.__class__ is not Network or other.__class__ not in (str, Network):
        raise no_overload("containsCIDR", network, other)
    inner = other if isinstance(other, Network) else to_cidr(other)
    return network.prefix <= inner.prefix and _address_within(network, inner.ip)


def masked(value: Any) -> Network:
    """Implement `cidr.masked()`: the network without the bits after its prefix."""
    if value.__class__ is not Network:
        raise no_overload("masked", value)
    return Network(_network(value).network_address, value.prefix)


def prefix_length(value: Any) -> int:
    """Implement `cidr.prefixLength()`."""
    if value.__class__ is not Network:
        raise no_overload("prefixLength", value)
    return int(value.prefix)


NETWORK_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ip": to_ip,
    "isIP": is_ip,
    "ip.isCanonical": is_canonical,
    "family": _of_ip("family", lambda ip: ip.version),
    "isUnspecified": _of_ip("isUnspecified", lambda ip: ip.is_unspecified),
    "isLoopback": _of_ip("isLoopback", lambda ip: ip.is_loopback),
    "isGlobalUnicast": _of_ip("isGlobalUnicast", _is_global_unicast),
    "isLinkLocalMulticast": _of_ip("isLinkLocalMulticast", _is_link_local_multicast),
    "isLinkLocalUnicast": _of_ip("isLinkLocalUnicast", lambda ip: ip.is_link_local),
    "cidr": to_cidr,
    "isCIDR": is_cidr,
    "containsIP": contains_ip,
    "containsCIDR": contains_cidr,
    "masked": masked,
    "prefixLength": prefix_length,
}
