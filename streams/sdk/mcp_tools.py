"""MCP servers as tools: a server runs as a subprocess and is spoken to over stdio.

The `mcp` package is imported when a server is started, not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from streams.model.canonical import CanonicalError
from streams.model.catalogue import EntryState, OutputLabel, ToolCatalogEntry
from streams.model.definition import definition_digests
from streams.model.labels import Label
from streams.model.types import Header
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.errors import McpServerError
from streams.sdk.tools import TOOL_TIMEOUT_MS, Cancellation, ToolCancelledError, ToolResult

if TYPE_CHECKING:
    from mcp import ClientSession

START_TIMEOUT_MS = 30_000
REQUEST_TIMEOUT_MS = 30_000
CLOSE_TIMEOUT_MS = 15_000
PAGES_MAX = 100
TOOLS_MAX = 2_000
RELIST_AFTER_MS = 1_000
"""How old a server's own word on its definitions may be when a call is held against it."""

TIMEOUT_MARGIN_S = 5.0
LOG_TAIL_BYTES = 2_000

_Answer = TypeVar("_Answer")


class McpServerProcess:
    """A running MCP server, for code that does not use asyncio. Thread-safe.

    Its environment is what the protocol's client passes on by itself (PATH, HOME and the like) and what it is given;
    nothing else of ours, so no secrets.
    """

    def __init__(
        self,
        server_id: str,
        command: str,
        args: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        log_path: Path | None = None,
        entropy: Entropy = SYSTEM,
    ) -> None:
        """Start the server and agree on the protocol; blocks until that is done.

        Args:
            server_id: the operator's name for it.
            log_path: where its standard error goes; nowhere by default.

        Raises:
            McpServerError: it can't be started, or does not answer.
        """
        self.server_id = server_id
        self._entropy = entropy
        self._log_path = log_path
        self._session: ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready: Future[None] = Future()
        self._lock = threading.Lock()
        self._digests: Mapping[str, bytes] = {}
        self._listed_ms: int | None = None
        self._thread = threading.Thread(
            target=self._run, args=(command, list(args), dict(env or {}), cwd), name=f"mcp-{server_id}", daemon=True
        )
        self._thread.start()
        try:
            self._ready.result(START_TIMEOUT_MS / 1000)
        except TimeoutError:
            self.close()
            raise McpServerError(self._told(f"does not answer after {START_TIMEOUT_MS} ms")) from None
        except Exception as error:
            raise McpServerError(self._told(f"can't be started: {error}")) from error

    def list_tools(self) -> list[dict[str, Any]]:
        """The wire Tool objects of `tools/list`, whole as they came: with fields that nobody here knows, too.

        Raises:
            McpServerError: the server doesn't answer, or lists too much.
        """
        tools = self._ask(self._list_tools(), REQUEST_TIMEOUT_MS)
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
        """SHA-256 of the tool's definition as the server gives it now (at most `RELIST_AFTER_MS` ago).

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
        """The wire result of `tools/call`.

        Args:
            cancellation: ends the call early.

        Raises:
            ToolCancelledError: it has ended early.
            TimeoutError: no answer in time; whether the tool has done its work is not known.
            McpServerError: the server refuses the call or has gone.
        """
        return self._ask(self._call(name, dict(args), timeout_ms), timeout_ms, cancellation)

    def tools(self) -> dict[str, McpTool]:
        """All tools of the server, for an executor.

        Raises:
            McpServerError: as `list_tools`.
        """
        return {f"{self.server_id}/{tool['name']}": McpTool(self, tool["name"]) for tool in self.list_tools()}

    def close(self) -> None:
        """End the server: its input is closed first, then it is ended. May be called again."""
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
        """Have the server's thread ask, and wait."""
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
                raise ToolCancelledError(self._told("was told to end the call")) from None
            raise McpServerError(self._told("was closed while it was asked")) from None
        except McpServerError:
            raise
        except Exception as error:
            raise McpServerError(self._told(f"failed: {error}")) from error

    def _told(self, what: str) -> str:
        return f"MCP server `{self.server_id}` {what}{self._log_tail()}"

    def _log_tail(self) -> str:
        if self._log_path is None:
            return ""
        try:
            tail = self._log_path.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", "replace").strip()
        except OSError:
            return ""
        return f"\nits last words: {tail}" if tail else ""

    # -- the server's thread --------------------------------------------------------------------------------------

    def _run(self, command: str, args: list[str], env: dict[str, str], cwd: Path | None) -> None:
        try:
            asyncio.run(self._serve(command, args, env, cwd))
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(_first(error))
        finally:
            self._session = None

    async def _serve(self, command: str, args: list[str], env: dict[str, str], cwd: Path | None) -> None:
        from mcp import Client  # noqa: PLC0415 - heavy: only for who has MCP servers
        from mcp.client.stdio import StdioServerParameters, stdio_client  # noqa: PLC0415

        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        parameters = StdioServerParameters(command=command, args=args, env=env, cwd=cwd)
        with (self._log_path or Path(os.devnull)).open("a", encoding="utf-8") as log:
            async with Client(stdio_client(parameters, errlog=log)) as client:
                self._session = client.session
                self._ready.set_result(None)
                await self._stop.wait()
                self._session = None

    async def _list_tools(self) -> list[dict[str, Any]]:
        from mcp import types  # noqa: PLC0415

        tools: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            params = None if cursor is None else types.PaginatedRequestParams(cursor=cursor)
            page = await self._request(types.ListToolsRequest(params=params))
            listed = page.get("tools")
            if not isinstance(listed, list) or not all(isinstance(tool, dict) for tool in listed):
                raise McpServerError(self._told("answers `tools/list` with something else than tools"))
            tools += listed
            if len(tools) > TOOLS_MAX:
                raise McpServerError(self._told(f"lists more than {TOOLS_MAX} tools"))
            cursor = page.get("nextCursor")
            if cursor is None:
                return tools
        raise McpServerError(self._told(f"lists its tools on more than {PAGES_MAX} pages"))

    async def _call(self, name: str, args: dict[str, object], timeout_ms: int) -> dict[str, Any]:
        from mcp import types  # noqa: PLC0415

        params = types.CallToolRequestParams(name=name, arguments=args)
        return await self._request(types.CallToolRequest(params=params), timeout_ms)

    async def _request(self, request: Any, timeout_ms: int = REQUEST_TIMEOUT_MS) -> dict[str, Any]:
        """The result as it was on the wire: the package's own types drop what they don't know."""
        from pydantic import TypeAdapter  # noqa: PLC0415

        session = self._session
        if session is None:
            raise McpServerError(self._told("is not running"))
        as_it_is: Any = TypeAdapter(dict[str, Any])
        # Ours is the timeout that counts; this one only keeps the client from waiting for ever.
        timeout_s = timeout_ms / 1000 + TIMEOUT_MARGIN_S
        result: dict[str, Any] = await session.send_request(request, as_it_is, request_read_timeout_seconds=timeout_s)
        return result


class McpTool:
    """One tool of a server, for an executor (`streams.sdk.tools.ToolRunner`)."""

    def __init__(self, server: McpServerProcess, name: str) -> None:
        self._server = server
        self._name = name

    def definition_digest(self) -> bytes | None:
        """Asked of the server: a definition may change under way."""
        return self._server.definition_digest(self._name)

    def run(self, args: Mapping[str, object], timeout_ms: int) -> ToolResult:
        """As `run_cancellable`; nothing ends it early."""
        return self.run_cancellable(args, timeout_ms, Cancellation())

    def run_cancellable(self, args: Mapping[str, object], timeout_ms: int, cancellation: Cancellation) -> ToolResult:
        """Call it; where it is to end early, the server is told so.

        The content is the structured content if there is some, else the text, else the blocks.
        """
        result = self._server.call(self._name, args, timeout_ms, cancellation)
        if result.get("resultType", "complete") != "complete":
            return ToolResult(
                content=f"the server asks for `{result['resultType']}`, which is not supported", is_error=True
            )
        return ToolResult(content=_content(result), is_error=result.get("isError") is True)


@dataclass(frozen=True, kw_only=True)
class ToolFacts:
    """What the operator says of a tool. What is not said counts as the worst; the server's own hints are not used."""

    read_only: bool = False
    destructive: bool = True
    idempotent: bool = False
    open_world: bool = True
    reversible: bool = False
    compensating_tool: str | None = None
    output_label: Label | None = None
    output_labels: tuple[OutputLabel, ...] = ()
    sink_args: tuple[str, ...] = ()
    owner: str | None = None


def catalogue_entries(
    server_id: str,
    tools: Sequence[Mapping[str, Any]],
    facts: Mapping[str, ToolFacts],
    *,
    now_ms: int,
    source: str,
    tenant_uid: str,
    catalog_version: int = 1,
    reviewed_by: str | None = None,
    entropy: Entropy = SYSTEM,
) -> list[ToolCatalogEntry]:
    """What `tools/list` returned as entries of the catalogue.

    Args:
        facts: by tool name. A tool with facts becomes APPROVED if `reviewed_by` is given; every other is PROPOSED.
        source: who writes the entries.

    Raises:
        McpServerError: a tool has no name, no input schema, or no canonical form.
    """
    entries: list[ToolCatalogEntry] = []
    for tool in tools:
        name = tool.get("name")
        try:
            digests = definition_digests(tool)
            schema_json = json.dumps(tool["inputSchema"], sort_keys=True)
        except (CanonicalError, KeyError, TypeError) as error:
            raise McpServerError(f"tool `{server_id}/{name}` can't be catalogued: {error}") from error
        if not isinstance(name, str) or not name:
            raise McpServerError(f"MCP server `{server_id}` lists a tool without a name")
        known = facts.get(name)
        approved = known is not None and reviewed_by is not None
        about = known or ToolFacts()
        entries.append(
            ToolCatalogEntry(
                header=Header(id=entropy.uuid(now_ms), source=source, time=now_ms, tenant_uid=tenant_uid),
                server_id=server_id,
                name=name,
                catalog_version=catalog_version,
                state=EntryState.APPROVED if approved else EntryState.PROPOSED,
                title=_text(tool.get("title")),
                description=_text(tool.get("description")),
                input_schema_json=schema_json,
                output_schema_json=_json(tool.get("outputSchema")),
                annotations_json=_json(tool.get("annotations")),
                meta_json=_json(tool.get("_meta")),
                definition_digest=digests.definition,
                description_digest=digests.description,
                input_schema_digest=digests.input_schema,
                read_only=about.read_only,
                destructive=about.destructive,
                idempotent=about.idempotent,
                open_world=about.open_world,
                reversible=about.reversible,
                compensating_tool=about.compensating_tool,
                output_label=about.output_label,
                output_labels=about.output_labels,
                sink_args=about.sink_args,
                owner=about.owner,
                reviewed_by=reviewed_by if approved else None,
                reviewed_at=now_ms if approved else None,
            )
        )
    return entries


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True)


def _content(result: Mapping[str, Any]) -> object:
    structured = result.get("structuredContent")
    if structured is not None:
        return structured
    blocks = result.get("content")
    if isinstance(blocks, list) and all(isinstance(block, dict) and block.get("type") == "text" for block in blocks):
        return "\n".join(str(block.get("text", "")) for block in blocks)
    return blocks


def _first(error: BaseException) -> BaseException:
    """The first real error of a group: which is what a person can act on."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error
