"""Compare the gate with that of an earlier commit: `python -m bench.compare REVISION [--now REVISION] [--turns N]`.

Both versions have a log of their own with the same work on it, and take turns (`bench.turns`); the result is the median
of the turns' ratios. Commits run from temporary git worktrees, with their own benchmark code and starter packs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench.machine import describe_machine, forget_settings
from bench.report import RESULTS, save
from bench.turns import take_turns

REPOSITORY = Path(__file__).resolve().parents[1]
RULES = ("empty", "permit-all", "starter")
TURNS = 15
SESSIONS = 1_000
WARM_UP, COUNTED = 1_000, 6_000
TURN_S_MAX = 240

# Runs in the checkout that is measured, with that checkout's code: it may use only what both versions have. One line
# comes in for each turn, and one report goes out.
_ARENA = f"""
import json, sys
from bench.gate import load_intents, open_sessions, run_child
from bench.world import open_world
kind, rules, turns = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open_world(kind, rules) as world:
    open_sessions(world, {SESSIONS})
    # A gate processes whole batches, so each turn processes a few more intents than it counts.
    load_intents(world, {SESSIONS}, 0, turns * {WARM_UP + COUNTED} * 5 // 4)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(run_child(world, count={COUNTED}, warm_up={WARM_UP})), flush=True)
"""


class Arena:
    """One version of the gate with a log of its own, which takes a turn when it is asked to."""

    def __init__(self, checkout: Path, kind: str, rules: str, turns: int) -> None:
        """Start it; `measure` waits until the log is loaded."""
        path = os.pathsep.join((str(checkout), str(checkout / "examples")))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ARENA, kind, rules, str(turns)],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._line() != "ready":
            raise RuntimeError(f"the benchmark in `{checkout}` did not start")

    def measure(self) -> dict[str, float]:
        """Take one turn.

        Returns:
            CPU in microseconds per intent, and intents per second.
        """
        if self._process.stdin is None:
            raise RuntimeError("the process has no standard input")
        self._process.stdin.write("turn\n")
        self._process.stdin.flush()
        report = json.loads(self._line())
        return {
            "cpu_us_per_intent": report["cpu_s"] / report["records"] * 1e6,
            "intents_per_s": report["records"] / report["wall_s"],
        }

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=TURN_S_MAX)

    def _line(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("the process has no standard output")
        return self._process.stdout.readline().strip()


def compare(revision: str, now: str | None, kind: str, turns: int) -> dict[str, Any]:
    """Measure both versions in turns, with each set of rules.

    Args:
        revision: the earlier commit.
        now: the later one; None for this checkout as it is.
        kind: which log both run on.
        turns: how many turns count.
    """
    # HEAD may be another commit by the end.
    revision, measured = _full(revision), _full(now or "HEAD")
    now = now and measured
    with contextlib.ExitStack() as stack:
        earlier = stack.enter_context(worktree(revision))
        later = REPOSITORY if now is None else stack.enter_context(worktree(now))
        cases = [_case(earlier, later, kind, rules, turns) for rules in RULES]
    return {
        "revision": revision,
        "now": measured,
        "log": kind,
        "turns": turns,
        "intents_per_turn": COUNTED,
        "cases": cases,
    }


def _case(earlier: Path, later: Path, kind: str, rules: str, turns: int) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        arenas = [
            stack.enter_context(contextlib.closing(Arena(checkout, kind, rules, turns + 1)))
            for checkout in (earlier, later)
        ]
        pairs = take_turns(arenas, Arena.measure, turns)
    ratios = sorted(now["cpu_us_per_intent"] / before["cpu_us_per_intent"] for before, now in pairs)
    low, _, high = quantiles(ratios, n=4)
    return {
        "rules": rules,
        "earlier_us": median(before["cpu_us_per_intent"] for before, _ in pairs),
        "now_us": median(now["cpu_us_per_intent"] for _, now in pairs),
        "cpu_ratio": median(ratios),
        "cpu_ratio_quartiles": [low, high],
        "rate_ratio": median(now["intents_per_s"] / before["intents_per_s"] for before, now in pairs),
    }


@contextlib.contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """A checkout of an earlier commit, in a temporary git worktree."""
    with tempfile.TemporaryDirectory(prefix="stoplog-compare-") as folder:
        checkout = Path(folder) / "earlier"
        _git("worktree", "add", "--detach", str(checkout), revision)
        try:
            yield checkout
        finally:
            _git("worktree", "remove", "--force", str(checkout))


def _full(revision: str) -> str:
    return _git("rev-parse", revision).strip()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return done.stdout


def main() -> int:
    """Run the comparison and write its result; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("revision", metavar="REVISION", help="the earlier commit")
    parser.add_argument("--now", metavar="REVISION", help="the later commit (default: this checkout)")
    parser.add_argument("--log", choices=("embedded", "kafka"), default="embedded", help="which log both run on")
    parser.add_argument("--turns", type=int, default=TURNS, help=f"turns of each version (default: {TURNS})")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the result goes (default: bench/results)")
    options = parser.parse_args()
    forget_settings()
    machine = describe_machine()
    result = compare(options.revision, options.now, options.log, options.turns)
    save("compare", result, machine, quick=options.turns < TURNS, folder=options.out)
    for case in result["cases"]:
        print(f"{case['rules']}: {case['cpu_ratio']:.3f} times the CPU, {case['rate_ratio']:.3f} times the intents/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
