"""Use MCP servers as tools: as a subprocess over stdio, or over streamable HTTP.

The `mcp` package is imported only when a server is started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.errors import McpServerError
from streams.sdk.mcp.catalog import ToolFacts, catalog_entries
from streams.sdk.mcp.server import (
    ANSWER_BYTES_MAX,
    REQUEST_TIMEOUT_MS,
    START_TIMEOUT_MS,
    TIMEOUT_MARGIN_S,
    McpServer,
    McpTool,
)
from streams.sdk.mcp.server_log import ServerLog
from streams.sdk.protected import is_protected, shown_url, without_secrets

__all__ = ["McpServer", "McpServerProcess", "McpServerUrl", "McpTool", "ToolFacts", "catalog_entries"]


class McpServerProcess(McpServer):
    """An MCP server that runs as a subprocess.

    Its environment holds what the protocol's client passes by itself (PATH, HOME and the like) and what the caller
    gives it, and no other variables of this process, so no secrets.
    """

    def __init__(
        self,
        server_id: str,
        command: str,
        args: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
        log_path: Path | None = None,
        entropy: Entropy = SYSTEM,
    ) -> None:
        """Start the server; see `McpServer`."""

        self._command = command

        def connect(log: ServerLog) -> Any:
            from streams.sdk.mcp.stdio import stdio_transport  # noqa: PLC0415 - as `Client`

            started = [command, *args]
            return stdio_transport(started, env=env or {}, cwd=cwd, log=log, answer_bytes_max=answer_bytes_max)

        super().__init__(server_id, connect, answer_bytes_max=answer_bytes_max, log_path=log_path, entropy=entropy)

    def _why_not(self, error: Exception) -> str:
        """Return that the server can't be used, and why."""
        if isinstance(error, FileNotFoundError) and error.filename is not None:
            # The directory to start in, or that of the log, may be what is missing.
            what = f"program `{self._command}`" if str(error.filename) == self._command else f"`{error.filename}`"
            return f"can't be started: there is no {what}"
        return f"can't be started by `{self._command}`: {error}"


class McpServerUrl(McpServer):
    """An MCP server that is reached over streamable HTTP."""

    def __init__(
        self,
        server_id: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
        entropy: Entropy = SYSTEM,
    ) -> None:
        """Connect to the server; see `McpServer`.

        Args:
            url: the server's endpoint; `https`, or `http` on this machine.
            headers: sent with each request, such as an authorization.
            answer_bytes_max: see `McpServer`.

        Raises:
            McpServerError: see `McpServer`; also if the address is not protected by TLS.
        """
        _check_url(server_id, url)
        self._url = url

        def connect(_log: ServerLog) -> Any:
            import httpx2  # noqa: PLC0415 - as `Client`

            from streams.sdk.mcp.http import http_transport  # noqa: PLC0415 - as `Client`

            timeout = httpx2.Timeout(START_TIMEOUT_MS / 1000, read=REQUEST_TIMEOUT_MS / 1000 + TIMEOUT_MARGIN_S)
            return http_transport(url, headers=headers or {}, timeout=timeout, answer_bytes_max=answer_bytes_max)

        super().__init__(server_id, connect, answer_bytes_max=answer_bytes_max, entropy=entropy)

    def _why_not(self, error: Exception) -> str:
        """Return that the server can't be used, and why."""
        return f"can't be reached at `{shown_url(self._url)}`: {self._text_of(error)}"

    def _text_of(self, error: Exception) -> str:
        """Return what an error says. Those of the HTTP client repeat the address, which may have a password in it."""
        return without_secrets(str(error), self._url)


def _check_url(server_id: str, url: str) -> None:
    """Reject an address whose traffic others could change on the way."""
    try:
        if is_protected(url):
            return
    except ValueError:
        # It says what is wrong in the words of the address, which may have a password in it.
        raise McpServerError(f"MCP server `{server_id}`: its address is not a URL") from None
    raise McpServerError(f"MCP server `{server_id}` must be reached by `https`, not at `{shown_url(url)}`")
