"""Addresses to which nothing crosses a network that others could read or change on the way."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_URL = re.compile(r"https?://[^\s'\"`<>]+")


def is_protected(url: str) -> bool:
    """Return whether a URL is `https`, or `http` on this machine.

    Raises:
        ValueError: it can't be a URL.
    """
    place = urlsplit(url)
    return bool(place.hostname) and (
        place.scheme == "https" or (place.scheme == "http" and place.hostname in _LOOPBACK)
    )


def shown_url(url: str) -> str:
    """Return what of a URL may be printed: scheme, host, port and path. What else it has may be a secret."""
    try:
        place = urlsplit(url)
        host, port = place.hostname or "", place.port
    except ValueError:
        return "(not a URL)"
    scheme = f"{place.scheme}://" if place.scheme else ""
    if not place.netloc:
        # Without `//`, a name and a password are taken for a part of the path.
        return f"{scheme}{place.path.rpartition('@')[2]}"
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}{host}{'' if port is None else f':{port}'}{place.path}"


def without_secrets(text: str, url: str) -> str:
    """Return a text in which each URL of the host of `url` is as `shown_url` prints it."""
    host = urlsplit(url).hostname

    def shown(found: re.Match[str]) -> str:
        try:
            is_of_host = urlsplit(found[0]).hostname == host
        except ValueError:
            is_of_host = True
        return shown_url(found[0]) if is_of_host else found[0]

    return _URL.sub(shown, text.replace(url, shown_url(url)))
