"""Signs with an Ed25519 key that never leaves its service: the transit engine of Vault or OpenBao, or AWS KMS.

A gate asks the service at the end of each transaction, once for each partition that has written something. So a request
of 2 ms is 2 ms more until executors may run what was decided. While the service is away, nothing is committed: the gate
aborts, tries again, and ends after too many failures, as with a token (`pkcs11_signer`).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from streams.audit.content import ContentError
from streams.audit.signatures import SIGNATURE_BYTES, SigningKeyError
from streams.sdk.keys.key_service import RemoteKey

_PROBE = b"probe"


class _Service(Protocol):
    def close(self) -> None: ...


_AnyService = TypeVar("_AnyService", bound=_Service)


def open_signer(
    place: str, open_service: Callable[[], _AnyService], key_of: Callable[[_AnyService], RemoteKey]
) -> RemoteSigner:
    """Return what signs with a key of a service, which it opens. Blocking.

    Args:
        place: the name of the key and of its service, for messages.
        open_service: opens the service, or raises `ContentError`.
        key_of: returns the key; see `RemoteSigner`.

    Raises:
        SigningKeyError: the key can't be used.
    """
    try:
        service = open_service()
    except ContentError as error:
        raise SigningKeyError(str(error)) from None
    return RemoteSigner(place, partial(key_of, service), service.close)


class RemoteSigner:
    """Signs with one key, always the same. Thread-safe.

    Attributes:
        public: the key that its signatures are checked with.
    """

    def __init__(self, place: str, open_key: Callable[[], RemoteKey], close: Callable[[], None]) -> None:
        """Fetch the public key, and sign once. Blocking.

        Args:
            place: the name of the key and of its service, for messages.
            open_key: returns the key, or raises `ContentError`. It is fixed: when the key is rotated, executors must
                know the next one first.
            close: closes the connection to the service. It must not refer to the signer.

        Raises:
            SigningKeyError: the key can't be used.
        """
        self._place = place
        # A gate that starts again in its process makes a new one, and nobody else knows when the old one is done with.
        self._closed = weakref.finalize(self, close)
        try:
            self._key = open_key()
            self.public = self._key.public
            is_signed = self.public.verifies(_PROBE, self.sign(_PROBE))
        except (ContentError, SigningKeyError) as error:
            self.close()
            raise SigningKeyError(f"{place} can't be used: {error}") from None
        if not is_signed:
            self.close()
            raise SigningKeyError(f"{place} makes signatures that are not its own")

    def sign(self, message: bytes) -> bytes:
        """Return the signature: 64 bytes. Blocking.

        Raises:
            SigningKeyError: the service refuses, or does not answer.
        """
        try:
            signature = self._key.sign(message)
        except ContentError as error:
            raise SigningKeyError(str(error)) from None
        if len(signature) != SIGNATURE_BYTES:
            raise SigningKeyError(f"{self._place} has made a signature of {len(signature)} bytes")
        return signature

    def close(self) -> None:
        """Close the connection. It is also closed when nobody uses the signer any more."""
        self._closed()

    def __repr__(self) -> str:
        return f"RemoteSigner({self.public.kid})"
