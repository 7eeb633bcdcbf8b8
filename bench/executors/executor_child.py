"""An executor in a process of its own, which reports when its calls began, and its CPU time and memory.

`bench.executors.executor` runs this file: it is ready once it works, works until it is told to end, and reports. It
also runs with the code of an earlier commit. So it imports nothing of the benchmarks, and has its own part of the
exchange that `bench.harness.child` describes.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streams.audit.seal_keys import SealKeys
from streams.sdk import Executor, FunctionTool, ReportKey, RevocationWatch, SingleUseStore, VerdictLoop
from streams.sdk.connection.transport import Transport
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

SAMPLE_S = 0.1
_KIB = 1024


class Calls:
    """When each call began, in ns, and the CPU time of the process then, in s. All memory is taken at the start."""

    def __init__(self, count: int) -> None:
        self.began_ns = array("q", bytes(8 * count))
        self.cpu_s = array("d", bytes(8 * count))
        self.done_count = 0
        self.ran_twice = 0
        self.complete = threading.Event()
        self._lock = threading.Lock()

    def call(self, args: Mapping[str, object]) -> object:
        """Do nothing but take the time."""
        number = args["number"]
        if not isinstance(number, int):
            raise TypeError
        with self._lock:
            self.ran_twice += self.began_ns[number] != 0
            self.began_ns[number] = time.time_ns()
            self.cpu_s[number] = time.process_time()
            self.done_count += 1
            if self.done_count == len(self.began_ns):
                self.complete.set()
        return "done"


def main() -> None:
    """Run it."""
    order = json.loads(sys.argv[1])
    settings = Settings(**order["settings"])
    transport = Transport(open_log(settings), build_codec(settings), SystemClock())
    calls = Calls(order["calls"])
    tools = {name: FunctionTool(calls.call) for name in order["tools"]}
    servers, root_key = order["servers"], bytes.fromhex(order["root_key"])
    report_keys = {server_id: ReportKey.derived(root_key, server_id) for server_id in servers}
    stop = threading.Event()
    rss_kb: list[int] = []
    with (
        SingleUseStore(Path(order["single_use"]), order["instance"]) as store,
        RevocationWatch(transport) as watch,
        Executor(
            transport,
            servers,
            tools,
            store,
            report_keys=report_keys,
            seal_keys=SealKeys.derived(root_key),
            revocations=watch,
        ) as executor,
    ):
        loop = VerdictLoop(executor, transport, group=order["group"], instance=order["instance"])
        threading.Thread(target=_tell_complete, args=(calls,), daemon=True).start()
        threading.Thread(target=_sample, args=(stop, rss_kb), daemon=True).start()
        threading.Thread(target=_await_end, args=(stop,), daemon=True).start()
        _say("ready")
        loop.run(stop)
    _say(
        {
            "began_ns": list(calls.began_ns),
            "cpu_s": list(calls.cpu_s),
            "ran_twice": calls.ran_twice,
            "rss_kb": rss_kb,
        }
    )


def _await_end(stop: threading.Event) -> None:
    sys.stdin.readline()
    stop.set()


def _tell_complete(calls: Calls) -> None:
    calls.complete.wait()
    _say("complete")


def _sample(stop: threading.Event, rss_kb: list[int]) -> None:
    page_kb = os.sysconf("SC_PAGE_SIZE") // _KIB
    while not stop.wait(SAMPLE_S):
        rss_kb.append(int(Path("/proc/self/statm").read_text().split()[1]) * page_kb)


def _say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
