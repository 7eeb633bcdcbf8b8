"""Measures what it costs to count the work of rules: judgements with an account of work, and without one.

    python -m bench.parts.counting [--rounds 15] [--calls 300]

The calls are those with which the cases of the starter packs begin, judged by the starter bundle in this process.
Rounds with and without an account take turns, so that both meet the same state of the machine. The result is the CPU
time of the fastest round of each, because other work on the machine only adds to it, and the number of calls of
functions, which no other work can change. Without an account, functions look for one and count nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from bench.harness.environments import REPOSITORY
from streams.policy import CompiledRuleset, compile_bundle, load_bundle
from streams.policy.cel.work import Account
from streams.policy.runtime import ruleset as judging

RULES = REPOSITORY / "rules"
ROUNDS, CALLS = 15, 300


class _NoAccount:
    """Takes the place of the variable that has the account, and has none."""

    def set(self, _account: Account) -> None:
        """Keep nothing."""

    def reset(self, _token: None) -> None:
        """Keep nothing."""


@contextmanager
def uncounted() -> Iterator[None]:
    """Let no judgement have an account of work."""
    names = vars(judging)
    kept = names["CURRENT"]
    names["CURRENT"] = _NoAccount()
    try:
        yield
    finally:
        names["CURRENT"] = kept


def time_of(ruleset: CompiledRuleset, facts: Mapping[str, Any], calls: int) -> float:
    """Return the CPU time of one judgement in microseconds."""
    begun_ns = time.thread_time_ns()
    for _ in range(calls):
        ruleset.judge(facts)
    return (time.thread_time_ns() - begun_ns) / calls / 1_000


def calls_of(run: Callable[[], object]) -> int:
    """Return how many functions are called, built-in ones included."""
    count = 0

    def profile(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def measure(rounds: int, calls: int) -> list[dict[str, Any]]:
    """Return one row for each kind of call."""
    ruleset = compile_bundle(load_bundle(RULES))
    rows = []
    for path in sorted((RULES / "fixtures").glob("*.json")):
        facts = {"history": ruleset.memories.empty_history(), **json.loads(path.read_text())}
        judged = partial(ruleset.judge, facts)
        judged()
        counted, free = [], []
        for _ in range(rounds):
            counted.append(time_of(ruleset, facts, calls))
            with uncounted():
                free.append(time_of(ruleset, facts, calls))
        with uncounted():
            free_calls = calls_of(judged)
        rows.append(
            {
                "call": path.stem,
                "counted_us": round(min(counted), 1),
                "uncounted_us": round(min(free), 1),
                "ratio": round(min(counted) / min(free), 3),
                "counted_calls": calls_of(judged),
                "uncounted_calls": free_calls,
            }
        )
    return rows


def main(argv: list[str] | None = None) -> int:
    """Measure, and print a table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.parts.counting", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds with and without an account")
    parser.add_argument("--calls", type=int, default=CALLS, help="judgements of a round")
    options = parser.parse_args(argv)
    rows = measure(options.rounds, options.calls)
    print(f"{'call':<10} {'counted':>10} {'uncounted':>10} {'ratio':>7} {'calls':>12}")
    for row in rows:
        times = f"{row['counted_us']:>7.1f} us {row['uncounted_us']:>7.1f} us {row['ratio']:>7.3f}"
        print(f"{row['call']:<10} {times} {row['counted_calls']:>5} / {row['uncounted_calls']}")
    total = sum(row["counted_us"] for row in rows) / sum(row["uncounted_us"] for row in rows)
    print(f"all together: {total:.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
