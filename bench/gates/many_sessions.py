"""Opens a million sessions at a real gate, on the embedded log: what each costs, and what bounds that.

    python -m bench many_sessions
    python -m bench.gates.many_sessions --folder DIR [--sessions 100000,250000,500000,1000000] [--seconds 240]

`bench.gates.sessions` writes the rows of sessions that have lived for a while. Here each session is opened: the event
is on the log with the token service's proof, and the gate takes it in. At each size, calls go to sessions that are
spread over all of them, each in a session that was not used since it was opened, which is the hardest case.

With a folder, the log and the state stay there. A run goes on where the one before has ended, and ends itself after a
time, so that it can be made in parts. It prints a line for each size, and at its end the table of all sizes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from bench.gates.gate import run_child
from bench.harness.records import session_records
from bench.harness.workload import credential, intent, now_ms
from bench.harness.world import ROOT_KEY, World, prepare, reopen
from bench.tables.gates import many_sessions_table
from streams.model.topics import INTENT
from streams.ports import Outgoing
from streams.sdk.agent.credential import SessionCredential

SIZES = (10_000, 100_000, 250_000, 500_000, 1_000_000)
SIZES_QUICK = (500, 2_000)
CHUNK = 25_000
"""Sessions that are opened in one go."""
CALLS = 10_000
STRIDE = 7_919
LIFE_MS = 24 * 3_600_000
_DONE = "done.json"


class Case(msgspec.Struct):
    """What was measured at one size.

    Attributes:
        sessions: how many were open.
        open_us: CPU of the gate for opening one of the last of them.
        call_us: CPU of the gate for a call, in sessions that were not used since.
        rss_mb: memory of the gate after these calls.
        log_bytes, state_bytes: what a session takes on the log, and in the gate's state, without the calls.
    """

    sessions: int
    open_us: float = 0.0
    call_us: float = 0.0
    rss_mb: float = 0.0
    log_bytes: float = 0.0
    state_bytes: float = 0.0


class Done(msgspec.Struct):
    """How far a folder is."""

    opened: int = 0
    calls: int = 0
    call_log_bytes: int = 0
    call_state_bytes: int = 0
    open_us: float = 0.0
    cases: list[Case] = []


def run(*, quick: bool) -> dict[str, Any]:
    """Measure all sizes, in one run."""
    done = Done()
    with TemporaryDirectory(prefix="stoplog-bench-") as scratch:
        world = _open(Path(scratch))
        for _ in _steps(world, done, list(SIZES_QUICK if quick else SIZES)):
            pass
        world.log.close()
    return result_of(done)


def result_of(done: Done) -> dict[str, Any]:
    """Return what was measured, as a result that can be saved."""
    return {"calls": CALLS, "cases": msgspec.to_builtins(done.cases)}


def main() -> None:
    """Go on with the measurement."""
    parser = argparse.ArgumentParser(prog="python -m bench.gates.many_sessions", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the log and the state are")
    parser.add_argument("--sessions", default=",".join(map(str, SIZES)), help="the sizes to measure at")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing new after this time")
    options = parser.parse_args()
    sizes = sorted(int(text) for text in options.sessions.split(","))
    end_s = time.monotonic() + options.seconds
    world = _open(options.folder)
    path = options.folder / _DONE
    done = msgspec.json.decode(path.read_bytes(), type=Done) if path.exists() else Done()
    for _ in _steps(world, done, sizes):
        path.write_bytes(msgspec.json.encode(done))
        if time.monotonic() > end_s:
            print(f"{done.opened} sessions are open; run it again to go on", flush=True)
            break
    world.log.close()
    print(many_sessions_table(result_of(done)))


def _open(folder: Path) -> World:
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {
        "log": "embedded",
        "state_dir": str(folder / "state"),
        "tenant": "bench",
        "rules": {"allow_unsigned": True},
        "catalog": {"allow_unsigned": True},
        "release": {"allow_unsigned": True},
        "gate": {"session_idle_ms": LIFE_MS, "unattended_age_max_ms": LIFE_MS},
    }
    is_new = not (folder / _DONE).exists()
    world = reopen({"settings": settings, "folder": str(folder)})
    if is_new:
        prepare(world, "permit-all")
    return world


def _steps(world: World, done: Done, sizes: list[int]) -> Iterator[None]:
    """Do what is left, and yield after each part of it."""
    for size in sizes:
        while done.opened < size:
            count = min(CHUNK, size - done.opened)
            world.publish(session_records(world, map(_credential, range(done.opened, done.opened + count))))
            done.open_us = _cpu_us(run_child(world, count=count, warm_up=0))
            done.opened += count
            yield
        if size == done.opened and all(case.sessions != size for case in done.cases):
            done.cases.append(_case(world, done))
            print(json.dumps(msgspec.to_builtins(done.cases[-1])), flush=True)
            yield


def _case(world: World, done: Done) -> Case:
    log_bytes, state_bytes = _sizes(world)
    case = Case(done.opened, done.open_us)
    case.log_bytes = (log_bytes - done.call_log_bytes) / done.opened
    case.state_bytes = (state_bytes - done.call_state_bytes) / done.opened
    warm_up = CALLS // 10
    world.publish(_calls(world, done.calls, CALLS, done.opened))
    report = run_child(world, count=CALLS - warm_up, warm_up=warm_up)
    case.call_us, case.rss_mb = _cpu_us(report), report["rss_mb"]
    done.calls += CALLS
    after = _sizes(world)
    done.call_log_bytes += after[0] - log_bytes
    done.call_state_bytes += after[1] - state_bytes
    return case


def _cpu_us(report: dict[str, Any]) -> float:
    return float(report["cpu_s"] / report["records"] * 1e6)


def _calls(world: World, first: int, count: int, sessions: int) -> Iterator[Outgoing]:
    for number in range(first, first + count):
        session = _credential(number * STRIDE % sessions)
        record = intent(session, number)
        yield world.outgoing(INTENT, session.key, record, record.header)


def _credential(number: int) -> SessionCredential:
    return replace(credential(ROOT_KEY, number), expires_ms=now_ms() + LIFE_MS)


def _sizes(world: World) -> tuple[int, int]:
    """Return the bytes of the log, and of the gate's state."""
    state = Path(world.settings["state_dir"])
    inside = sum(path.stat().st_size for path in (state / "gate").rglob("*") if path.is_file())
    whole = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())
    return whole - inside, inside


if __name__ == "__main__":
    main()
