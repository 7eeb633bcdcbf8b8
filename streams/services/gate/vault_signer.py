"""Signs with an Ed25519 key that never leaves the transit engine of a Vault server (or of OpenBao).

A gate asks it at the end of each transaction, once for each partition that has written something. So a request of 2 ms
is 2 ms more until executors may run what was decided. While the server is away, nothing is committed: the gate aborts,
tries again, and ends after too many failures, as with a token (`pkcs11_signer`).
"""

from __future__ import annotations

import weakref

from streams.audit.content import ContentError
from streams.audit.signatures import SIGNATURE_BYTES, SigningKeyError
from streams.sdk.vault_transit import VaultTransit

_PROBE = b"probe"


class VaultSigner:
    """Signs with one version of a key. Thread-safe.

    Attributes:
        public: the key that its signatures are checked with.
    """

    def __init__(self, vault: VaultTransit, name: str, version: int) -> None:
        """Fetch the public key, and sign once. Blocking.

        Args:
            vault: the server, which the signer closes.
            name: the name of the key.
            version: its version. It is fixed: when the key is rotated, executors must know the new version first.

        Raises:
            SigningKeyError: the key can't be used.
        """
        self._vault = vault
        # A gate that starts again in its process makes a new one, and nobody else knows when the old one is done with.
        self._closed = weakref.finalize(self, vault.close)
        self._name = name
        self._version = version
        try:
            self.public = vault.signing_key(name, version)
            is_signed = self.public.verifies(_PROBE, self.sign(_PROBE))
        except (ContentError, SigningKeyError) as error:
            self.close()
            raise SigningKeyError(f"key `{name}` of Vault can't be used: {error}") from None
        if not is_signed:
            self.close()
            raise SigningKeyError(f"key `{name}` of Vault does not sign with version {version}")

    def sign(self, message: bytes) -> bytes:
        """Return the signature: 64 bytes. Blocking.

        Raises:
            SigningKeyError: the server refuses, or does not answer.
        """
        try:
            signature = self._vault.sign(self._name, self._version, message)
        except ContentError as error:
            raise SigningKeyError(str(error)) from None
        if len(signature) != SIGNATURE_BYTES:
            raise SigningKeyError(f"key `{self._name}` of Vault has made a signature of {len(signature)} bytes")
        return signature

    def close(self) -> None:
        """Close the connection. It is also closed when nobody uses the signer any more."""
        self._closed()

    def __repr__(self) -> str:
        return f"VaultSigner({self.public.kid})"
