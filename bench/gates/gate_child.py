"""A gate in a process of its own, which processes a given number of records and reports their cost.

Other modules run it: `python -m bench.gates.gate_child JSON` prints one line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from bench.gates.minimal_engine import build_minimal
from bench.gates.stages import StagedLog, StagedStores, Stages, stage_worker
from bench.harness.world import ROOT_KEY
from streams.engine.worker import Worker
from streams.ports.open_log import Log
from streams.services.gate.heap import settle_heap
from streams.stores.rocks import RocksStores
from streams.wiring.codecs import build_codec
from streams.wiring.gates import build_gate
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

IDLE_S_MAX = 60.0


def main() -> None:
    """Run it."""
    order = json.loads(sys.argv[1])
    settings = Settings(**order["settings"])
    log = open_log(settings)
    stages = Stages() if order["staged"] else None
    worker = _build(order["processor"], settings, log, stages)
    processed = ProcessedCount(worker)
    worker.start()
    # As the runner of a gate does.
    settle_heap()
    # A step processes a whole batch. The measurement begins at the end of the step that ends the warm-up.
    begun = _run(worker, processed, order["warm_up"])
    warm = _Usage()
    if stages is not None:
        stages.reset()
    counted = _run(worker, processed, order["warm_up"] + order["count"]) - begun
    used = _Usage().since(warm)
    report: dict[str, Any] = {"records": counted, **used, "rss_mb": _rss_mb()}
    if stages is not None:
        report["stages_us"] = stages.us_per(counted)
    worker.stop()
    log.close()
    sys.stdout.write(json.dumps(report) + "\n")


def _build(processor: str, settings: Settings, log: Log, stages: Stages | None) -> Worker:
    codec = build_codec(settings)
    stores = RocksStores(settings.state_dir / "gate" / settings.instance)
    if processor == "minimal":
        return build_minimal(settings, log, codec, stores)
    if stages is None:
        return build_gate(settings, log, codec, ROOT_KEY, stores)
    stages.wrap(codec, decode="decode", encode="encode")
    worker = build_gate(settings, StagedLog(log, stages), codec, ROOT_KEY, StagedStores(stores, stages))
    stage_worker(worker, stages)
    return worker


class ProcessedCount:
    """Counts the records that a worker has processed, from outside: hence the private name.

    A step tells how many it has read. It may process only a few of them, as the first one does, which makes the rules
    of each tool into code until its time is up; then the warm-up would be over before it has begun.
    """

    def __init__(self, worker: Worker) -> None:
        self.count = 0
        self._process = worker._process
        worker._process = self._counted  # type: ignore[method-assign]  # a worker has no such hook, and needs none

    def _counted(self) -> int:
        count = self._process()
        self.count += count
        return count


def _run(worker: Worker, processed: ProcessedCount, count: int) -> int:
    """Step until `count` records are processed, and return how many there are now."""
    active_s = time.monotonic()
    while processed.count < count:
        before = processed.count
        worker.step()
        now_s = time.monotonic()
        if processed.count > before:
            active_s = now_s
        elif now_s - active_s > IDLE_S_MAX:
            raise SystemExit(f"only {processed.count} of {count} records came")
    return processed.count


class _Usage:
    """What the process has used so far. CPU of all threads; `main_s` is this thread's."""

    def __init__(self) -> None:
        self.wall_s = time.monotonic()
        self.cpu_s = time.process_time()
        self.main_s = time.thread_time()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.switches = usage.ru_nivcsw

    def since(self, before: _Usage) -> dict[str, float]:
        """Return what was used since then."""
        return {
            "wall_s": self.wall_s - before.wall_s,
            "cpu_s": self.cpu_s - before.cpu_s,
            "main_thread_cpu_s": self.main_s - before.main_s,
            "preemptions": self.switches - before.switches,
        }


def _rss_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
