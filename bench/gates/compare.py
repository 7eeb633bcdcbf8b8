"""Compares the gate with that of an earlier commit: `python -m bench.gates.compare REVISION [--now REVISION]`.

Both versions have a log of their own with the same work on it, and take turns (`bench.harness.turns`); the result is
the median of the turns' ratios. Commits run from temporary git worktrees, with their own benchmark code and starter
packs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench.harness.checkouts import TurnTaker, full_revision, worktree
from bench.harness.environments import REPOSITORY
from bench.harness.machine import describe_machine, forget_settings
from bench.harness.report import RESULTS, save
from bench.harness.turns import take_turns

RULES = ("empty", "permit-all", "starter")
TURNS = 15
TURNS_MIN = 2
SESSIONS = 1_000
WARM_UP, COUNTED = 1_000, 6_000

# What `TurnTaker` runs, in both versions.
_GATE = f"""
import json, sys
try:
    from bench.gates.gate import load_intents, open_sessions, run_child
    from bench.harness.world import open_world
except ModuleNotFoundError:
    # Earlier commits have all modules in one folder.
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


def compare(revision: str, now: str | None, kind: str, turns: int) -> dict[str, Any]:
    """Measure both versions in turns, with each set of rules.

    Args:
        revision: the earlier commit.
        now: the later one; None for this checkout as it is.
        kind: which log both run on.
        turns: how many turns count.
    """
    # HEAD may be another commit by the end.
    revision, measured = full_revision(revision), full_revision(now or "HEAD")
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
        gates = [
            stack.enter_context(contextlib.closing(TurnTaker(checkout, _GATE, kind, rules, str(turns + 1))))
            for checkout in (earlier, later)
        ]
        pairs = take_turns(gates, _measured, turns)
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


def _measured(gate: TurnTaker) -> dict[str, float]:
    """Return what an intent of a turn took in us of CPU time, and how many intents there were in a second."""
    report = json.loads(gate.take_turn())
    return {
        "cpu_us_per_intent": report["cpu_s"] / report["records"] * 1e6,
        "intents_per_s": report["records"] / report["wall_s"],
    }


def main() -> int:
    """Run the comparison and write its result; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.gates.compare", description=__doc__)
    parser.add_argument("revision", metavar="REVISION", help="the earlier commit")
    parser.add_argument("--now", metavar="REVISION", help="the later commit (default: this checkout)")
    parser.add_argument("--log", choices=("embedded", "kafka"), default="embedded", help="which log both run on")
    parser.add_argument("--turns", type=int, default=TURNS, help=f"turns of each version (default: {TURNS})")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the result goes (default: bench/results)")
    options = parser.parse_args()
    if options.turns < TURNS_MIN:
        parser.error(f"`--turns` must be at least {TURNS_MIN}: the result has the quartiles of the turns' ratios")
    forget_settings()
    machine = describe_machine()
    result = compare(options.revision, options.now, options.log, options.turns)
    save("compare", result, machine, quick=options.turns < TURNS, folder=options.out)
    for case in result["cases"]:
        print(f"{case['rules']}: {case['cpu_ratio']:.3f} times the CPU, {case['rate_ratio']:.3f} times the intents/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
