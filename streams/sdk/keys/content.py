"""Seals captured content: for each session a key of its own, wrapped with a public key of its tenant.

**Idea.** Whoever captures content needs no right to read it. A writer makes a random key for a session, encrypts with
it, and wraps it with a public key; the private half is where only readers have access: in a file, in Vault's transit
engine, or in a key management service. Wrapping needs no network, so a gate that captures waits for nobody.

A writer takes a new key for a session after `KEY_LIFE_MS`, and forgets the keys of the sessions that it has not seen
for longest. What it remembers in memory opens only what it has written itself.

Rejected: one key of a session for all its writers (it would have to be handed out, over topics that keep it), and keys
that are derived from a key of the tenant (they could be derived again after an erasure).
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from streams.audit.content import DATA_KEY_BYTES, IV_BYTES, ContentError, ContentPlace, encrypt_content
from streams.audit.masking import FindSecrets, mask_secrets
from streams.model.base64url import base64url
from streams.model.content import CONTENT_BYTES_MAX, WRAP_ALG
from streams.model.types import WrappedKey
from streams.ports.content import SealedContent
from streams.sdk.keys.key_files import KEY_FILE_BYTES_MAX, needs_passphrase, read_private

KEY_LIFE_MS = 3_600_000
SESSIONS_MAX = 65_536
"""How many sessions' keys a writer remembers: about 920 bytes each, 60 MB in all.

With more sessions at a time, each content can need a new key: an RSA operation, a record, and one of the
`KEYS_PER_SESSION_MAX` keys that a session can have.
"""

RSA_BITS_MIN = 3_072
ANY_TENANT = "*"
KID_BYTES = 16
MASKED_CHARS_MAX = CONTENT_BYTES_MAX + 16_384
"""How much of a content is looked at for secrets. What is behind is cut off anyway."""


class KeyWrapper(Protocol):
    """A key of a tenant that wraps keys of sessions, and can't unwrap them. Thread-safe, without network I/O."""

    def wrap(self, kid: str, data_key: bytes) -> WrappedKey:
        """Return a wrapped data key."""


class KeyUnwrapper(Protocol):
    """Unwraps keys of sessions: the right to read. A key management service has an implementation of its own."""

    def unwrap(self, key: WrappedKey) -> bytes:
        """Return the data key. Blocking.

        Raises:
            ContentError: it is wrapped with another key, or the service refuses or does not answer.
        """


class KeyRewrapper(Protocol):
    """Wraps keys of sessions again, with the present key of their tenant.

    Attributes:
        kek: the name of that key.
    """

    kek: str

    def rewrap(self, key: WrappedKey) -> WrappedKey:
        """Return the same data key, wrapped with `kek`. Blocking.

        Raises:
            ContentError: it can't be unwrapped, or the service refuses or does not answer.
        """


class PublicWrapper:
    """Wraps with an RSA public key: OAEP with SHA-256, as Vault's transit engine and key management services do it."""

    def __init__(self, public: RSAPublicKey, kek: str | None = None) -> None:
        """Take a key.

        Args:
            public: the key.
            kek: its name where it is not a file's.
        """
        self._public = public
        self.kek = kek or kek_of(public)

    @classmethod
    def read(cls, pem: bytes, place: str, kek: str | None = None) -> PublicWrapper:
        """Read a public key (PEM).

        Raises:
            ContentError: there is no such key in it, or it is too short.
        """
        try:
            public = load_pem_public_key(pem)
        except ValueError:
            raise ContentError(f"{place} has no public key (PEM)") from None
        if not isinstance(public, RSAPublicKey) or public.key_size < RSA_BITS_MIN:
            raise ContentError(f"{place} has no RSA key of {RSA_BITS_MIN} bits or more")
        return cls(public, kek)

    @classmethod
    def load(cls, path: Path) -> PublicWrapper:
        """Read the public key in a file. Blocking.

        Raises:
            ContentError: the file can't be read, or has none.
        """
        try:
            with path.open("rb") as file:
                pem = file.read(KEY_FILE_BYTES_MAX)
        except OSError as error:
            raise ContentError(f"key `{path}` can't be read: {error.strerror}") from None
        return cls.read(pem, f"key file `{path}`")

    def wrap(self, kid: str, data_key: bytes) -> WrappedKey:
        """See `KeyWrapper`."""
        wrapped = self._public.encrypt(data_key, _OAEP)
        return WrappedKey(kid=kid, kek=self.kek, alg=WRAP_ALG, wrapped=wrapped)


class PrivateUnwrapper:
    """Unwraps with the private keys of files."""

    def __init__(self, *keys: RSAPrivateKey) -> None:
        self._keys = {kek_of(key.public_key()): key for key in keys}

    @classmethod
    def load(cls, path: Path, passphrase: bytes | None = None) -> PrivateUnwrapper:
        """Read the private key in a file that only its owner can read. Blocking.

        Raises:
            ContentError: it has none, or the passphrase is wrong.
            SigningKeyError: the file can't be read, or others can read it.
        """
        pem = read_private(path)
        try:
            key = load_pem_private_key(pem, passphrase if needs_passphrase(pem) else None)
        except TypeError:
            raise ContentError(f"key file `{path}` is encrypted; give its passphrase (`--passphrase-file`)") from None
        except ValueError:
            raise ContentError(f"key file `{path}` has no private key, or the passphrase is wrong") from None
        if not isinstance(key, RSAPrivateKey):
            raise ContentError(f"key file `{path}` has no RSA key; `stoplog keys content new` creates one")
        return cls(key)

    def unwrap(self, key: WrappedKey) -> bytes:
        """See `KeyUnwrapper`."""
        own = self._keys.get(key.kek)
        if own is None or key.alg != WRAP_ALG:
            raise ContentError(f"it needs the key `{key.kek[:80]}`, which was not given")
        try:
            return own.decrypt(key.wrapped, _OAEP)
        except ValueError:
            raise ContentError(f"the key `{key.kid[:40]}` of its session can't be unwrapped: it was changed") from None


class TenantWrappers:
    """The wrapping keys of tenants."""

    def __init__(self, wrappers: Mapping[str, KeyWrapper]) -> None:
        """Take the keys.

        Args:
            wrappers: by tenant; `*` is for all tenants that are not named.
        """
        self._wrappers = dict(wrappers)

    @classmethod
    def load(cls, files: Mapping[str, Path]) -> TenantWrappers:
        """Read the public keys of tenants from files. Blocking.

        Raises:
            ContentError: a file can't be read, or has no public key.
        """
        return cls({tenant: PublicWrapper.load(path) for tenant, path in files.items()})

    def of(self, tenant_uid: str) -> KeyWrapper | None:
        """Return the key of a tenant, if there is one."""
        return self._wrappers.get(tenant_uid) or self._wrappers.get(ANY_TENANT)


@dataclass(frozen=True, slots=True)
class _SessionKey:
    data_key: bytes
    wrapped: WrappedKey
    until_ms: int


class SessionSealer:
    """Seals content with a key for each session; implements `ContentSealer`. Thread-safe."""

    def __init__(self, wrappers: TenantWrappers, *, find_secrets: FindSecrets | None = None) -> None:
        """Create a sealer without keys.

        Args:
            wrappers: the wrapping keys of tenants. Content of other tenants is not sealed.
            find_secrets: finds secrets that the patterns of `mask_secrets` don't know.
        """
        self._wrappers = wrappers
        self._find_secrets = find_secrets
        self._lock = threading.Lock()
        self._keys: OrderedDict[tuple[str, str], _SessionKey] = OrderedDict()

    def seal(
        self, tenant_uid: str, session_id: str, event_id: str, field: str, text: str, now_ms: int
    ) -> SealedContent | None:
        """See `ContentSealer`."""
        wrapper = self._wrappers.of(tenant_uid)
        if wrapper is None:
            return None
        key = self._key(wrapper, (tenant_uid, session_id), now_ms)
        place = ContentPlace(tenant_uid, session_id, event_id, field)
        iv = os.urandom(IV_BYTES)
        content = encrypt_content(key.data_key, key.wrapped.kid, iv, place, self._cleaned(text))
        return SealedContent(content, key.wrapped)

    def _cleaned(self, text: str) -> bytes:
        """Return the content as it is encrypted: without secrets, and not too long."""
        data = mask_secrets(text[:MASKED_CHARS_MAX], self._find_secrets).encode("utf-8", "replace")
        if len(data) <= CONTENT_BYTES_MAX and len(text) <= MASKED_CHARS_MAX:
            return data
        note = f"\n[cut: {len(text)} characters in all]".encode()
        return data[: CONTENT_BYTES_MAX - len(note)].decode("utf-8", "ignore").encode() + note

    def _key(self, wrapper: KeyWrapper, owner: tuple[str, str], now_ms: int) -> _SessionKey:
        with self._lock:
            key = self._keys.get(owner)
            if key is None or now_ms >= key.until_ms:
                kid = base64url(os.urandom(KID_BYTES))
                data_key = os.urandom(DATA_KEY_BYTES)
                key = self._keys[owner] = _SessionKey(data_key, wrapper.wrap(kid, data_key), now_ms + KEY_LIFE_MS)
            self._keys.move_to_end(owner)
            if len(self._keys) > SESSIONS_MAX:
                self._keys.popitem(last=False)
            return key

    def __repr__(self) -> str:
        return f"SessionSealer({len(self._keys)} keys)"


def kek_of(public: RSAPublicKey) -> str:
    """Return the name of a public key: `rsa:` and the SHA-256 of its DER form (RFC 5280) as base64url."""
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"rsa:{base64url(hashlib.sha256(der).digest())}"


_OAEP = padding.OAEP(mgf=padding.MGF1(algorithm=SHA256()), algorithm=SHA256(), label=None)
