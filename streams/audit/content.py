"""Encrypts and decrypts captured content: AES-256-GCM under the key of a session.

The associated data (`streams.model.content.content_aad`) says whose content it is and where it belongs. A ciphertext
that was moved to another tenant, session, event or field does not decrypt there.
"""

from __future__ import annotations

from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from streams.model.content import CONTENT_ENC, content_aad
from streams.model.errors import FormError, StoplogError
from streams.model.types import Encrypted

DATA_KEY_BYTES = 32
IV_BYTES = 12
TAG_BYTES = 16


class ContentError(StoplogError):
    """Content can't be decrypted: the message says why."""


class KekFormError(ContentError, FormError):
    """The name of a key that wraps others is malformed."""


class KeyServiceAwayError(ContentError):
    """A key service can't be asked now, for this key or for any other one: the message says why."""


class ContentPlace(NamedTuple):
    """Where some content belongs.

    Attributes:
        event_id: the session event that holds it; of arguments, the intent.
        field: a `ContentField`.
    """

    tenant_uid: str
    session_id: str
    event_id: str
    field: str


def encrypt_content(data_key: bytes, kid: str, iv: bytes, place: ContentPlace, text: bytes) -> Encrypted:
    """Return some content, encrypted.

    Args:
        data_key: 32 bytes.
        kid: the id of the key.
        iv: 12 bytes that were never used with this key before.
        place: where the content belongs.
        text: the content.
    """
    sealed = AESGCM(data_key).encrypt(iv, text, content_aad(*place, kid))
    return Encrypted(kid=kid, enc=CONTENT_ENC, iv=iv, ciphertext=sealed[:-TAG_BYTES], tag=sealed[-TAG_BYTES:])


def decrypt_content(data_key: bytes, place: ContentPlace, content: Encrypted) -> bytes:
    """Return some content in plain.

    Args:
        data_key: the key `content.kid`.
        place: where the content was found.

    Raises:
        ContentError: it was encrypted in another way, with another key, or for another place, or was changed.
    """
    if content.enc != CONTENT_ENC:
        raise ContentError(f"it is encrypted with `{content.enc[:40]}`, which this version does not know")
    if len(data_key) != DATA_KEY_BYTES or len(content.iv) != IV_BYTES or len(content.tag) != TAG_BYTES:
        raise ContentError("its key, nonce or tag has the wrong length")
    sealed = content.ciphertext + content.tag
    try:
        return AESGCM(data_key).decrypt(content.iv, sealed, content_aad(*place, content.kid))
    except InvalidTag:
        raise ContentError("it was changed, or it belongs to another session, event or field") from None
