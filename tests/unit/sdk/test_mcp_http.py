"""Real MCP servers over streamable HTTP on this machine, and what a server says of its own changes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.broker.kafka import free_port
from streams.model.definition import definition_digests
from streams.sdk.errors import McpServerError
from streams.sdk.mcp.tools import McpServerProcess, McpServerUrl
from tests.unit.sdk.raw_mcp_server import command_of, lists, tool
from tests.waiting import until_open

ROOT = Path(__file__).resolve().parents[3]
WAIT_S = 30.0


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "tools.json").write_text(json.dumps([tool("echo", description="Says it again.", _meta={"a": 1})]))
    port = free_port()
    command = [sys.executable, "-m", "tests.unit.sdk.mcp_servers", str(tmp_path), str(port)]
    running = subprocess.Popen(command, cwd=ROOT)
    try:
        until_open(port)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        running.terminate()
        running.wait(WAIT_S)


def test_tools_are_listed_and_called(url: str, tmp_path: Path) -> None:
    with McpServerUrl("web", url, headers={"authorization": "Bearer x"}) as server:
        (listed,) = server.list_tools()
        assert (listed["name"], listed["_meta"]) == ("echo", {"a": 1})
        assert server.definition_digest("echo") == definition_digests(listed).definition
        assert server.call("echo", {"a": [1]})["content"][0]["text"] == '{"a": [1]}'
        changed = tool("echo", description="Says it twice.")
        (tmp_path / "tools.json").write_text(json.dumps([changed]))
        assert server.list_tools()[0]["description"] == "Says it twice."


def test_a_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(McpServerError, match=r"can't be reached at `http://127\.0\.0\.1:\d+/mcp`: "):
        McpServerUrl("web", f"http://127.0.0.1:{free_port()}/mcp")


def test_an_error_repeats_no_secret_of_the_address() -> None:
    place = f"127.0.0.1:{free_port()}"
    for address in (
        f"http://me:s3cret@{place}/mcp?api_key=s3cret#s3cret",
        "http://me:s3cret@example.com:8080/mcp?api_key=s3cret",
        "http://me:s3cret@example.com:s3cret/mcp",
        "http://me:s3cret@[bad/mcp",
        "http:/me:s3cret@example.com/mcp",
        "me:s3cret@example.com/mcp?s3cret",
    ):
        with pytest.raises(McpServerError) as raised:
            McpServerUrl("web", address)
        assert "s3cret" not in str(raised.value)
    with pytest.raises(McpServerError, match=r"not at `http://example\.com:8080/mcp`"):
        McpServerUrl("web", "http://me:s3cret@example.com:8080/mcp?api_key=s3cret")


def test_an_error_of_the_client_repeats_no_secret_of_the_address(url: str) -> None:
    wrong = url.removesuffix("/mcp") + "/elsewhere"
    with pytest.raises(McpServerError) as raised:
        McpServerUrl("web", f"{wrong}?api_key=s3cret")
    assert f"can't be reached at `{wrong}`: " in str(raised.value)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("address", ["http://example.com/mcp", "ftp://127.0.0.1/mcp", "file:///etc/passwd", "mcp", ""])
def test_only_what_nobody_can_change_on_the_way_is_asked(address: str) -> None:
    with pytest.raises(McpServerError, match="must be reached by `https`"):
        McpServerUrl("web", address)


def test_a_server_that_says_its_tools_have_changed_is_asked_again(tmp_path: Path) -> None:
    lists(tmp_path, tool("echo"))
    told = threading.Event()
    with McpServerProcess("raw", sys.executable, command_of(tmp_path)) as server:
        server.on_tools_changed = told.set
        before = server.definition_digest("echo")
        lists(tmp_path, tool("echo", description="now something else"))
        server.call("tell_changed", {})
        assert told.wait(WAIT_S)
        assert server.definition_digest("echo") != before
