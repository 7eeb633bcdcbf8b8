"""Responses that several services give: keys, health, and when to retry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

JWKS_MAX_AGE_S = 300
_MS_PER_S = 1_000

NO_STORE: Mapping[str, str] = MappingProxyType({"cache-control": "no-store"})
"""The headers of responses that no cache may store."""


class JsonAnswer(Response):
    """A response in JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body.

        Raises:
            TypeError: the content has no form in JSON.
        """
        return orjson.dumps(content)


def retry_after(wait_ms: int) -> dict[str, str]:
    """Return the header that asks a client to retry after a time, rounded up to whole seconds."""
    return {"retry-after": str(-(-wait_ms // _MS_PER_S))}


def key_set(published: Mapping[str, Any]) -> JsonAnswer:
    """Return a service's public keys (RFC 7517)."""
    headers = {"cache-control": f"public, max-age={JWKS_MAX_AGE_S}"}
    return JsonAnswer(published, headers=headers, media_type="application/jwk-set+json")


async def health(_request: Request) -> JsonAnswer:
    """Respond that the service accepts requests."""
    return JsonAnswer({"status": "ok"}, headers=NO_STORE)
