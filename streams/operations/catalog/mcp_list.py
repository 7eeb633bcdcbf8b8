"""Asks a live MCP server which tools it has."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streams.model.errors import StoplogError
from streams.sdk.mcp.tools import McpServerProcess, McpServerUrl


class ListingError(StoplogError):
    """A server can't be asked; says what to do."""


def list_from_command(server_id: str, command: Sequence[str], env_names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Start a server, ask it for its tools, and stop it. Blocking.

    The server runs with the rights of this process, but with little of its environment: nobody has reviewed it yet, so
    the operator names the variables that it may see.

    Args:
        command: program and arguments.
        env_names: variables of this process to pass on besides PATH, HOME and a few others.

    Raises:
        ListingError: a variable is not set.
        McpServerError: the server can't be started, or does not answer.
    """
    env = {name: _variable(name) for name in env_names}
    with tempfile.TemporaryDirectory(prefix="stoplog-import-") as folder:
        log_path = Path(folder) / "server.log"
        with McpServerProcess(server_id, command[0], command[1:], env=env, log_path=log_path) as server:
            return server.list_tools()


def list_from_url(server_id: str, url: str, header_variables: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Ask a server for its tools over streamable HTTP. Blocking.

    Args:
        header_variables: for each header, the variable of this process that has its value.

    Raises:
        ListingError: a variable is not set.
        McpServerError: the server can't be reached, or does not answer.
    """
    headers = {header: _variable(name) for header, name in (header_variables or {}).items()}
    with McpServerUrl(server_id, url, headers=headers) as server:
        return server.list_tools()


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ListingError(f"environment variable `{name}` is not set")
    return value
