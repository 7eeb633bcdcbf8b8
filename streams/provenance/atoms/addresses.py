"""Canonical forms of hosts and URLs."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

from streams.provenance.words import plain_case

_HOST = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,10}(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})\Z", re.IGNORECASE)
_HOST_CHARS_MAX = 253
_URL = re.compile(
    r"(?:([a-z][a-z0-9+.-]{1,15}):)?(?://)?(?:([^/?#@]{0,128})@)?([^/?#]{0,300})([^?#]{0,2048})(?:\?([^#]*))?(.*)",
    re.IGNORECASE | re.DOTALL,
)
QUERY_VALUES_MAX = 64
_DEFAULT_PORTS = (":80", ":443")
_SCHEME_BEFORE = re.compile(r"[a-z][a-z0-9+.-]{1,15}:(?!\d*(?:[/?#]|\Z))")
"""A scheme in a canonical form; what a number follows is a host with its port."""
_AUTHORITY_END = re.compile(r"[/?#]")


class UrlParts(NamedTuple):
    """The canonical form of a URL and what is in it: `account` is a user name before the host, `file` its last step.

    `query` has the values of the query by their names, and before them a password that stands before the host.
    """

    value: str
    host: str
    account: str
    query: tuple[tuple[str, str], ...]
    file: str


def is_host(text: str) -> bool:
    """Return whether a text is the name of a host, with at least one dot, or such a name with a port."""
    name, _, port = text.partition(":")
    return len(name) <= _HOST_CHARS_MAX and (not port or port.isdigit()) and _HOST.match(name) is not None


def host_value(host: str) -> str:
    """Return the canonical form of a host: one case, labels in punycode as what they stand for, no default port."""
    value = plain_case(host).strip(".")
    if value.endswith(_DEFAULT_PORTS):
        value = value.rpartition(":")[0]
    if "xn--" in value:
        value = ".".join(_label(label) for label in value.split("."))
    return value.removeprefix("www.")


def _label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return plain_case(label[4:].encode("ascii").decode("punycode"))
    except (UnicodeError, OverflowError, ValueError):
        return label


def url_parts(url: str) -> UrlParts | None:
    """Return the canonical form of a URL and its parts, or None for what only looks like one.

    The form has no scheme if that is http or https, no fragment sign at its end, no slash at the end of its path, and
    its path and query are decoded once.
    """
    match = _URL.match(url)
    if match is None:
        return None
    scheme, account, authority, path, query, fragment = (part or "" for part in match.groups())
    host = host_value(unquote(authority))
    if not host and not path:
        return None
    scheme = scheme.lower()
    prefix = "" if scheme in ("", "http", "https") else f"{scheme}:"
    plain_path = plain_case(unquote(path)).rstrip("/")
    value = f"{prefix}{host}{plain_path}"
    if query:
        value += "?" + plain_case(unquote_plus(query))
    if len(fragment) > 1:
        value += plain_case(unquote(fragment))
    name = plain_path.rpartition("/")[2]
    user, _, password = unquote(account).partition(":")
    values = ((("", password),) if password else ()) + _query_of(query)
    return UrlParts(value, host, user, values, name if "." in name else "")


def host_of_url(value: str) -> str:
    """Return the host in the canonical form of a URL, with its port if it has one."""
    scheme = _SCHEME_BEFORE.match(value)
    authority = _AUTHORITY_END.split(value[scheme.end() if scheme else 0 :], 1)[0]
    # A user before the host is not in it, unless there are several signs or a name that is longer than any.
    return authority.rpartition("@")[2]


def _query_of(query: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for part in query.replace(";", "&").split("&", QUERY_VALUES_MAX)[:QUERY_VALUES_MAX]:
        key, sign, value = part.partition("=")
        if sign and value:
            pairs.append((unquote_plus(key), unquote_plus(value)))
    return tuple(pairs)
