"""Measures the intents per second and per core of a gate, and its CPU time by stage."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any

from bench.harness.records import intent_records, session_records
from bench.harness.turns import take_turns
from bench.harness.workload import RULE_SETS, credential
from bench.harness.world import KINDS, ROOT_KEY, Kind, World, open_world

CHILD_S_MAX = 240
TURNS = 20
TURN_SESSIONS = 2_000
TURN_WARM_UP, TURN_COUNTED = 1_000, 7_000
TURN_INTENTS = TURN_WARM_UP + TURN_COUNTED


def run(*, quick: bool) -> dict[str, Any]:
    """Measure each log with each set of rules, bare for the rates and timed for the stages.

    The machine's own speed changes by a fifth from minute to minute: the cases are run in turns, and of each the median
    counts.
    """
    sessions, bare, staged, rounds = (500, 4_000, 2_000, 1) if quick else (5_000, 40_000, 20_000, 5)
    order = [(kind, rules) for kind in KINDS for rules in (("empty", "starter") if quick else RULE_SETS)]
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {case: [] for case in order}
    for number in range(rounds):
        for kind, rules in order:
            with open_world(kind, rules) as world:
                runs[kind, rules].append(_measure(world, sessions, bare, staged if number == 0 else 0))
    found = {case: _median(own) for case, own in runs.items()}
    cases = [{"log": kind, "rules": rules, **found[kind, rules]} for kind, rules in order]
    return {
        "sessions": sessions,
        "intents": bare,
        "rounds": rounds,
        "cases": cases,
        "starter_to_permit_all": {kind: _starter_to_permit_all(kind, 3 if quick else TURNS) for kind in KINDS},
    }


def _median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure; the stages are of the run that measured them."""
    figures = {name: median(run[name] for run in runs) for name in runs[0] if name != "stages_us"}
    return {**figures, "stages_us": runs[0]["stages_us"]}


def _starter_to_permit_all(kind: Kind, turns: int) -> dict[str, float]:
    """Return the speed of the gate with the starter packs as a part of that with one rule that lets all through.

    The median of all turns' ratios.
    """
    found = reports_in_turns(kind, ("starter", "permit-all"), turns)
    pairs = [(_rates(starter), _rates(plain)) for starter, plain in found]
    return {name: median(starter[name] / plain[name] for starter, plain in pairs) for name in pairs[0][0]}


def reports_in_turns(
    kind: Kind, rule_sets: Sequence[str], turns: int, *, marked: bool = False
) -> list[tuple[dict[str, Any], ...]]:
    """Let gates with different rules, on logs of their own, take turns.

    Args:
        kind: the log.
        rule_sets: the rules of each gate.
        turns: how many turns count.
        marked: whether no two calls are equal; otherwise each session makes one call again and again.

    Returns:
        What the gates have reported in each turn (`run_child`), in the order of `rule_sets`.
    """
    with ExitStack() as stack:
        worlds = [stack.enter_context(open_world(kind, rules)) for rules in rule_sets]
        for world in worlds:
            open_sessions(world, TURN_SESSIONS)
            # A gate processes whole batches, so each turn processes a few more intents than it counts.
            load_intents(world, TURN_SESSIONS, 0, (turns + 1) * TURN_INTENTS * 5 // 4, marked=marked)
        return take_turns(worlds, lambda world: run_child(world, count=TURN_COUNTED, warm_up=TURN_WARM_UP), turns)


def _rates(report: dict[str, Any]) -> dict[str, float]:
    return {
        "intents_per_s": report["records"] / report["wall_s"],
        "intents_per_cpu_s": report["records"] / report["cpu_s"],
    }


def _measure(world: World, sessions: int, bare: int, staged: int) -> dict[str, Any]:
    open_sessions(world, sessions)
    load_intents(world, sessions, 0, bare)
    warm_up = bare // 10
    plain = run_child(world, count=bare - warm_up, warm_up=warm_up)
    case = {
        **_rates(plain),
        "cpu_us_per_intent": plain["cpu_s"] / plain["records"] * 1e6,
        "main_thread_us_per_intent": plain["main_thread_cpu_s"] / plain["records"] * 1e6,
        "rss_mb": plain["rss_mb"],
    }
    if staged:
        load_intents(world, sessions, bare, bare + staged)
        timed = run_child(world, count=staged - staged // 10, warm_up=staged // 10, staged=True)
        case["stages_us"] = timed["stages_us"]
    return case


def open_sessions(world: World, sessions: int) -> None:
    """Open the sessions, and let a gate take that in: what comes after is intents alone."""
    world.publish(session_records(world, (credential(ROOT_KEY, number) for number in range(sessions))))
    run_child(world, count=sessions, warm_up=0)


def load_intents(world: World, sessions: int, first: int, end: int, *, marked: bool = False) -> None:
    """Publish intents `first` to `end` of the sessions; no two of them are equal if they are `marked`."""
    world.publish(intent_records(world, sessions, first, end, marked=marked))


def run_child(
    world: World, *, count: int, warm_up: int, staged: bool = False, processor: str = "gate", **engine: int
) -> dict[str, Any]:
    """Run a gate in a process of its own until it has processed a number of records."""
    order = {
        "settings": world.gate_settings(engine),
        "count": count,
        "warm_up": warm_up,
        "staged": staged,
        "processor": processor,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.gates.gate_child", json.dumps(order)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=CHILD_S_MAX,
        check=True,
    )
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report
