"""Real MCP servers that send too much, over stdio and over streamable HTTP."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.broker.kafka import free_port
from streams.model.canonical import canonical, sha256
from streams.model.definition import definition_digests
from streams.model.types import ToolRef
from streams.model.verdict import Verdict
from streams.sdk import Ending, Executor, McpServerError, SingleUseStore
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.seal_checks import UNPROVEN
from streams.sdk.mcp.tools import McpServerProcess, McpServerUrl
from tests.unit.sdk import raw_mcp_web_server
from tests.unit.sdk.hands import REPORT_KEY, key_of, make_verdict, watching
from tests.unit.sdk.raw_mcp_server import command_of, lists, lists_pages, tool
from tests.unit.sdk.test_mcp_http import WAIT_S
from tests.waiting import until_open

BYTES_MAX = 10_000
CONNECTIONS_MAX = 100
"""How many connections a client of HTTP has."""

TOO_MUCH = f"sent a message of more than {BYTES_MAX} bytes"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[McpServerProcess]:
    lists(tmp_path, *(tool(name) for name in ("say", "endless", "mute")))
    with McpServerProcess("raw", sys.executable, command_of(tmp_path), answer_bytes_max=BYTES_MAX) as running:
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
    monkeypatch.setattr("streams.sdk.mcp.server_log.LOG_BYTES_MAX", bytes_max)
    logs = tmp_path / "logs"
    logs.mkdir()
    with McpServerProcess("raw", sys.executable, command_of(tmp_path), log_path=logs / "server.log") as running:
        running.call("grumble", {"times": 200})
        with pytest.raises(McpServerError, match="out of paper"):
            running.call("die", {})
    sizes = {path.name: path.stat().st_size for path in logs.iterdir()}
    assert sizes.keys() == {"server.log", "server.log.1"}
    assert max(sizes.values()) <= bytes_max


def test_a_full_disk_loses_what_a_server_writes_and_no_call(tmp_path: Path) -> None:
    with McpServerProcess("raw", sys.executable, command_of(tmp_path), log_path=Path("/dev/full")) as running:
        for times in (20, 21):
            assert running.call("grumble", {"times": times})["content"][0]["text"] == f'{{"times": {times}}}'


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
    lists_pages(tmp_path, *pages, {"tools": []})
    with pytest.raises(McpServerError, match=f"lists its tools in more than {BYTES_MAX} bytes"):
        server.list_tools()


def test_no_more_is_held_of_a_server_that_asks_and_reads_no_answer(server: McpServerProcess, tmp_path: Path) -> None:
    # What is asked and its answer fill a pipe soon, so that the server can't go on unless somebody reads.
    with pytest.raises(TimeoutError):
        server.call("nag", {"times": 1_000, "letters": BYTES_MAX // 2}, timeout_ms=3_000)
    assert int((tmp_path / "asked").read_text()) < 100


def test_a_server_may_ask_for_much_at_once(server: McpServerProcess) -> None:
    assert server.call("nag", {"times": 100, "letters": 10})["structuredContent"] == {"answered": 100}
    assert server.call("say", {"bytes": 2})["content"] == [{"type": "text", "text": "xx"}]


def test_a_server_ends_with_what_it_has_started(tmp_path: Path) -> None:
    with McpServerProcess("raw", sys.executable, command_of(tmp_path)) as running:
        running.call("stay", {})
        pids = [int((tmp_path / name).read_text()) for name in ("pid", "child")]
    assert all(has_ended(pid) for pid in pids)


def test_a_server_that_leaves_a_child_with_its_pipes_leaves_none_of_them_open_here(tmp_path: Path) -> None:
    gc.collect()
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        with McpServerProcess("raw", sys.executable, command_of(tmp_path)) as running:
            running.call("leave", {})
        gc.collect()
    os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)
    assert not [str(each.message) for each in noted if issubclass(each.category, ResourceWarning)]


@pytest.fixture
def url() -> Iterator[str]:
    port = free_port()
    running = subprocess.Popen([sys.executable, raw_mcp_web_server.__file__, str(port)], stderr=subprocess.DEVNULL)
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


@pytest.mark.parametrize("kind", ["late plain", "late silent", "late interrupted"])
def test_a_call_that_was_given_up_before_its_answer_began_ends_no_session(url: str, kind: str) -> None:
    with McpServerUrl("web", url) as server:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                server.call("say", {"kind": kind}, timeout_ms=50)
        time.sleep(1)
        assert server.call("say", {"kind": "plain"}, timeout_ms=10_000)["content"] == [{"type": "text", "text": "x"}]
