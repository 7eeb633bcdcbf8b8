"""Runs a gate and an executor on Kafka under a steady load, and looks at their memory once a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.harness.child import Child
from bench.harness.gate_process import served_gate
from bench.harness.workload import TEXTS
from bench.harness.world import Kind, open_world
from bench.soak.executor_child import TOOLS, executing
from bench.soak.load import CALLS_PER_SESSION, SESSIONS_LIVE, loading
from bench.soak.slopes import S_PER_MINUTE, second_half, slope_per_minute

MINUTES = 30
RATE = 100
SLOPE_MB_PER_MINUTE_MAX = 0.5
SAMPLE_S = 1.0
PROCESSES = ("gate", "executor")
CALLS_SHARE_MIN = 0.5
"""Of the calls that the executor would run if none expired while the machine stands still."""

_KINDS = {"VmRSS": "rss", "RssAnon": "own"}

Sample = tuple[float, float]
Series = dict[tuple[str, str], list[Sample]]
"""What was measured (`rss` or `own`), of whom, and the samples."""


def measure(kind: Kind, minutes: float, rate: int, told: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Run it.

    Args:
        kind: the log.
        minutes: for how long.
        rate: intents a second.
        told: called with a line once a minute.

    Returns:
        The result for `bench.harness.report`. `flat` says whether both slopes are below the bound.

    Raises:
        RuntimeError: the load or the executor has ended before its time, or the executor has run too few calls.
    """
    with open_world(kind, "permit-all") as world, served_gate(world) as gate, executing(world) as executor:
        with loading(world, rate=rate) as load:
            pids = {"gate": gate.pid, "executor": executor.pid}
            samples = _sample(pids, minutes, {"load": load, "executor": executor}, told)
            made = load.end()
        calls = executor.end()["calls"]
    check_calls(made["intents"], calls)
    slopes = {name: slope_per_minute(second_half(samples["own", name])) for name in PROCESSES}
    return {
        "log": kind,
        "minutes": minutes,
        "rate_per_s": rate,
        "sessions_live": SESSIONS_LIVE,
        "calls_per_session": CALLS_PER_SESSION,
        **made,
        "calls": calls,
        "slope_mb_per_minute_max": SLOPE_MB_PER_MINUTE_MAX,
        "slopes_mb_per_minute": slopes,
        "own_mb": {name: _by_minute(samples["own", name]) for name in PROCESSES},
        "rss_mb": {name: _by_minute(samples["rss", name]) for name in PROCESSES},
        "flat": max(slopes.values()) <= SLOPE_MB_PER_MINUTE_MAX,
    }


def check_calls(intents: int, calls: int) -> None:
    """Refuse a measurement of an executor that was idle: its memory says nothing.

    Args:
        intents: how many were proposed; the tools have taken turns, and all were allowed.
        calls: how many the executor has run.

    Raises:
        RuntimeError: fewer than `CALLS_SHARE_MIN` of the calls of its tools.
    """
    own = intents * len(TOOLS) // len(TEXTS)
    if calls < max(1, own * CALLS_SHARE_MIN):
        raise RuntimeError(f"the executor has run {calls} of {own} calls: it was idle, and nothing has been measured")


def _sample(
    pids: Mapping[str, int], minutes: float, children: Mapping[str, Child], told: Callable[[str], None]
) -> Series:
    """Return when each sample was taken, in s since the start, and the memory then, in MB."""
    samples: Series = {(kind, name): [] for kind in ("rss", "own") for name in pids}
    began_s, told_minutes = time.monotonic(), 0
    while (passed_s := time.monotonic() - began_s) < minutes * S_PER_MINUTE:
        for name, child in children.items():
            if not child.running:
                raise RuntimeError(f"the {name} has ended before its time")
        for name, pid in pids.items():
            for kind, value in _memory_mb(pid).items():
                samples[kind, name].append((passed_s, value))
        if passed_s >= (told_minutes + 1) * S_PER_MINUTE:
            told_minutes += 1
            told(f"{told_minutes}: " + ", ".join(f"{name} {samples['own', name][-1][1]:.1f} MB" for name in pids))
        time.sleep(SAMPLE_S)
    return samples


def _memory_mb(pid: int) -> dict[str, float]:
    """Return the resident memory of a process, and what of it is its own and no page of a file.

    The kernel drops pages of files (libraries, above all) and reads them again as it likes: only the own memory says
    whether the process grows.
    """
    found: dict[str, float] = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in _KINDS:
            found[_KINDS[name]] = int(value.split()[0]) / 1024
    if len(found) < len(_KINDS):
        raise RuntimeError(f"process {pid} has ended")
    return found


def _by_minute(samples: list[Sample]) -> list[float]:
    """Return the mean of each minute."""
    by_minute: dict[int, list[float]] = {}
    for time_s, value in samples:
        by_minute.setdefault(int(time_s // S_PER_MINUTE), []).append(value)
    return [fmean(values) for values in by_minute.values()]
