"""Responses that several services give: keys, health, and when to retry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

JWKS_MAX_AGE_S = 300
_MS_PER_S = 1_000

NO_STORE: Mapping[str, str] = MappingProxyType({"cache-control": "no-store"})
"""The headers of responses that no cache may store."""


def retry_after(wait_ms: int) -> dict[str, str]:
    """Return the header that asks a client to retry after a time, rounded up to whole seconds."""
    return {"retry-after": str(-(-wait_ms // _MS_PER_S))}


def key_set(published: Mapping[str, Any]) -> JSONResponse:
    """Return a service's public keys (RFC 7517)."""
    headers = {"cache-control": f"public, max-age={JWKS_MAX_AGE_S}"}
    return JSONResponse(published, headers=headers, media_type="application/jwk-set+json")


async def health(_request: Request) -> JSONResponse:
    """Respond that the service accepts requests."""
    return JSONResponse({"status": "ok"}, headers=NO_STORE)
