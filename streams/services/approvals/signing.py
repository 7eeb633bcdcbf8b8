"""Signatures of questions and answers; see `streams.services.webhook_signing`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from streams.services import webhook_signing
from streams.services.approvals.errors import AnswerError, ApprovalServiceError
from streams.services.webhook_signing import (
    ID,
    SIGNATURE,
    TIMESTAMP,
    WebhookSecretError,
    is_signed,
    signed_headers,
)

__all__ = [
    "ID",
    "SIGNATURE",
    "TIMESTAMP",
    "check_headers",
    "is_signed",
    "read_secret",
    "signed_headers",
]

ID_CHARS_MAX = 256
_MS_PER_S = 1_000
_TIMESTAMP_DIGITS_MAX = 12


def read_secret(path: Path) -> bytes:
    """Return the secret of a file.

    Raises:
        ApprovalServiceError: the file can't be read, is open to others, or has no secret.
    """
    try:
        return webhook_signing.read_secret(path)
    except WebhookSecretError as error:
        raise ApprovalServiceError(str(error)) from None


def check_headers(headers: Mapping[str, str], now_ms: int, skew_ms: int) -> str:
    """Check id and time of a signed message, and return the id.

    Raises:
        AnswerError: a header is missing, or the time is too far from now.
    """
    message_id, timestamp = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    if not 0 < len(message_id) <= ID_CHARS_MAX or not message_id.isprintable():
        raise AnswerError(401, f"the header `{ID}` is missing or not usable")
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > _TIMESTAMP_DIGITS_MAX:
        raise AnswerError(401, f"the header `{TIMESTAMP}` is missing or not a number of seconds")
    if abs(int(timestamp) * _MS_PER_S - now_ms) > skew_ms + _MS_PER_S:
        raise AnswerError(401, f"the answer was signed more than {skew_ms} ms from now, or the clocks differ")
    return message_id
