"""Exchange messages with an MCP server over streamable HTTP, with a bound on what it may send.

The `mcp` package is imported only when a server is reached.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio
import httpx2

from streams.sdk.mcp.http_calls import CallsUnderWay, is_events

STREAMS_PAUSE_S = 0.25
"""The least time between two requests for a stream of events, whatever pause the server asks for."""

STREAMS_WAITING_MAX = 32
"""How many such requests may wait for their turn; further ones fail, and what they were for is given up."""

_PLAIN = "identity"


@contextlib.asynccontextmanager
async def http_transport(
    url: str, *, headers: Mapping[str, str], timeout: httpx2.Timeout, answer_bytes_max: int
) -> AsyncIterator[Any]:
    """Yield the streams of messages from a server and to it.

    Args:
        url: the server's endpoint.
        headers: sent with each request.
        timeout: of each request.
        answer_bytes_max: how long one message of the server may be: a body, or one event of a stream of events.
    """

    from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415 - heavy, and only MCP servers need it

    async def bound(response: httpx2.Response) -> None:
        response.stream = _BoundedBody(response, answer_bytes_max)

    # An answer is not compressed: a few bytes could otherwise become very many.
    asked = {**headers, "accept-encoding": _PLAIN}
    calls = CallsUnderWay()
    hooks: Any = {"request": [calls.before, _Turns().take], "response": [bound, calls.after]}
    async with (
        httpx2.AsyncClient(headers=asked, timeout=timeout, event_hooks=hooks) as http,
        streamable_http_client(url, http_client=http, max_sse_event_size=answer_bytes_max) as streams,
    ):
        yield streams


class _Turns:
    """Has requests for streams of events wait for one another.

    A server that ends such a stream says how soon it is asked again, and the package `mcp` does as it says, also for a
    call that the executor has given up. So a server could keep the executor busy with nothing but its own streams.
    """

    def __init__(self) -> None:
        self._next_s = 0.0
        self._waiting_count = 0

    async def take(self, request: httpx2.Request) -> None:
        """Wait for the turn of a request.

        Raises:
            RequestError: too many are waiting.
        """
        if request.method != "GET":
            return
        if self._waiting_count >= STREAMS_WAITING_MAX:
            raise httpx2.RequestError("the server ends too many streams of events without an answer", request=request)
        now_s = anyio.current_time()
        turn_s = max(now_s, self._next_s)
        self._next_s = turn_s + STREAMS_PAUSE_S
        self._waiting_count += 1
        try:
            await anyio.sleep(turn_s - now_s)
        finally:
            self._waiting_count -= 1


class _BoundedBody(httpx2.AsyncByteStream):
    """The body of an answer; reading it fails where it becomes too long.

    A stream of events may be of any length, as it is read event by event, each of which is bounded by its reader.
    """

    def __init__(self, response: httpx2.Response, bytes_max: int) -> None:
        self._body = response.stream
        self._encoding = response.headers.get("content-encoding", _PLAIN).strip().lower()
        self._is_events = is_events(response)
        self._bytes_max = bytes_max

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._encoding != _PLAIN:
            raise httpx2.StreamError("the answer is compressed, which was not asked for")
        if not isinstance(self._body, httpx2.AsyncByteStream):
            raise httpx2.StreamError("the answer can't be read in parts")
        length = 0
        async for part in self._body:
            length += len(part)
            if length > self._bytes_max and not self._is_events:
                raise httpx2.StreamError(f"the server sent a message of more than {self._bytes_max} bytes")
            yield part

    async def aclose(self) -> None:
        if isinstance(self._body, httpx2.AsyncByteStream):
            await self._body.aclose()
