"""What clients of key services have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from streams.audit.content import ContentError
from streams.audit.signatures import PublicKey
from streams.sdk.protected import is_protected, shown_url

TOLD_CHARS_MAX = 500
"""Of a service's reasons, which go to logs."""


class RemoteKey(NamedTuple):
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
        if is_protected(address):
            return
    except ValueError as error:
        raise ContentError(f"the address of the key service can't be one: {error}") from None
    raise ContentError(f"`{shown_url(address)}`: keys would cross a network unencrypted; use https")
