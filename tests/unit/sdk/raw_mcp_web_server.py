"""An MCP server over streamable HTTP whose answers are too long: `python raw_mcp_web_server.py PORT`.

The argument `kind` of a call says how it is answered: `plain`, `compressed`, `endless`, `endless events`, `silent` (by
a stream of events that never has the answer), `interrupted` (by one that ends before it and is to be asked for again
at once) or `gets` (by how often that was done), `late` or `late` and another kind (once the call was given up); `bytes`
how long its text is.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LATE_S = 0.5


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gets_count = 0

    def log_message(self, *_: object) -> None:
        """Write nothing of single requests."""

    def do_GET(self) -> None:
        _Handler.gets_count += 1
        self._interrupt()

    def do_DELETE(self) -> None:
        self.send_error(405)

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "id" not in message:
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        args = message.get("params", {}).get("arguments", {})
        kind = args.get("kind", "plain")
        if kind.startswith("late"):
            time.sleep(LATE_S)
            kind = kind.removeprefix("late ")
        if kind == "silent":
            self._stay_silent()
        if kind == "interrupted":
            self._interrupt()
            return
        if kind.startswith("endless"):
            self._answer_without_end(as_events=kind == "endless events")
        reply = json.dumps({"jsonrpc": "2.0", "id": message["id"], **_answer(message["method"], args)}).encode()
        if kind == "compressed":
            self._reply(gzip.compress(reply), "gzip")
        else:
            self._reply(reply)

    def _reply(self, data: bytes, encoding: str | None = None) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        if encoding is not None:
            self.send_header("content-encoding", encoding)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _interrupt(self) -> None:
        data = b"id: 1\nretry: 0\ndata: \n\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stay_silent(self) -> None:
        self._begin_parts(as_events=True)
        self._part(b"id: 7\ndata: \n\n")
        while True:
            self._part(b": still there\n\n")
            time.sleep(0.2)

    def _begin_parts(self, *, as_events: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if as_events else "application/json")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def _answer_without_end(self, *, as_events: bool) -> None:
        self._begin_parts(as_events=as_events)
        self._part(b"event: message\ndata: " if as_events else b'{"')
        while True:
            self._part(b"x" * 65_536)

    def _part(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def _answer(method: str, args: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        server = {"name": "web", "version": "1"}
        return {"result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": server}}
    if method == "tools/call":
        text = str(_Handler.gets_count) if args.get("kind") == "gets" else "x" * args.get("bytes", 1)
        return {"result": {"content": [{"type": "text", "text": text}]}}
    return {"error": {"code": -32601, "message": "no such method"}}


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
