"""Base64 as tokens, keys and proofs have it: for URLs, without padding (RFC 4648, section 5)."""

from __future__ import annotations

import base64


def base64url(data: bytes) -> str:
    """Return bytes as text."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
