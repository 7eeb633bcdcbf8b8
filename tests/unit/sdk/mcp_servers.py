"""A real MCP server for tests, over stdio or streamable HTTP: `python mcp_servers.py FOLDER [PORT]`.

It lists what `FOLDER/tools.json` says, anew with each listing, and answers calls with their arguments.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp import types
from mcp.server import Server


def server(folder: Path) -> Server[Any]:
    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        listed = json.loads((folder / "tools.json").read_text())
        return types.ListToolsResult(tools=[types.Tool.model_validate(tool) for tool in listed])

    async def call_tool(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        text = json.dumps(params.arguments)
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)])

    return Server("for tests", on_list_tools=list_tools, on_call_tool=call_tool)


def main() -> None:
    made = server(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        import uvicorn

        uvicorn.run(made.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
        return

    async def serve() -> None:
        from mcp.server.stdio import stdio_server

        async with stdio_server() as (read, write):
            await made.run(read, write, made.create_initialization_options())

    anyio.run(serve)


if __name__ == "__main__":
    main()
