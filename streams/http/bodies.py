"""Reading the body of a request: of one media type, up to a bound, and within a time."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from streams.model.errors import StoplogError

BODY_TIMEOUT_S = 10.0


class BodyError(StoplogError):
    """The body can't be taken; the message says why, and is for the client."""


async def read_body(request: Request, media_type: str, bytes_max: int) -> bytes:
    """Return the body of a request. Waits for it for up to `BODY_TIMEOUT_S`.

    Args:
        request: the request, of which nothing has been read yet.
        media_type: what its header `content-type` must say, parameters left aside.
        bytes_max: the size that is taken at most.

    Raises:
        BodyError: it is of another type, too large, or did not come in time.
        ClientDisconnect: the client has gone.
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
        raise BodyError("the body did not come in time") from None
    return bytes(body)
