"""Hosts of URLs and domains of mail addresses, parsed strictly and normalized to one form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

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
    ("nip.io", "sslip.io", "xip.io", "localtest.me", "lvh.me", "vcap.me", "lacolhost.com", "localho.st", "traefik.me")
)
"""Public domains whose names resolve to an address that the name contains, or to the local machine."""

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
    if len(labels) < 2 or labels[-1] in _NON_PUBLIC_SUFFIXES:
        return False
    return not any(".".join(labels[start:]) in _DYNAMIC_DNS_SUFFIXES for start in range(len(labels) - 1))


def _is_public_ip(ip: Ip) -> bool:
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified:
        return False
    if isinstance(ip, IPv4Address):
        return True
    inner = [ip.sixtofour, *(ip.teredo or ())]
    if any(int(ip) >> (128 - bits) == prefix >> (128 - bits) for prefix, bits in _NAT64):
        inner.append(IPv4Address(int(ip) & 0xFFFF_FFFF))
    if int(ip) >> 32 == 0:
        inner.append(IPv4Address(int(ip)))
    return all(_is_public_ip(address) for address in inner if address is not None)
