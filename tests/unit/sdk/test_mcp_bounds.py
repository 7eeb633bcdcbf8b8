"""Real MCP servers that send too much, over stdio and over streamable HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.broker.kafka import free_port
from streams.model.canonical import canonical, sha256
from streams.model.definition import definition_digests
from streams.model.types import ToolRef
from streams.model.verdict import Verdict
from streams.sdk import Ending, Executor, McpServerError, SingleUseStore
from streams.sdk.mcp_tools import McpServerProcess, McpServerUrl
from streams.sdk.seal_checks import UNPROVEN
from streams.sdk.transport import Transport
from tests.unit.sdk.hands import REPORT_KEY, key_of, make_verdict, watching
from tests.unit.sdk.raw_mcp_server import tool
from tests.unit.sdk.test_mcp_http import WAIT_S
from tests.waiting import until_open

BYTES_MAX = 10_000
CONNECTIONS_MAX = 100
"""How many connections a client of HTTP has."""

TOO_MUCH = f"sent a message of more than {BYTES_MAX} bytes"

# Answers `say` with as many bytes as it is asked for, and `endless` with a message that does not end.
STDIO_SERVER = r"""
import json, os, sys, time
open(os.path.join(sys.argv[1], "pid"), "w").write(str(os.getpid()))
for line in sys.stdin:
    message = json.loads(line)
    method, params = message.get("method"), message.get("params", {})
    if "id" not in message:
        continue
    if method == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                  "serverInfo": {"name": "raw", "version": "1"}}
    elif method == "tools/list":
        pages = json.loads(open(os.path.join(sys.argv[1], "tools.json")).read())
        result = pages[int(params.get("cursor", 0))]
    elif method == "tools/call" and params["name"] == "endless":
        while True:
            sys.stdout.write("x" * 65536)
    elif method == "tools/call" and params["name"] == "grumble":
        for _ in range(params["arguments"]["times"]):
            sys.stderr.write("y" * 9_999 + "\n")
        sys.stderr.write("out of paper\n"); sys.stderr.flush()
        if params["arguments"].get("dies"):
            sys.exit(3)
        result = {"content": []}
    elif method == "tools/call" and params["name"] == "mute":
        continue
    elif method == "tools/call" and params["name"] == "nag":
        # It asks and asks, and reads an answer only afterwards, if at all.
        for number in range(params["arguments"]["times"]):
            asked = {"jsonrpc": "2.0", "id": "%d %s" % (number, "x" * params["arguments"]["bytes"]), "method": "ping"}
            sys.stdout.write(json.dumps(asked) + "\n"); sys.stdout.flush()
            open(os.path.join(sys.argv[1], "asked"), "w").write(str(number + 1))
        answers = [json.loads(sys.stdin.readline()) for _ in range(params["arguments"]["times"])]
        answered = len({each["id"] for each in answers if "result" in each})
        result = {"content": [], "structuredContent": {"answered": answered}}
    elif method == "tools/call":
        result = {"content": [{"type": "text", "text": "x" * params["arguments"]["bytes"]}]}
    else:
        reply = {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no such method"}}
        print(json.dumps(reply), flush=True)
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""

# The same over HTTP: `kind` says how a call is answered.
HTTP_SERVER = r"""
import gzip, http.server, json, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    gets = 0
    def do_GET(self):
        Handler.gets += 1
        self.interrupted()
    def do_DELETE(self): self.send_error(405)
    def interrupted(self):
        # A stream of events that ends without an answer, and is to be asked for again at once.
        data = b"id: 1\nretry: 0\ndata: \n\n"
        self.send_response(200); self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(data))); self.end_headers(); self.wfile.write(data)
    def part(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        method, params = message.get("method"), message.get("params", {})
        if "id" not in message:
            self.send_response(202); self.send_header("content-length", "0"); self.end_headers()
            return
        if method == "initialize":
            result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                      "serverInfo": {"name": "web", "version": "1"}}
        elif method == "tools/call":
            kind = params["arguments"]["kind"]
            if kind == "silent":
                # It never answers, but keeps the stream of events open.
                self.send_response(200); self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked"); self.end_headers()
                self.part(b"id: 7\ndata: \n\n")
                while True:
                    self.part(b": still there\n\n"); time.sleep(0.2)
            if kind == "interrupted":
                self.interrupted()
                return
            text = str(Handler.gets) if kind == "gets" else "x" * params["arguments"].get("bytes", 1)
            result = {"content": [{"type": "text", "text": text}]}
            if kind.startswith("endless"):
                events = kind == "endless events"
                self.send_response(200)
                self.send_header("content-type", "text/event-stream" if events else "application/json")
                self.send_header("transfer-encoding", "chunked"); self.end_headers()
                self.part(b"event: message\ndata: " if events else b'{"')
                while True:
                    self.part(b"x" * 65536)
        else:
            reply = json.dumps({"jsonrpc": "2.0", "id": message["id"],
                                "error": {"code": -32601, "message": "no such method"}}).encode()
            self.answer(reply)
            return
        reply = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        if params.get("arguments", {}).get("kind") == "compressed":
            self.answer(gzip.compress(reply), "gzip")
        else:
            self.answer(reply)
    def answer(self, data, encoding=None):
        self.send_response(200); self.send_header("content-type", "application/json")
        if encoding: self.send_header("content-encoding", encoding)
        self.send_header("content-length", str(len(data))); self.end_headers(); self.wfile.write(data)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[McpServerProcess]:
    listed = [tool(name) for name in ("say", "endless", "mute")]
    (tmp_path / "tools.json").write_text(json.dumps([{"tools": listed}]))
    command = ["-c", STDIO_SERVER, str(tmp_path)]
    with McpServerProcess("raw", sys.executable, command, answer_bytes_max=BYTES_MAX) as running:
        yield running


def has_ended(pid: int) -> bool:
    """Return whether a process ends, in time."""
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_an_answer_that_is_too_long_ends_its_call_and_no_other(server: McpServerProcess) -> None:
    for _ in range(3):
        with pytest.raises(McpServerError, match=TOO_MUCH):
            server.call("say", {"bytes": BYTES_MAX})
        with pytest.raises(McpServerError, match=TOO_MUCH):
            server.call("say", {"bytes": 3 * BYTES_MAX})
        assert len(server.call("say", {"bytes": BYTES_MAX - 200})["content"][0]["text"]) == BYTES_MAX - 200


def test_what_a_server_writes_to_its_standard_error_fills_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bytes_max = 100_000
    monkeypatch.setattr("streams.sdk.server_log.LOG_BYTES_MAX", bytes_max)
    (tmp_path / "tools.json").write_text(json.dumps([{"tools": []}]))
    logs = tmp_path / "logs"
    logs.mkdir()
    command = ["-c", STDIO_SERVER, str(tmp_path)]
    with McpServerProcess("raw", sys.executable, command, log_path=logs / "server.log") as running:
        assert running.call("grumble", {"times": 200}) == {"content": []}
        with pytest.raises(McpServerError, match="out of paper"):
            running.call("grumble", {"times": 0, "dies": True})
    sizes = {path.name: path.stat().st_size for path in logs.iterdir()}
    assert sizes.keys() == {"server.log", "server.log.1"}
    assert max(sizes.values()) <= bytes_max


def test_a_full_disk_loses_what_a_server_writes_and_no_call(tmp_path: Path) -> None:
    (tmp_path / "tools.json").write_text(json.dumps([{"tools": []}]))
    command = ["-c", STDIO_SERVER, str(tmp_path)]
    with McpServerProcess("raw", sys.executable, command, log_path=Path("/dev/full")) as running:
        for _ in range(2):
            assert running.call("grumble", {"times": 20}) == {"content": []}


def test_all_calls_that_wait_end_with_a_message_that_is_too_long(server: McpServerProcess) -> None:
    ends: list[Exception] = []

    def wait() -> None:
        with contextlib.suppress(TimeoutError):
            try:
                server.call("mute", {})
            except McpServerError as error:
                ends.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while waiting.is_alive():
        # It may be asked before the other call is; then it is asked again.
        with pytest.raises(McpServerError, match=TOO_MUCH):
            server.call("say", {"bytes": BYTES_MAX})
    waiting.join(WAIT_S)
    assert TOO_MUCH in str(ends[0])


def test_a_server_whose_message_does_not_end_is_stopped(server: McpServerProcess, tmp_path: Path) -> None:
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(McpServerError, match=TOO_MUCH):
        server.call("endless", {})
    assert has_ended(pid)
    with pytest.raises(McpServerError):
        server.call("say", {"bytes": 1})


def test_an_executor_reports_the_call_as_an_error_of_the_tool(
    transport: Transport, server: McpServerProcess, tmp_path: Path
) -> None:
    approved = definition_digests(server.list_tools()[0]).definition
    ref = ToolRef(server_id="raw", name="say", definition_digest=approved)

    def verdict_of(length: int) -> Verdict:
        args = canonical({"bytes": length})
        return make_verdict(audience="raw", tool=ref, args_json=args.decode(), args_digest=sha256(args))

    with (
        SingleUseStore(tmp_path / "used", "e-1") as store,
        watching(transport) as revocations,
        Executor(
            transport,
            ["raw"],
            server.tools(),
            store,
            report_keys=REPORT_KEY,
            seal_keys=UNPROVEN,
            revocations=revocations,
        ) as executor,
    ):
        verdict = verdict_of(BYTES_MAX)
        outcome = executor.execute(verdict, key_of(verdict))
        assert outcome.ending is Ending.TOOL_ERROR
        assert TOO_MUCH in outcome.text
        assert "xxx" not in str(outcome)
        verdict = verdict_of(5)
        assert executor.execute(verdict, key_of(verdict)).content == "xxxxx"


def test_a_listing_is_bounded_over_all_its_pages(server: McpServerProcess, tmp_path: Path) -> None:
    pages = [
        {"tools": [tool(f"t{page}", description="x" * (BYTES_MAX // 2))], "nextCursor": str(page + 1)}
        for page in range(2)
    ]
    (tmp_path / "tools.json").write_text(json.dumps([*pages, {"tools": []}]))
    with pytest.raises(McpServerError, match=f"lists its tools in more than {BYTES_MAX} bytes"):
        server.list_tools()


def test_no_more_is_held_of_a_server_that_asks_and_reads_no_answer(server: McpServerProcess, tmp_path: Path) -> None:
    # What is asked and its answer fill a pipe soon, so that the server can't go on unless somebody reads.
    with pytest.raises(TimeoutError):
        server.call("nag", {"times": 1_000, "bytes": BYTES_MAX // 2}, timeout_ms=3_000)
    assert int((tmp_path / "asked").read_text()) < 100


def test_a_server_may_ask_for_much_at_once(server: McpServerProcess) -> None:
    assert server.call("nag", {"times": 100, "bytes": 10})["structuredContent"] == {"answered": 100}
    assert server.call("say", {"bytes": 2})["content"] == [{"type": "text", "text": "xx"}]


def test_a_server_ends_with_what_it_has_started(tmp_path: Path) -> None:
    # It ignores the end of its input, and so does its child.
    script = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open(os.path.join(sys.argv[1], 'child'), 'w').write(str(child.pid))\n"
    ) + STDIO_SERVER
    (tmp_path / "tools.json").write_text(json.dumps([{"tools": []}]))
    with McpServerProcess("raw", sys.executable, ["-c", script + "\ntime.sleep(600)", str(tmp_path)]) as running:
        running.list_tools()
        pids = [int((tmp_path / name).read_text()) for name in ("pid", "child")]
    assert all(has_ended(pid) for pid in pids)


@pytest.fixture
def url() -> Iterator[str]:
    port = free_port()
    running = subprocess.Popen([sys.executable, "-c", HTTP_SERVER, str(port)], stderr=subprocess.DEVNULL)
    try:
        until_open(port)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        running.kill()
        running.wait(WAIT_S)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"kind": "plain", "bytes": BYTES_MAX}, TOO_MUCH),
        ({"kind": "endless"}, TOO_MUCH),
        ({"kind": "endless events"}, f"exceeded the {BYTES_MAX} byte limit"),
        ({"kind": "compressed", "bytes": 100 * BYTES_MAX}, "is compressed"),
    ],
)
def test_a_body_that_is_too_long_ends_its_call(url: str, arguments: dict[str, object], text: str) -> None:
    with McpServerUrl("web", url, answer_bytes_max=BYTES_MAX) as server:
        with pytest.raises(McpServerError, match=text):
            server.call("say", arguments)
        answer = server.call("say", {"kind": "plain", "bytes": 5})
    assert answer["content"] == [{"type": "text", "text": "xxxxx"}]


def test_a_server_can_not_have_itself_asked_again_without_a_pause(url: str) -> None:
    with McpServerUrl("web", url) as server:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                server.call("say", {"kind": "interrupted"}, timeout_ms=300)
        time.sleep(1)
        gets = int(server.call("say", {"kind": "gets"})["content"][0]["text"])
    assert 0 < gets < 20


def test_calls_that_were_given_up_keep_no_connection(url: str) -> None:
    with McpServerUrl("web", url) as server:
        for _ in range(CONNECTIONS_MAX + 5):
            with pytest.raises(TimeoutError):
                server.call("say", {"kind": "silent"}, timeout_ms=30)
        assert server.call("say", {"kind": "plain"}, timeout_ms=10_000)["content"] == [{"type": "text", "text": "x"}]
