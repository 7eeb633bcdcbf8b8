"""Bound what an MCP server may ask its client for without reading the answers.

The package `mcp` starts a task for each request of a server, such as `ping`, and the task holds the request until its
answer is written. A server that goes on asking and reads no answer would fill the memory of the executor. So requests
take turns here: while so many wait for their answers to be taken, nothing more is read from the server. A server that
reads its input notices nothing of this. One that does not gets no calls either, and these end by their own time.

Dropping requests beyond the bound was rejected: an honest server may ask for much at once, and would wait forever.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio

if TYPE_CHECKING:
    from mcp.client._transport import ReadStream, WriteStream
    from mcp.shared.message import SessionMessage

UNANSWERED_MAX = 4
"""How many requests of a server are held. Each may be as long as a message of the server."""


@contextlib.asynccontextmanager
async def bounded_requests(
    transport: AbstractAsyncContextManager[Any],
) -> AsyncIterator[tuple[_Incoming, _Outgoing]]:
    """Yield the streams of a transport, of which the first waits while too many requests are not answered."""
    async with transport as (incoming, outgoing):
        room = anyio.Semaphore(UNANSWERED_MAX)
        yield _Incoming(incoming, room), _Outgoing(outgoing, room)


class _Incoming:
    """What a server sends. It has what the package asks of a stream, and nothing more."""

    def __init__(self, stream: ReadStream[SessionMessage | Exception], room: anyio.Semaphore) -> None:
        self._stream = stream
        self._room = room

    @property
    def last_context(self) -> Any:
        """Return the context of the last message's sender, if the transport keeps it."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message, once there is room for it."""
        from mcp import types  # noqa: PLC0415 - heavy, and only MCP servers need it

        while True:
            item = await self._stream.receive()
            message = None if isinstance(item, Exception) else item.message
            if isinstance(message, types.JSONRPCRequest):
                await self._room.acquire()
            elif isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
                # What a server asks for is answered at once. A request that it cancels would have no answer, and would
                # keep its room.
                continue
            return item

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _Outgoing:
    """What is sent to a server. Each answer makes room for another request, also if it can't be sent."""

    def __init__(self, stream: WriteStream[SessionMessage], room: anyio.Semaphore) -> None:
        self._stream = stream
        self._room = room

    async def send(self, item: SessionMessage) -> None:
        """Hand a message to the transport, which takes the next one when it has sent the one before."""
        from mcp import types  # noqa: PLC0415 - as `JSONRPCRequest`

        try:
            await self._stream.send(item)
        finally:
            if isinstance(item.message, types.JSONRPCResponse | types.JSONRPCError):
                self._room.release()

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
