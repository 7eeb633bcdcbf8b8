"""Signs with a key that never leaves its token: a hardware security module or a smart card, by PKCS #11.

The token needs the mechanism `CKM_EDDSA` with Ed25519.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from streams.audit.signatures import PUBLIC_BYTES, SIGNATURE_BYTES, PublicKey, SigningKeyError


class Pkcs11Signer:
    """Signs with a private key of a token. Thread-safe.

    Attributes:
        public: the key that its signatures are checked with.
    """

    def __init__(self, module: Path, *, token: str, label: str, pin: str) -> None:
        """Open a session with the token, and find the key. Blocking.

        Args:
            module: the library of the token's maker.
            token: the label of the token.
            label: the label of the private key and of its public key.
            pin: the PIN of the token's user.

        Raises:
            SigningKeyError: the extra `pkcs11` is missing, the token can't be used, or it has no such Ed25519 key.
        """
        try:
            import pkcs11  # noqa: PLC0415 - needs the extra `pkcs11`
        except ImportError as error:
            text = f"a key on a token needs the extra `pkcs11` (`pip install 'stoplog[pkcs11]'`): {error}"
            raise SigningKeyError(text) from None
        self._place = f"key `{label}` of token `{token}`"
        self._errors: tuple[type[Exception], ...] = (pkcs11.PKCS11Error, RuntimeError, OSError)
        self._mechanism: Any = pkcs11.Mechanism.EDDSA
        self._lock = threading.Lock()
        self._session: Any = None
        kind = pkcs11.KeyType.EC_EDWARDS
        try:
            opened = pkcs11.lib(str(module)).get_token(token_label=token)
            try:
                session = opened.open(user_pin=pin)
            except pkcs11.UserAlreadyLoggedIn:
                session = opened.open()  # a gate that starts again in its process: a login counts for all of that
            self._session = session
            # The library's types don't say which keys can sign.
            self._key: Any = session.get_key(label=label, key_type=kind, object_class=pkcs11.ObjectClass.PRIVATE_KEY)
            public = session.get_key(label=label, key_type=kind, object_class=pkcs11.ObjectClass.PUBLIC_KEY)
            point = bytes(public[pkcs11.Attribute.EC_POINT])
        except self._errors as error:
            why = str(error) or type(error).__name__
            self.close()
            raise SigningKeyError(f"{self._place} can't be used (library `{module}`): {why}") from None
        # The point is an octet string in DER, or its content alone, as makers have read the standard in two ways.
        self.public = PublicKey(point[-PUBLIC_BYTES:])
        if not self.public.verifies(b"probe", self.sign(b"probe")):
            raise SigningKeyError(f"{self._place} does not sign with Ed25519")

    def sign(self, message: bytes) -> bytes:
        """Return the signature: 64 bytes. Blocking.

        Raises:
            SigningKeyError: the token can't be used any more.
        """
        try:
            with self._lock:
                signature = bytes(self._key.sign(message, mechanism=self._mechanism))
        except self._errors as error:
            raise SigningKeyError(f"{self._place} can't sign: {str(error) or type(error).__name__}") from None
        if len(signature) != SIGNATURE_BYTES:
            raise SigningKeyError(f"{self._place} has made a signature of {len(signature)} bytes")
        return signature

    def close(self) -> None:
        """End the session with the token."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def __repr__(self) -> str:
        return f"Pkcs11Signer({self.public.kid})"
