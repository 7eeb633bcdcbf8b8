"""What a token or a proof that counts once is remembered by."""

from __future__ import annotations

from typing import NamedTuple


class Once(NamedTuple):
    """Tells a token that counts once from all others: a digest, and until when (ms) it must be remembered."""

    name: bytes
    exp_ms: int
