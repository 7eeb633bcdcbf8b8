"""End what is under way of calls over HTTP that an executor has given up.

When a call has taken too long, the package `mcp` reports that to the server, and goes on reading the answer, which a
server can keep open for as long as it likes: many send a comment now and then so that nothing between them closes the
stream. A client has a bounded number of connections. When as many calls had been given up, no call would get one any
more until the executor is restarted. So the report itself ends the request that it is about.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from weakref import WeakKeyDictionary

import httpx2
import msgspec

_GIVEN_UP = "notifications/cancelled"


class _Params(msgspec.Struct):
    """What is looked at of the parameters of a message: which call a report of one that was given up is about."""

    requestId: str | int | None = None  # noqa: N815 - as the protocol has it


class _Message(msgspec.Struct):
    """What is looked at of a message. The rest of it, such as the arguments of a call, is skipped."""

    method: str | None = None
    id: str | int | None = None
    params: _Params | None = None


_read = msgspec.json.Decoder(_Message).decode


class _Call:
    """A request of the protocol, in the task that sends it and reads its answer."""

    def __init__(self, request_id: object) -> None:
        self.request_id = request_id
        self.response: httpx2.Response | None = None
        self.is_given_up = False


class CallsUnderWay:
    """Knows which requests of the protocol are under way. For one client, in one thread."""

    def __init__(self) -> None:
        # The package has a task for each request, which also asks again for an answer that was cut off.
        self._calls: WeakKeyDictionary[asyncio.Task[Any], _Call] = WeakKeyDictionary()

    async def before(self, request: httpx2.Request) -> None:
        """Note a request, and end the one that it reports as given up.

        Raises:
            RequestError: it belongs to a call that was given up.
        """
        task = asyncio.current_task()
        message = _message_of(request)
        if message.method == _GIVEN_UP:
            await self._end(None if message.params is None else message.params.requestId)
        elif task is not None and message.id is not None and message.method is not None:
            self._calls[task] = _Call(message.id)
        elif task is not None and (call := self._calls.get(task)) is not None and call.is_given_up:
            raise httpx2.RequestError("the call was given up", request=request)

    async def after(self, response: httpx2.Response) -> None:
        """Note that an answer begins, and close that of a call that was given up before.

        INVARIANT: it raises nothing. An error of a request, other than one of its closed answer, ends the session.
        """
        task = asyncio.current_task()
        call = None if task is None else self._calls.get(task)
        if call is None:
            return
        call.response = response
        if call.is_given_up:
            await _close(response)

    async def _end(self, request_id: object) -> None:
        for call in list(self._calls.values()):
            if call.request_id == request_id:
                call.is_given_up = True
                # Only the reader of a stream of events takes any error for its end. Other answers have an end.
                if call.response is not None and is_events(call.response):
                    await _close(call.response)


async def _close(response: httpx2.Response) -> None:
    """Close an answer; whoever reads it gets an error, and whoever has asked for this gets none."""
    with contextlib.suppress(Exception):
        await response.aclose()


def is_events(response: httpx2.Response) -> bool:
    """Return whether an answer is a stream of events."""
    return bool(response.headers.get("content-type", "").lower().startswith("text/event-stream"))


def _message_of(request: httpx2.Request) -> _Message:
    """Return the message that is posted; an empty one for other requests."""
    if request.method != "POST" or not request.content:
        return _Message()
    try:
        return _read(request.content)
    except msgspec.ValidationError:
        return _Message()
