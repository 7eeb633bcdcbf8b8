"""Addresses to which nothing crosses a network that others could read or change on the way."""

from __future__ import annotations

from urllib.parse import urlsplit

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def is_protected(url: str) -> bool:
    """Return whether a URL is `https`, or `http` on this machine.

    Raises:
        ValueError: it can't be a URL.
    """
    place = urlsplit(url)
    return bool(place.hostname) and (
        place.scheme == "https" or (place.scheme == "http" and place.hostname in _LOOPBACK)
    )
