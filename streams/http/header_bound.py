"""A limit on the size of a request's head."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

HEADER_BYTES_MAX = 32_768
_TOO_LARGE = 431


def bounded(application: ASGIApp) -> ASGIApp:
    """Return the application behind a check that rejects requests whose headers are too large.

    The server's own limit applies only to an incomplete head, which is less strict.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        size = sum(len(name) + len(value) for name, value in scope.get("headers", ()))
        if size + len(scope.get("raw_path", b"")) + len(scope.get("query_string", b"")) > HEADER_BYTES_MAX:
            await Response(status_code=_TOO_LARGE)(scope, receive, send)
            return
        await application(scope, receive, send)

    return answer
