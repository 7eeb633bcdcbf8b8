"""Requests to an MCP server over HTTP, of which some report calls that were given up."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from streams.sdk.mcp.http_calls import CallsUnderWay


@pytest.mark.parametrize("rest", [{}, {"params": None}, {"params": {}}, {"params": {"requestId": "c-1"}}])
def test_a_report_that_is_about_no_call_is_sent_on(rest: dict[str, Any]) -> None:
    message = {"jsonrpc": "2.0", "method": "notifications/cancelled", **rest}
    report = httpx2.Request("POST", "http://127.0.0.1/mcp", json=message)
    asyncio.run(CallsUnderWay().before(report))
