"""Signatures of webhooks, as Standard Webhooks 1.0 defines them (https://www.standardwebhooks.com).

The header `webhook-signature` has `v1,` and the base64 of an HMAC-SHA256 over id, timestamp and body, joined by dots.
It may have several, separated by spaces, while a secret is being replaced.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from streams.audit.signatures import SigningKeyError
from streams.model.errors import StoplogError
from streams.sdk.keys.key_files import read_private

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
SECRET_BYTES_MIN = 24
SECRET_BYTES_MAX = 64
SIGNATURES_MAX = 8
_PREFIX = "whsec_"
_VERSION = "v1,"
_MS_PER_S = 1_000


class WebhookSecretError(StoplogError):
    """A file has no secret that signs webhooks."""


def read_secret(path: Path) -> bytes:
    """Return the secret of a file.

    Raises:
        WebhookSecretError: the file can't be read, is open to others, or has no secret.
    """
    try:
        text = read_private(path).decode("ascii").strip()
    except SigningKeyError as error:
        raise WebhookSecretError(str(error)) from None
    except UnicodeDecodeError as error:
        raise WebhookSecretError(f"secret `{path}` can't be read: {error}") from None
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True) if text.startswith(_PREFIX) else b""
    except binascii.Error:
        secret = b""
    if not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise WebhookSecretError(
            f"`{path}` has no secret: write `{_PREFIX}` and the base64 of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} "
            f"random bytes, such as the output of `echo {_PREFIX}$(openssl rand -base64 32)`"
        )
    return secret


def signed_headers(secret: bytes, message_id: str, now_ms: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign a message.

    Args:
        secret: shared with the receiver.
        message_id: the same for each attempt to send the message.
        now_ms: the time of the attempt.
        body: the body.
    """
    timestamp = str(now_ms // _MS_PER_S)
    return {ID: message_id, TIMESTAMP: timestamp, SIGNATURE: _VERSION + _signature(secret, message_id, timestamp, body)}


def is_signed(secret: bytes, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether one of the signatures of a message is by this secret. The time is not checked."""
    expected = (_VERSION + _signature(secret, headers.get(ID, ""), headers.get(TIMESTAMP, ""), body)).encode()
    given = headers.get(SIGNATURE, "").split(" ")[:SIGNATURES_MAX]
    return any(hmac.compare_digest(expected, each.encode("utf-8", "replace")) for each in given)


def _signature(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    message = b".".join((message_id.encode("utf-8", "replace"), timestamp.encode("utf-8", "replace"), body))
    return base64.b64encode(hmac.new(secret, message, sha256).digest()).decode()
