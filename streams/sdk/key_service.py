"""What clients of key services have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from streams.audit.content import ContentError
from streams.audit.signatures import PublicKey

TOLD_CHARS_MAX = 500
"""Of a service's reasons, which go to logs."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class SigningKey(NamedTuple):
    """One Ed25519 key of a service. Thread-safe.

    Attributes:
        public: the key that its signatures are checked with.
        sign: returns the signature of a message. Blocking. Raises a ContentError if the service refuses, does not
            answer, or sends something else.
    """

    public: PublicKey
    sign: Callable[[bytes], bytes]


def require_encryption(address: str) -> None:
    """Refuse a service to which keys would cross a network unencrypted.

    Args:
        address: an `https` URL (`http` on loopback).

    Raises:
        ContentError: it is another one.
    """
    try:
        place = urlsplit(address)
    except ValueError as error:
        raise ContentError(f"the address of the key service can't be one: {error}") from None
    if place.scheme != "https" and (place.scheme != "http" or place.hostname not in _LOOPBACK):
        # An address can have a password in it.
        shown = f"{place.scheme}://{place.hostname}"
        raise ContentError(f"`{shown}`: keys would cross a network unencrypted; use https")
