"""How a token or proof that can be used once is remembered."""

from __future__ import annotations

from typing import NamedTuple


class Once(NamedTuple):
    """Identifies a token or proof that can be used once: a digest, and until when (ms) it must be remembered."""

    name: bytes
    exp_ms: int
