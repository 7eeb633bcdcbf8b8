"""Measures how long commands take from start to end, as CPU time and as a ratio to a Python that does nothing.

Each command runs as a process of its own. CPU time (user and system) is used because other programs share the cores; of
several runs the smallest counts. As in an installation, modules have been compiled: the bytecode is kept in a folder of
the measurement, even where the environment says that Python writes none. The log is that of the demonstration, on the
embedded log. `rules check` is measured at 1,000 and 10,000 rules, with proofs, on the bundles of `bench.parts.rules`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.parts.rules import make_bundle

RUNS = 3
LONG_RUNS = 1
CHECKED = (1_000, 10_000)
_STATE = "STATE"
COMMANDS: tuple[str, ...] = (
    "--version",
    "--help",
    "tail --help",
    "kill --help",
    "session show --help",
    "rules --help",
    "rules check --help",
    "gate --help",
    "try --help",
    "demo --help",
    "doctor --help",
    "reach --help",
    "replay --help",
    "incident --help",
    "behaviour --help",
    "tail alerts --no-follow --state-dir STATE",
    "tail verdicts --no-follow --state-dir STATE",
    "session list --state-dir STATE",
    "session show SESSION --state-dir STATE",
    "rules explain --intent ALERT --state-dir STATE",
    "explain ALERT --state-dir STATE",
    "audit why ALERT --state-dir STATE",
    "audit session SESSION --state-dir STATE",
    "alerts list --state-dir STATE",
    "alerts show ALERT --state-dir STATE",
    "approvals list --state-dir STATE",
    "contain SESSION --state-dir STATE",
    "rules status --state-dir STATE",
    "catalog list --state-dir STATE",
    "catalog show mail/send --state-dir STATE",
    "kill --tool mail/send --why measured --state-dir STATE",
)


def run(*, quick: bool) -> dict[str, Any]:
    """Measure, and return the CPU time of each command in ms."""
    with tempfile.TemporaryDirectory(prefix="stoplog-bench-") as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "bytecode")
        names = _demonstrated(Path(folder) / "demo")
        runs = 1 if quick else RUNS
        empty_ms = min(_cpu_ms([sys.executable, "-c", "pass"]) for _ in range(runs))
        measured = []
        for text in COMMANDS:
            words = [names.get(word, word) for word in text.split()]
            measured.append(_row(text, words, empty_ms, runs))
        for count in CHECKED[:1] if quick else CHECKED:
            rules = _written(Path(folder) / str(count), count)
            measured.append(_row(f"rules check, {count:,} rules", ["rules", "check", rules], empty_ms, LONG_RUNS))
    return {"empty_ms": round(empty_ms, 1), "commands": measured}


def _row(text: str, words: list[str], empty_ms: float, runs: int) -> dict[str, Any]:
    cpu_ms = min(_cpu_ms([sys.executable, "-m", "streams.cli", *words]) for _ in range(runs))
    return {"command": text, "cpu_ms": round(cpu_ms, 1), "ratio": round(cpu_ms / empty_ms, 1)}


def _cpu_ms(command: list[str]) -> float:
    """Run a command and return the CPU time that it took, ms."""
    silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    process_id = os.posix_spawn(command[0], command, dict(os.environ), file_actions=silent)
    _, status, usage = os.wait4(process_id, 0)
    assert status == 0, command
    return (usage.ru_utime + usage.ru_stime) * 1_000


def _demonstrated(folder: Path) -> dict[str, str]:
    """Run the demonstration, and return what stands for the words in `COMMANDS`."""
    subprocess.run([sys.executable, "-m", "streams.cli", "demo", "--keep", str(folder), "--json"], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    state = str(folder / "state")
    tail = [sys.executable, "-m", "streams.cli", "tail", "alerts", "--no-follow", "--json", "--state-dir", state]
    printed = subprocess.run(tail, check=True, capture_output=True, text=True).stdout
    alert = json.loads(printed.splitlines()[0])["value"]
    return {_STATE: state, "SESSION": alert["session_id"], "ALERT": alert["finding_uid"]}


def _written(folder: Path, count: int) -> str:
    for path, text in make_bundle(count).files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return str(folder)
