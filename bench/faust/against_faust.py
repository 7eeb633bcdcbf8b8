"""Compares our engine with Faust, both with the same minimal work, and with the whole gate; all in one run."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from bench.gates.gate import load_intents, open_sessions, run_child
from bench.harness.environments import REPOSITORY, python_of
from bench.harness.world import World, open_world

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
AGENT_S_MAX = 180
STORE = "rocksdb://"


def run(*, quick: bool) -> dict[str, Any]:
    """Measure the three, one after the other on fresh brokers, with the same number of the same intents."""
    python = python_of("faust", REQUIREMENTS)
    sessions, count = (200, 2_000) if quick else (1_000, 30_000)
    with open_world("kafka", "empty") as world:
        load_intents(world, sessions, 0, count)
        faust = _run_agent(world, python, count)
    with open_world("kafka", "empty") as world:
        load_intents(world, sessions, 0, count)
        engine = run_child(world, count=count - count // 10, warm_up=count // 10, processor="minimal")
    with open_world("kafka", "empty") as world:
        open_sessions(world, sessions)
        load_intents(world, sessions, 0, count)
        gate = run_child(world, count=count - count // 10, warm_up=count // 10)
    cases = {"faust": _rates(faust), "engine, same work": _rates(engine), "gate, no rules": _rates(gate)}
    return {
        "intents": count,
        "sessions": sessions,
        "faust": _faust_versions(),
        "cases": cases,
        "ratios": {
            name: {
                "intents_per_s": case["intents_per_s"] / cases["faust"]["intents_per_s"],
                "intents_per_cpu_s": case["intents_per_cpu_s"] / cases["faust"]["intents_per_cpu_s"],
            }
            for name, case in cases.items()
        },
    }


def _rates(report: dict[str, Any]) -> dict[str, float]:
    return {
        "intents_per_s": report["records"] / report["wall_s"],
        "intents_per_cpu_s": report["records"] / report["cpu_s"],
        "cpu_us_per_intent": report["cpu_s"] / report["records"] * 1e6,
    }


def _run_agent(world: World, python: Path, count: int) -> dict[str, Any]:
    warm_up = count // 10
    with tempfile.TemporaryDirectory(prefix="stoplog-faust-") as folder:
        report = Path(folder) / "report.json"
        order = {
            "bootstrap": world.settings["bootstrap"],
            "store": STORE,
            "folder": folder,
            "report": str(report),
            "warm_up": warm_up,
            "count": count - warm_up,
        }
        subprocess.run(
            [str(python), "-m", "bench.faust.agent", json.dumps(order)],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=AGENT_S_MAX,
            check=True,
        )
        result: dict[str, Any] = json.loads(report.read_text())
        return result


def _faust_versions() -> list[str]:
    return [line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
