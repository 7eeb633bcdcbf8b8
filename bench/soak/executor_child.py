"""An executor in a process of its own, which runs the calls of one server.

Not a command for people: `bench.soak.executor_child` is ready once it works, works until it is told to end, and reports
how many calls it has run.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.harness.child import READY, Child, ending, read_order, say
from bench.harness.world import ROOT_KEY, World
from streams.audit.seal_keys import SealKeys
from streams.ports import LogError
from streams.sdk import Executor, FunctionTool, ReportKey, RevocationWatch, SingleUseStore, VerdictLoop
from streams.sdk.connection.transport import Transport
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

SERVER = "mail"
TOOLS = ("mail/list", "mail/send")
GROUP = "stoplog-executor-soak"
INSTANCE = "e-1"
REJOIN_S = 1.0


class _Calls:
    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def call(self, args: Mapping[str, object]) -> object:
        """Count, and answer as long as the arguments are."""
        with self._lock:
            self.count += 1
        return {"done": str(args)}


def main() -> None:
    """Run it."""
    order = read_order()
    settings = Settings(**order["settings"])
    transport = Transport(open_log(settings), build_codec(settings), SystemClock())
    calls, stop = _Calls(), ending()
    with (
        SingleUseStore(Path(order["single_use"]), INSTANCE) as store,
        RevocationWatch(transport) as watch,
        Executor(
            transport,
            [SERVER],
            {name: FunctionTool(calls.call) for name in TOOLS},
            store,
            report_keys=ReportKey.derived(ROOT_KEY, SERVER),
            seal_keys=SealKeys.derived(ROOT_KEY),
            revocations=watch,
        ) as executor,
    ):
        say(READY)
        _work(executor, transport, stop)
    say({"calls": calls.count})


def _work(executor: Executor, transport: Transport, stop: threading.Event) -> None:
    """Follow the verdicts. After a machine has stood still, the group has put the member out: it joins again."""
    while not stop.is_set():
        try:
            VerdictLoop(executor, transport, group=GROUP, instance=INSTANCE).run(stop)
        except LogError:
            logging.getLogger(__name__).exception("the executor joins its group again")
            stop.wait(REJOIN_S)


@contextlib.contextmanager
def executing(world: World) -> Iterator[Child]:
    """Yield an executor that works; the caller ends it, and is told how many `calls` it has run."""
    order = {"settings": world.settings, "single_use": str(world.folder / "used")}
    with Child("bench.soak.executor_child", order) as child:
        child.wait_ready()
        yield child


if __name__ == "__main__":
    main()
