"""Reads the body of a request, of one media type, with limits on size and time."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from streams.model.errors import StoplogError

BODY_TIMEOUT_S = 10.0


class BodyError(StoplogError):
    """The body is not accepted; the message tells the client why."""


async def read_body(request: Request, media_type: str, bytes_max: int) -> bytes:
    """Return the body of a request. Waits for up to `BODY_TIMEOUT_S`.

    Args:
        request: the request, whose body has not been read yet.
        media_type: the required `content-type`, without parameters.
        bytes_max: the largest size that is accepted.

    Raises:
        BodyError: the body has another type, is too large, or did not arrive in time.
        ClientDisconnect: the client has disconnected.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != media_type:
        raise BodyError(f"the body must be {media_type}")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.stream():
                body += part
                if len(body) > bytes_max:
                    raise BodyError(f"the body has more than {bytes_max} bytes")
    except TimeoutError:
        raise BodyError("the body did not arrive in time") from None
    return bytes(body)
