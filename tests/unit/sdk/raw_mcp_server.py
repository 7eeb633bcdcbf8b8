"""An MCP server that speaks just enough of the protocol over stdio, so that a test can have it say anything.

`python raw_mcp_server.py FOLDER` lists what `FOLDER/tools.json` says, anew with each listing: one page, or an array of
pages. It writes its process id to `FOLDER/pid`. A call is answered with its arguments, or does what the name of its
tool says. If there is a file `FOLDER/listings`, each listing adds a letter to it, and says that the tools have changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SLOW_S = 60.0
"""How long the tool `slow` takes."""

STAYS_S = 600
"""How long the server and its child ignore the end of their input after a call of `stay`; the child alone, in a
session of its own, after one of `leave`."""


def command_of(folder: Path) -> list[str]:
    """Return the arguments with which Python runs this server."""
    return [__file__, str(folder)]


def tool(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "inputSchema": {"type": "object"}, **more}


def lists(folder: Path, *tools: dict[str, object]) -> None:
    """Have the server of a folder list these tools on one page."""
    lists_pages(folder, {"tools": list(tools)})


def lists_pages(folder: Path, *pages: dict[str, object]) -> None:
    """Have the server of a folder list these pages; the cursor of a page is its index."""
    (folder / "tools.json").write_text(json.dumps(pages))


def _serve(folder: Path) -> None:
    (folder / "pid").write_text(str(os.getpid()))
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            _answer(folder, message["id"], message["method"], message.get("params", {}))
    if (folder / "child").exists():
        time.sleep(STAYS_S)


def _answer(folder: Path, asked_id: object, method: str, params: dict[str, Any]) -> None:
    if method == "initialize":
        result: dict[str, Any] | None = {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "raw", "version": "1"},
        }
    elif method == "tools/list":
        _note_listing(folder / "listings")
        result = json.loads((folder / "tools.json").read_text())[int(params.get("cursor", 0))]
    elif method == "tools/call" and params["name"] == "nag":
        result = {"content": [], "structuredContent": {"answered": _nag(folder, **params["arguments"])}}
    elif method == "tools/call":
        result = _call(folder, params["name"], params.get("arguments") or {})
    else:
        _send({"id": asked_id, "error": {"code": -32601, "message": "no such method"}})
        return
    if result is not None:
        _send({"id": asked_id, "result": result})


def _call(folder: Path, name: str, args: dict[str, Any]) -> dict[str, Any] | None:
    """Do what the name of a tool says, and return its result; None where no answer ever comes."""
    text = json.dumps(args)
    match name:
        case "slow":
            time.sleep(SLOW_S)
        case "mute":
            return None
        case "die":
            sys.stderr.write("out of paper\n")
            sys.exit(3)
        case "grumble":
            for _ in range(args["times"]):
                sys.stderr.write("y" * 9_999 + "\n")
            sys.stderr.flush()
        case "endless":
            while True:
                sys.stdout.write("x" * 65_536)
        case "say":
            text = "x" * args["bytes"]
        case "environment":
            text = json.dumps(dict(os.environ))
        case "tell_changed":
            _send({"method": "notifications/tools/list_changed"})
        case "stay" | "leave":
            leaves = name == "leave"
            sleeping = subprocess.Popen(["sleep", str(STAYS_S)], start_new_session=leaves)
            (folder / ("left" if leaves else "child")).write_text(str(sleeping.pid))
    return {"content": [{"type": "text", "text": text}], "isError": name == "fail"}


def _note_listing(listings: Path) -> None:
    if listings.exists():
        with listings.open("a") as file:
            file.write("x")
        _send({"method": "notifications/tools/list_changed"})


def _nag(folder: Path, times: int, letters: int) -> int:
    """Ask and ask, and read the answers only afterwards, if at all; return how many requests were answered."""
    for number in range(times):
        _send({"id": f"{number} {'x' * letters}", "method": "ping"})
        (folder / "asked").write_text(str(number + 1))
    answers = [json.loads(sys.stdin.readline()) for _ in range(times)]
    return len({each["id"] for each in answers if "result" in each})


def _send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
