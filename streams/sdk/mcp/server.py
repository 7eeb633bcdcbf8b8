"""A running MCP server, and its tools, for code that does not use asyncio.

The `mcp` package is imported only when a server is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from streams.model.canonical import CanonicalError
from streams.model.definition import definition_digests
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.errors import McpServerError
from streams.sdk.mcp.server_log import ServerLog
from streams.sdk.tools import TOOL_TIMEOUT_MS, Cancellation, ToolCancelledError, ToolResult

if TYPE_CHECKING:
    from mcp import ClientSession

START_TIMEOUT_MS = 30_000
REQUEST_TIMEOUT_MS = 30_000
CLOSE_TIMEOUT_MS = 15_000
PAGES_MAX = 100
TOOLS_MAX = 2_000
ANSWER_BYTES_MAX = 8 * 1024 * 1024
"""How long one message of a server may be, and the whole of its listing. A call with a longer answer fails."""

RELIST_AFTER_MS = 1_000
"""How old a server's listing may be when a call is compared with it."""

TIMEOUT_MARGIN_S = 5.0
LOG_TAIL_BYTES = 2_000

_Answer = TypeVar("_Answer")


class McpServer(ABC):
    """A running MCP server, for code that does not use asyncio. Thread-safe.

    Attributes:
        on_tools_changed: called in the server's thread when the server announces that its tools have changed.
    """

    def __init__(
        self,
        server_id: str,
        connect: Callable[[ServerLog], Any],
        *,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
        log_path: Path | None = None,
        entropy: Entropy = SYSTEM,
    ) -> None:
        """Connect and negotiate the protocol; blocks until that is done.

        Args:
            server_id: the operator's name for it.
            connect: makes the transport; its argument keeps the server's standard error. It checks `answer_bytes_max`
                for each message.
            answer_bytes_max: how long one message of the server may be, and the whole of its listing.
            log_path: where that is kept, in two files of up to `LOG_BYTES_MAX`; by default it is dropped.

        Raises:
            McpServerError: it can't be started or reached, or does not answer.
        """
        self.on_tools_changed: Callable[[], None] = lambda: None
        self._connect = connect
        self.server_id = server_id
        self._entropy = entropy
        self._answer_bytes_max = answer_bytes_max
        self._log_path = log_path
        self._session: ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready: Future[None] = Future()
        self._lock = threading.Lock()
        self._digests: Mapping[str, bytes] = {}
        self._listed_ms: int | None = None
        self._thread = threading.Thread(target=self._run, name=f"mcp-{server_id}", daemon=True)
        self._thread.start()
        try:
            self._ready.result(START_TIMEOUT_MS / 1000)
        except TimeoutError:
            self.close()
            raise McpServerError(self._told(f"does not answer after {START_TIMEOUT_MS} ms")) from None
        except ModuleNotFoundError as error:
            raise McpServerError(
                self._told(f"needs `{error.name}`, which is not installed: run `pip install 'stoplog[mcp]'`")
            ) from None
        except Exception as error:
            raise McpServerError(self._told(self._why_not(error))) from error
        except BaseException:
            # Ctrl-C: nobody else knows of the server yet.
            self.close()
            raise

    def list_tools(self) -> list[dict[str, Any]]:
        """Return the wire Tool objects of `tools/list`, complete, including fields that are not known here.

        Raises:
            McpServerError: the server doesn't answer, or lists too much.
        """
        try:
            tools = self._ask(self._list_tools(), REQUEST_TIMEOUT_MS)
        except TimeoutError as error:
            # Nothing was done at the server, so its callers need not tell this from a server that is gone.
            raise McpServerError(str(error)) from None
        digests: dict[str, bytes] = {}
        for tool in tools:
            name = tool.get("name")
            if not isinstance(name, str) or name in digests:
                raise McpServerError(self._told(f"lists a tool without a name, or `{name}` twice"))
            with contextlib.suppress(CanonicalError):
                # A definition without a canonical form has no digest, so no call of it passes.
                digests[name] = definition_digests(tool).definition
        with self._lock:
            self._digests = digests
            self._listed_ms = self._entropy.monotonic_ms()
        return tools

    def definition_digest(self, name: str) -> bytes:
        """Return the SHA-256 of the tool's definition as the server lists it now (at most `RELIST_AFTER_MS` ago).

        Raises:
            McpServerError: the server doesn't answer, or has no such tool.
        """
        with self._lock:
            listed_ms = self._listed_ms
        if listed_ms is None or self._entropy.monotonic_ms() - listed_ms > RELIST_AFTER_MS:
            self.list_tools()
        with self._lock:
            digest = self._digests.get(name)
        if digest is None:
            raise McpServerError(self._told(f"has no tool `{name}` with a definition"))
        return digest

    def call(
        self,
        name: str,
        args: Mapping[str, object],
        timeout_ms: int = TOOL_TIMEOUT_MS,
        cancellation: Cancellation | None = None,
    ) -> dict[str, Any]:
        """Call a tool and return the wire result of `tools/call`.

        Args:
            cancellation: ends the call early.

        Raises:
            ToolCancelledError: the call has ended early.
            TimeoutError: no answer came in time; it is not known whether the tool has done its work.
            McpServerError: the server refuses the call, sends too much, or is no longer there.
        """
        return self._ask(self._call(name, dict(args), timeout_ms), timeout_ms, cancellation)

    def tools(self) -> dict[str, McpTool]:
        """Return all tools of the server, for an executor.

        Raises:
            McpServerError: see `list_tools`.
        """
        return {f"{self.server_id}/{tool['name']}": McpTool(self, tool["name"]) for tool in self.list_tools()}

    def close(self) -> None:
        """Close the server's input, then end the server. May be called again."""
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(stop.set)
        self._thread.join(CLOSE_TIMEOUT_MS / 1000)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _ask(
        self, question: Coroutine[Any, Any, _Answer], timeout_ms: int, cancellation: Cancellation | None = None
    ) -> _Answer:
        """Have the server's thread ask the server, and wait for the answer."""
        loop = self._loop
        if loop is None or self._session is None or not self._thread.is_alive():
            question.close()
            raise McpServerError(self._told("is not running"))
        answer = asyncio.run_coroutine_threadsafe(question, loop)
        if cancellation is not None:
            cancellation.when_set(answer.cancel)
        try:
            return answer.result(timeout_ms / 1000)
        except TimeoutError:
            answer.cancel()
            raise TimeoutError(self._told(f"has not answered after {timeout_ms} ms")) from None
        except CancelledError:
            if cancellation is not None and cancellation.is_set():
                raise ToolCancelledError(self._told("was asked to end the call")) from None
            raise McpServerError(self._told("was closed while it was asked")) from None
        except McpServerError:
            raise
        except Exception as error:
            raise McpServerError(self._told(f"failed: {self._text_of(error)}")) from error

    @abstractmethod
    def _why_not(self, error: Exception) -> str:
        """Return that the server can't be used, and why."""

    def _text_of(self, error: Exception) -> str:
        """Return what an error says."""
        return str(error)

    def _told(self, what: str) -> str:
        return f"MCP server `{self.server_id}` {what}{self._log_tail()}"

    def _log_tail(self) -> str:
        if self._log_path is None:
            return ""
        try:
            with self._log_path.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
                tail = log.read(LOG_TAIL_BYTES).decode("utf-8", "replace").strip()
        except OSError:
            return ""
        return f"\nits last words: {tail}" if tail else ""

    # -- the server's thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(_first(error))
        finally:
            self._session = None

    async def _serve(self) -> None:
        from mcp import Client  # noqa: PLC0415 - heavy, and only MCP servers need it

        from streams.sdk.mcp.server_requests import bounded_requests  # noqa: PLC0415 - as `Client`

        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        with ServerLog(self._log_path) as log:
            async with Client(bounded_requests(self._connect(log)), message_handler=self._on_message) as client:
                self._session = client.session
                self._ready.set_result(None)
                await self._stop.wait()
                self._session = None

    async def _on_message(self, message: object) -> None:
        from mcp import types  # noqa: PLC0415 - as `Client`

        if isinstance(message, types.ToolListChangedNotification):
            with self._lock:
                self._listed_ms = None
            self.on_tools_changed()

    async def _list_tools(self) -> list[dict[str, Any]]:
        from mcp import types  # noqa: PLC0415 - as `Client`

        tools: list[dict[str, Any]] = []
        cursor: str | None = None
        length = 0
        for _ in range(PAGES_MAX):
            params = None if cursor is None else types.PaginatedRequestParams(cursor=cursor)
            page = await self._request(types.ListToolsRequest(params=params))
            listed = page.get("tools")
            if not isinstance(listed, list) or not all(isinstance(tool, dict) for tool in listed):
                raise McpServerError(self._told("answers `tools/list` with something else than tools"))
            tools += listed
            if len(tools) > TOOLS_MAX:
                raise McpServerError(self._told(f"lists more than {TOOLS_MAX} tools"))
            length += len(json.dumps(listed, ensure_ascii=False).encode("utf-8", "surrogatepass"))
            if length > self._answer_bytes_max:
                raise McpServerError(self._told(f"lists its tools in more than {self._answer_bytes_max} bytes"))
            cursor = page.get("nextCursor")
            if cursor is None:
                return tools
        raise McpServerError(self._told(f"lists its tools on more than {PAGES_MAX} pages"))

    async def _call(self, name: str, args: dict[str, object], timeout_ms: int) -> dict[str, Any]:
        from mcp import types  # noqa: PLC0415 - as `Client`

        params = types.CallToolRequestParams(name=name, arguments=args)
        return await self._request(types.CallToolRequest(params=params), timeout_ms)

    async def _request(self, request: Any, timeout_ms: int = REQUEST_TIMEOUT_MS) -> dict[str, Any]:
        """Return the result as it was on the wire: the package's types drop fields that they don't know."""
        from pydantic import TypeAdapter  # noqa: PLC0415 - as `Client`

        session = self._session
        if session is None:
            raise McpServerError(self._told("is not running"))
        as_it_is: Any = TypeAdapter(dict[str, Any])
        # Our own timeout counts; this one only keeps the client from waiting forever.
        timeout_s = timeout_ms / 1000 + TIMEOUT_MARGIN_S
        result: dict[str, Any] = await session.send_request(request, as_it_is, request_read_timeout_seconds=timeout_s)
        return result


class McpTool:
    """One tool of a server, for an executor (`streams.sdk.tools.ToolRunner`)."""

    def __init__(self, server: McpServer, name: str) -> None:
        self._server = server
        self._name = name

    def definition_digest(self) -> bytes | None:
        """Ask the server for the digest: the definition may change while the executor runs."""
        return self._server.definition_digest(self._name)

    def run(self, args: Mapping[str, object], timeout_ms: int) -> ToolResult:
        """Run `run_cancellable` without a way to end it early."""
        return self.run_cancellable(args, timeout_ms, Cancellation())

    def run_cancellable(self, args: Mapping[str, object], timeout_ms: int, cancellation: Cancellation) -> ToolResult:
        """Call the tool. To end the call early, a cancellation is sent to the server.

        The content of the result is the structured content if there is some, else the text, else the blocks.
        """
        result = self._server.call(self._name, args, timeout_ms, cancellation)
        if result.get("resultType", "complete") != "complete":
            return ToolResult(
                content=f"the server asks for `{result['resultType']}`, which is not supported", is_error=True
            )
        is_structured = result.get("structuredContent") is not None
        content_type = "application/json" if is_structured else None
        return ToolResult(content=_content(result), is_error=result.get("isError") is True, content_type=content_type)


def _content(result: Mapping[str, Any]) -> object:
    structured = result.get("structuredContent")
    if structured is not None:
        return structured
    blocks = result.get("content")
    if isinstance(blocks, list) and all(isinstance(block, dict) and block.get("type") == "text" for block in blocks):
        return "\n".join(str(block.get("text", "")) for block in blocks)
    return blocks


def _first(error: BaseException) -> BaseException:
    """Return the first real error of an exception group, which is the one that a person can act on."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error
