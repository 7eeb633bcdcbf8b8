"""An executor in a process of its own, which reports when each stop took effect in it, and when calls began.

Other modules run it: `bench.executors.kill_child` is ready once it works, and works until it is told to end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from bench.harness.child import READY, ending, read_order, say
from bench.harness.workload import catalog_records
from bench.harness.world import ROOT_KEY
from streams.model.report_keys import REPORT_KEYS_NAME
from streams.sdk import (
    Executor,
    FunctionTool,
    LoopSettings,
    ReportKey,
    RevocationWatch,
    SingleUseStore,
    VerdictLoop,
)
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.seal_checks import UNPROVEN
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings


def main() -> None:
    """Run it."""
    order = read_order()
    settings = Settings(**order["settings"])
    transport = Transport(open_log(settings), build_codec(settings), SystemClock(), settings.release.trusted())
    began_ns: list[int] = []
    in_force: dict[int, int] = {}

    def call(_args: Mapping[str, object]) -> object:
        began_ns.append(time.time_ns())
        return "done"

    entries = [entry for entry in catalog_records(ROOT_KEY) if entry.name != REPORT_KEYS_NAME]
    tools = {f"{entry.server_id}/{entry.name}": FunctionTool(call, entry.definition_digest) for entry in entries}
    servers = sorted({entry.server_id for entry in entries})
    keys = {server_id: ReportKey.derived(ROOT_KEY, server_id) for server_id in servers}
    stop = ending()
    with (
        SingleUseStore(Path(order["single_use"]), order["instance"]) as store,
        RevocationWatch(transport) as watch,
        Executor(transport, servers, tools, store, report_keys=keys, seal_keys=UNPROVEN, revocations=watch) as executor,
    ):

        def note() -> None:
            now_ns = time.time_ns()
            for known in watch.stops()[-1:]:
                in_force.setdefault(known.offset, now_ns)

        watch.listen(note)
        loop = VerdictLoop(
            executor, transport, group=order["group"], instance=order["instance"], settings=LoopSettings(concurrency=2)
        )
        say(READY)
        loop.run(stop)
    say({"in_force_ns": in_force, "began_ns": began_ns})


if __name__ == "__main__":
    main()
