"""An MCP server that speaks just enough of the protocol, so that a test can have it say anything."""

from __future__ import annotations

import json
from pathlib import Path

RAW_SERVER = r"""
import json, os, sys, time
folder = sys.argv[1]
for line in sys.stdin:
    message = json.loads(line)
    method, params = message.get("method"), message.get("params", {})
    if "id" not in message:
        continue
    if method == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                  "serverInfo": {"name": "raw", "version": "1"}}
    elif method == "tools/list":
        result = json.loads(open(os.path.join(folder, "tools.json")).read())
        if isinstance(result, list):
            result = result[int(params.get("cursor", 0))]
    elif method == "tools/call":
        name = params["name"]
        if name == "slow":
            time.sleep(60)
        if name == "die":
            sys.stderr.write("out of paper\n"); sys.stderr.flush(); sys.exit(3)
        if name == "environment":
            text = json.dumps(dict(os.environ))
        else:
            text = json.dumps(params.get("arguments"))
        result = {"content": [{"type": "text", "text": text}], "isError": name == "fail"}
    else:
        reply = {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no such method"}}
        print(json.dumps(reply), flush=True)
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


def tool(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "inputSchema": {"type": "object"}, **more}


def lists(folder: Path, *tools: dict[str, object]) -> None:
    (folder / "tools.json").write_text(json.dumps({"tools": list(tools)}))
