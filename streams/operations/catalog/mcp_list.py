"""Asking a live MCP server what tools it has."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streams.model.errors import StoplogError
from streams.sdk.mcp_tools import McpServerProcess, McpServerUrl


class ListingError(StoplogError):
    """A server can't be asked as it is named; says what to do."""


def list_from_command(server_id: str, command: Sequence[str], env_names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Start a server, ask it, and end it. Blocking.

    It runs with the rights of this process, and with little of its environment: what a server that nobody has reviewed
    yet may see is for its operator to say.

    Args:
        command: program and arguments.
        env_names: variables of this process that it gets besides PATH, HOME and the like.

    Raises:
        ListingError: a variable is not set.
        McpServerError: it can't be started, or does not answer.
    """
    env = {name: _variable(name) for name in env_names}
    with tempfile.TemporaryDirectory(prefix="stoplog-import-") as folder:
        log_path = Path(folder) / "server.log"
        with McpServerProcess(server_id, command[0], command[1:], env=env, log_path=log_path) as server:
            return server.list_tools()


def list_from_url(server_id: str, url: str, header_variables: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Ask a server over streamable HTTP. Blocking.

    Args:
        header_variables: variables of this process by the header that carries their value.

    Raises:
        ListingError: a variable is not set.
        McpServerError: it can't be reached, or does not answer.
    """
    headers = {header: _variable(name) for header, name in (header_variables or {}).items()}
    with McpServerUrl(server_id, url, headers=headers) as server:
        return server.list_tools()


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ListingError(f"environment variable `{name}` is not set")
    return value
