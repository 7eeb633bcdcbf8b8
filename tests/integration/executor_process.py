"""An executor in a process of its own: appends a line to a file for each call that runs."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from simulation.records import ROOT_KEY
from streams.audit.seal_keys import SealKeys
from streams.ports import LogError
from streams.sdk import Executor, ExecutorError, ReportError, ReportKey, RevocationWatch, SingleUseStore, VerdictLoop
from streams.sdk.connection.transport import Transport
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

RESTARTS_MAX = 20
RESTART_PAUSE_S = 0.5
# A restart of the broker takes longer than what an executor waits by default; a refused call would not be run again.
STALE_AFTER_MS = 60_000


def main() -> None:
    order = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = Settings(**order["settings"])
    transport = Transport(open_log(settings), build_codec(settings), SystemClock())
    runs = os.open(order["runs"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def pay(args: Mapping[str, object]) -> str:
        # One write: lines of several processes don't run into one another.
        os.write(runs, f"{args['number']}\n".encode())
        return "paid"

    key = ReportKey.derived(ROOT_KEY, "bank")
    for _ in range(RESTARTS_MAX):
        # All anew, as a supervisor would: an executor reports what its former life has left.
        with SingleUseStore(Path(order["single_use"]), order["instance"]) as single_use:
            watch = RevocationWatch(transport, stale_after_ms=STALE_AFTER_MS)
            try:
                with (
                    watch,
                    Executor(
                        transport,
                        ["bank"],
                        {"bank/pay": pay},
                        single_use,
                        report_keys=key,
                        seal_keys=SealKeys.derived(ROOT_KEY),
                        revocations=watch,
                    ) as executor,
                ):
                    VerdictLoop(executor, transport, group=order["group"], instance=order["instance"]).run(stop)
                return
            except (ExecutorError, ReportError, LogError) as error:
                logging.warning("the executor starts again: %s, after %r", error, error.__context__)
        if stop.wait(RESTART_PAUSE_S):
            return
    sys.exit(f"the executor has failed {RESTARTS_MAX} times")


if __name__ == "__main__":
    main()
