"""Exchange messages with an MCP server that runs as a subprocess, with a bound on what it may send.

One line is one message. The bound is checked while a line is read: a longer one is skipped, and the calls that wait
for an answer end with an error, as nothing says which of them the line answers. The transport of the package `mcp`
is not used, because it holds a line of any length in memory. Closing the connection for one long line was rejected: the
server's other tools would be lost until the executor is restarted.

The server's standard error is read as well, because a file that it writes by itself would grow without a bound.

The `mcp` package is imported only when a server is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from streams.model.errors import InvariantError
from streams.sdk.mcp.server_log import ServerLog

if TYPE_CHECKING:
    from mcp import types
    from mcp.shared.message import SessionMessage

EXIT_WAIT_S = 2.0
"""How long a server may take to exit after its input is closed, and again after SIGTERM."""

FLUSH_WAIT_S = 0.5
SKIPPED_LENGTHS_MAX = 16
"""A line that is this many times as long as the bound ends the server: it may never end."""

_EXIT_POLL_S = 0.01
_GONE = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError)
_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def stdio_transport(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None,
    log: ServerLog,
    answer_bytes_max: int,
) -> AsyncIterator[
    tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]
]:
    """Start a server, and yield the streams of messages from it and to it. The server has ended when this returns.

    Args:
        command: the program and its arguments.
        env: variables in addition to those that the protocol's client passes by itself.
        cwd: the server's working directory.
        log: keeps the server's standard error.
        answer_bytes_max: how long one message of the server may be.

    Raises:
        OSError: the server can't be started.
    """
    from mcp.client.stdio import get_default_environment  # noqa: PLC0415 - heavy, and only MCP servers need it

    stderr = subprocess.PIPE if log.is_kept else subprocess.DEVNULL
    process = await anyio.open_process(
        list(command), env={**get_default_environment(), **env}, stderr=stderr, cwd=cwd, start_new_session=True
    )
    if process.stdout is None or process.stdin is None:
        raise InvariantError("a process that was started with pipes has none")
    received, incoming = anyio.create_memory_object_stream["SessionMessage | Exception"](0)
    outgoing, sent = anyio.create_memory_object_stream["SessionMessage"](0)
    pipes = _Pipes(process.stdout, process.stdin, answer_bytes_max)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pipes.receive, received, process)
        tasks.start_soon(pipes.send, sent, received)
        tasks.start_soon(pipes.keep, process.stderr, log)
        try:
            yield incoming, outgoing
        finally:
            # INVARIANT: the server ends with the connection, also if the caller is cancelled; each wait is bounded.
            with anyio.CancelScope(shield=True):
                incoming.close()
                outgoing.close()
                with anyio.move_on_after(FLUSH_WAIT_S):
                    await pipes.flushed.wait()
                await _end(process)
                with anyio.move_on_after(FLUSH_WAIT_S):
                    await pipes.logged.wait()
                await _close(process.stderr)
                await _close_transport(process)
            tasks.cancel_scope.cancel()


class _Lines:
    """Cuts bytes into lines, and holds no more than one line of the greatest length."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._line = bytearray()
        self.skipped_bytes = 0

    def feed(self, chunk: bytes) -> Iterator[bytes | None]:
        """Yield the lines that are complete now; None, once, for a line that is too long."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            yield from self._grow(end)
            if not self.skipped_bytes:
                yield bytes(self._line)
            self._line.clear()
            self.skipped_bytes = 0
        yield from self._grow(rest)

    def _grow(self, part: bytes) -> Iterator[None]:
        if self.skipped_bytes:
            self.skipped_bytes += len(part)
        elif len(self._line) + len(part) > self._bytes_max:
            self.skipped_bytes = len(self._line) + len(part)
            self._line.clear()
            yield None
        else:
            self._line += part


class _Pipes:
    """The two directions of one connection."""

    def __init__(self, stdout: ByteReceiveStream, stdin: ByteSendStream, answer_bytes_max: int) -> None:
        self._stdout = stdout
        self._stdin = stdin
        self._answer_bytes_max = answer_bytes_max
        self._asked: set[types.RequestId] = set()
        self.flushed = anyio.Event()
        self.logged = anyio.Event()

    async def receive(self, received: MemoryObjectSendStream[SessionMessage | Exception], process: Process) -> None:
        """Pass on the server's messages until it or the session ends, then discard what it still writes."""
        lines = _Lines(self._answer_bytes_max)
        with contextlib.suppress(*_GONE):
            async with received:
                while lines.skipped_bytes <= SKIPPED_LENGTHS_MAX * self._answer_bytes_max:
                    for line in lines.feed(await self._chunk()):
                        for message in self._too_long() if line is None else [self._message(line)]:
                            await received.send(message)
                _log.warning("an MCP server is stopped: it writes a line that does not end")
                await _kill(process)
        # A server that blocks on a full pipe could not see that its input is closed.
        with anyio.CancelScope(shield=True), contextlib.suppress(*_GONE):
            while True:
                await self._stdout.receive()

    async def _chunk(self) -> bytes:
        try:
            return await self._stdout.receive()
        except _GONE:
            # Who learns of the end asks for the server's last words: they must be in the log by then.
            with anyio.move_on_after(FLUSH_WAIT_S):
                await self.logged.wait()
            raise

    async def keep(self, stderr: ByteReceiveStream | None, log: ServerLog) -> None:
        """Write the server's standard error to its log, until that ends."""
        try:
            with contextlib.suppress(*_GONE):
                while stderr is not None:
                    log.write(await stderr.receive())
        finally:
            self.logged.set()

    async def send(
        self,
        sent: MemoryObjectReceiveStream[SessionMessage],
        received: MemoryObjectSendStream[SessionMessage | Exception],
    ) -> None:
        """Write the session's messages to the server."""
        try:
            async with sent:
                async for each in sent:
                    self._note_asked(each.message)
                    line = each.message.model_dump_json(by_alias=True, exclude_unset=True)
                    await self._stdin.send(line.encode() + b"\n")
        except _GONE:
            # The session learns of the end, so that no call waits for a server that can't be asked.
            await received.aclose()
        finally:
            self.flushed.set()

    def _note_asked(self, message: types.JSONRPCMessage) -> None:
        from mcp import types  # noqa: PLC0415 - as `get_default_environment`

        if isinstance(message, types.JSONRPCRequest):
            self._asked.add(message.id)
        elif isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
            self._asked.discard((message.params or {}).get("requestId", ""))

    def _message(self, line: bytes) -> SessionMessage | Exception:
        from mcp import types  # noqa: PLC0415 - as `get_default_environment`
        from mcp.shared.message import SessionMessage  # noqa: PLC0415 - as `get_default_environment`

        try:
            message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError as error:
            return error
        if isinstance(message, types.JSONRPCResponse | types.JSONRPCError) and message.id is not None:
            self._asked.discard(message.id)
        return SessionMessage(message)

    def _too_long(self) -> list[SessionMessage]:
        """Return the ends of all calls that wait for an answer."""
        from mcp import types  # noqa: PLC0415 - as `get_default_environment`
        from mcp.shared.message import SessionMessage  # noqa: PLC0415 - as `get_default_environment`

        text = f"it sent a message of more than {self._answer_bytes_max} bytes, which is not read"
        fault = types.ErrorData(code=types.INTERNAL_ERROR, message=text)
        asked, self._asked = self._asked, set()
        return [SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=each, error=fault)) for each in asked]


async def _end(process: Process) -> None:
    """Close the server's input; if it does not exit, end it with all that it has started."""
    await _close(process.stdin)
    if not await _has_exited(process):
        await _kill(process)
        if not await _has_exited(process):
            _log.warning("MCP server process %d can't be ended", process.pid)
    await _close(process.stdout)


async def _close(pipe: ByteReceiveStream | ByteSendStream | None) -> None:
    with contextlib.suppress(*_GONE):
        if pipe is not None:
            await pipe.aclose()


async def _close_transport(process: Process) -> None:
    """Close the pipes of a process that has left a child behind: as long as the child holds them, asyncio does not."""
    # Neither anyio nor asyncio offers it; `mcp.client.stdio` reaches for the same attributes.
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if isinstance(transport, asyncio.BaseTransport):
        with contextlib.suppress(PermissionError):
            transport.close()
        # The pipes close when the loop runs next, and it may end after this.
        await anyio.lowlevel.checkpoint()


async def _kill(process: Process) -> None:
    """End a process and all that it has started."""
    from mcp.os.posix.utilities import terminate_posix_process_tree  # noqa: PLC0415 - as `get_default_environment`

    await terminate_posix_process_tree(process, EXIT_WAIT_S)


async def _has_exited(process: Process) -> bool:
    """Return whether the process exits in time. `wait` would also wait for children that hold its pipes."""
    with anyio.move_on_after(EXIT_WAIT_S):
        while process.returncode is None:
            await anyio.sleep(_EXIT_POLL_S)
    return process.returncode is not None
