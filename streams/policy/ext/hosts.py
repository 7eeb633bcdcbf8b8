"""Hosts of URLs and domains of mail addresses, parsed strictly and normalized to one form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network

import idna

from streams.policy.errors import EvaluationError
from streams.policy.ext.memoize import memoized

HOST_CHARS_MAX = 253
LABEL_CHARS_MAX = 63
HOSTS_KEPT_MAX = 2_048
LISTS_KEPT_MAX = 256

Ip = IPv4Address | IPv6Address

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\Z")
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)\Z")
_V6_CHARS = re.compile(r"[0-9a-fA-F:.]{2,45}\Z")

_IDNA_DEVIATIONS = frozenset("\u00df\u03c2\u1e9e\u200c\u200d")
"""Characters that IDNA 2003 and IDNA 2008 encode differently: clients would resolve the same name differently."""

_NON_PUBLIC_SUFFIXES = frozenset(
    (
        *("alt", "arpa", "consul", "corp", "example", "home", "host", "internal", "intranet", "invalid", "lan"),
        *("local", "localdomain", "localhost", "onion", "private", "svc", "test", "workgroup"),
    )
)
"""Last labels that public name servers don't serve: reserved ones, and those that private networks use."""

_DYNAMIC_DNS_SUFFIXES = frozenset(
    (
        *("nip.io", "sslip.io", "xip.io", "xip.name", "ip6.name", "backname.io", "traefik.me", "plex.direct"),
        *("local-ip.co", "local-ip.sh", "local-ip.medicmobile.org", "localtest.me", "lvh.me", "vcap.me", "fuf.me"),
        *("lacolhost.com", "localho.st", "local.gd", "localdev.me", "lcl.host", "localhostcert.net", "localcert.net"),
        *("lndo.site", "ddev.site", "docksal.site", "loopback.jp", "42foo.com", "yoogle.com", "feacluster.com"),
        *("ortkut.com", "localhost.direct", "dnsrebinder.net", "spoofed.burpcollaborator.net"),
        # Names under which routers answer in their own networks.
        *("fritz.box", "myfritz.box", "routerlogin.net", "routerlogin.com", "tplinkwifi.net", "tplinklogin.net"),
        *("tplinkmodem.net", "router.asus.com", "miwifi.com", "speedport.ip", "orbilogin.com", "mywifiext.net"),
        *("ulh.us", "smackaho.st", "127-0-0-1.org.uk", "1u.ms", "rbndr.us", "rebind.it", "rebind.network"),
    )
)
"""Public domains whose names resolve to an address within the name, to a near machine, or to changing ones."""

_INNER_NAMES = frozenset((*("metadata.tencentyun.com", "metadata.packet.net", "metadata.platformequinix.com"),))
"""Names in public domains that only machines of a provider resolve."""

_INNER_V4 = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
    *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4"),
    "240.0.0.0/4",
)
"""The IANA IPv4 Special-Purpose Address Registry and multicast, and the address of Azure's own services.

The table is here because `ipaddress` of Python has other ranges in each release.
"""

_INNER_V6 = (
    *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    # Former test networks and documentation, which nobody may announce.
    *("3ffe::/16", "2001:10::/28"),
)
"""The IANA IPv6 Special-Purpose Address Registry within 2000::/3. No address of the rest is assigned to the public."""

_PUBLIC_V6 = "2000::/3"
_ISATAP = frozenset((0x0000_5EFE, 0x0200_5EFE))
_DASHED_IP = re.compile(r"(?:\A|[^0-9])([0-9]{1,3})[-_]([0-9]{1,3})[-_]([0-9]{1,3})[-_]([0-9]{1,3})(?![0-9])")
_DOTTED_IP = re.compile(r"(?:\A|\.)([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.")

_NAT64 = tuple((int(IPv6Address(prefix)), bits) for prefix, bits in (("64:ff9b::", 96), ("64:ff9b:1::", 48)))


@dataclass(frozen=True, slots=True)
class Host:
    """A host.

    Attributes:
        text: the normalized name or address: in lower case and punycode, without brackets and final dot.
        ip: the IP address, if the host is one.
    """

    text: str
    ip: Ip | None = None


@memoized(HOSTS_KEPT_MAX)
def read_host(text: str) -> Host:
    """Parse the host of a URL; an IPv6 address is in brackets.

    Raises:
        EvaluationError: the text is not a host, or clients would read it differently.
    """
    if text.startswith("["):
        return _v6(text)
    name = read_name(text)
    last = name.rpartition(".")[2]
    return _v4(name) if _NUMBER.match(last) else Host(name)


def read_name(text: str) -> str:
    """Return a host name in lower case and punycode, without a final dot.

    Raises:
        EvaluationError: the text is not a valid name.
    """
    if not text or len(text) > HOST_CHARS_MAX + 1:
        raise EvaluationError("host is empty or too long")
    if text.isascii():
        name = text.lower()
    elif _IDNA_DEVIATIONS & set(text):
        raise EvaluationError("host has a character that clients encode differently")
    else:
        try:
            name = idna.encode(text, uts46=True, std3_rules=True).decode("ascii").lower()
        except (idna.IDNAError, UnicodeError, IndexError, ValueError):
            raise EvaluationError("host is not a valid name") from None
    name = name.removesuffix(".")
    if not name or len(name) > HOST_CHARS_MAX:
        raise EvaluationError("host is empty or too long")
    for label in name.split("."):
        if len(label) > LABEL_CHARS_MAX or not _LABEL.match(label):
            raise EvaluationError("host is not a valid name")
        if label.startswith("xn--"):
            _check_punycode(label)
    return name


def _check_punycode(label: str) -> None:
    """Reject a punycode label that is invalid or not the canonical form of its name."""
    try:
        if idna.alabel(idna.ulabel(label)).decode("ascii") == label:
            return
    except (idna.IDNAError, UnicodeError, IndexError, ValueError):
        pass
    raise EvaluationError("host is not a valid name")


def _v4(name: str) -> Host:
    """Parse an IPv4 address in any form that browsers accept, with fewer than four numbers or hexadecimal ones.

    Leading zeros are rejected, because some programs read them as octal and others ignore them.
    """
    parts = name.split(".")
    if len(parts) > 4:
        raise EvaluationError("host ends in a number and is not an ip address")
    numbers = []
    for part in parts:
        if not _NUMBER.match(part) or len(part) > 12:
            raise EvaluationError("host ends in a number and is not an ip address")
        if part.lower().startswith("0x"):
            numbers.append(int(part[2:] or "0", 16))
        elif len(part) > 1 and part.startswith("0"):
            raise EvaluationError("ip address has a leading zero")
        else:
            numbers.append(int(part))
    *heads, last = numbers
    if any(number > 255 for number in heads) or last >= 256 ** (4 - len(heads)):
        raise EvaluationError("host ends in a number and is not an ip address")
    value = sum(number << 8 * (3 - index) for index, number in enumerate(heads)) + last
    ip = IPv4Address(value)
    return Host(str(ip), ip)


def _v6(text: str) -> Host:
    inner = text[1:-1]
    if not text.endswith("]") or not _V6_CHARS.match(inner):
        raise EvaluationError("host is not an ip address")
    try:
        ip = IPv6Address(inner)
    except ValueError:
        raise EvaluationError("host is not an ip address") from None
    mapped = ip.ipv4_mapped
    return Host(str(mapped), mapped) if mapped is not None else Host(str(ip), ip)


def is_within(host: Host, items: tuple[str, ...]) -> bool:
    """Return whether a host is one of several domains or a subdomain of one; an address must be one of the items.

    Raises:
        EvaluationError: an item is neither a domain nor an address.
    """
    domains = _domains(items)
    if host.ip is not None:
        return host.text in domains
    name = host.text
    while name:
        if name in domains:
            return True
        name = name.partition(".")[2]
    return False


@memoized(LISTS_KEPT_MAX)
def _domains(items: tuple[str, ...]) -> frozenset[str]:
    return frozenset(_domain(item) for item in items)


def _domain(item: object) -> str:
    if not isinstance(item, str):
        raise EvaluationError("list of domains contains an item that is not a domain")
    try:
        if ":" in item:
            return _v6(item if item.startswith("[") else f"[{item}]").text
        return read_host(item).text
    except EvaluationError:
        raise EvaluationError("list of domains contains an item that is not a domain") from None


def is_public(host: Host) -> bool:
    """Return whether a host is public, judging by its text only; no name is resolved."""
    if host.ip is not None:
        return _is_public_ip(host.ip)
    labels = host.text.split(".")
    if len(labels) < 2 or labels[-1] in _NON_PUBLIC_SUFFIXES or host.text in _INNER_NAMES:
        return False
    if any(".".join(labels[start:]) in _DYNAMIC_DNS_SUFFIXES for start in range(len(labels) - 1)):
        return False
    return all(_is_public_ip(ip) for ip in _ips_within(host.text))


def _ips_within(name: str) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that a name contains, with dots or dashes, as names of dynamic domains do."""
    for pattern in (_DASHED_IP, _DOTTED_IP):
        for found in pattern.finditer(name):
            numbers = [int(group) for group in found.groups()]
            if max(numbers) <= 255:
                yield IPv4Address(bytes(numbers))


@lru_cache(maxsize=1)
def _networks() -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...], tuple[int, int]]:
    """Return the special networks of IPv4 and of IPv6, and the public one of IPv6, as first and last address."""

    def bounds(text: str) -> tuple[int, int]:
        network = ip_network(text)
        return int(network.network_address), int(network.broadcast_address)

    return tuple(map(bounds, _INNER_V4)), tuple(map(bounds, _INNER_V6)), bounds(_PUBLIC_V6)


def _is_public_ip(ip: Ip) -> bool:
    inner_v4, inner_v6, (first, last) = _networks()
    value = int(ip)
    if isinstance(ip, IPv4Address):
        return not any(low <= value <= high for low, high in inner_v4)
    if any(value >> (128 - bits) == prefix >> (128 - bits) for prefix, bits in _NAT64):
        return value >> 32 == _NAT64[0][0] >> 32 and _is_public_ip(IPv4Address(value & 0xFFFF_FFFF))
    if not first <= value <= last or any(low <= value <= high for low, high in inner_v6):
        return False
    return (value >> 32) & 0xFFFF_FFFF not in _ISATAP
