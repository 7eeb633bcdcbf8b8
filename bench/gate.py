"""Intents per second and per core, and CPU by stage."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from bench.workload import RULE_SETS, credential, established, intent
from bench.world import KINDS, ROOT_KEY, World, open_world
from streams.model.topics import INTENT, SESSION
from streams.ports import Outgoing

CHILD_S_MAX = 240


def run(*, quick: bool) -> dict[str, Any]:
    """Measure each log with each set of rules: once bare for the rates, once timed for the stages."""
    sessions, bare, staged = (500, 4_000, 2_000) if quick else (5_000, 60_000, 20_000)
    results = []
    for kind in KINDS:
        for rules in ("empty", "starter") if quick else RULE_SETS:
            with open_world(kind, rules) as world:
                results.append({"log": kind, "rules": rules, **_measure(world, sessions, bare, staged)})
    return {"sessions": sessions, "intents": bare, "cases": results}


def _measure(world: World, sessions: int, bare: int, staged: int) -> dict[str, Any]:
    open_sessions(world, sessions)
    load_intents(world, sessions, 0, bare)
    warm_up = bare // 10
    plain = run_child(world, count=bare - warm_up, warm_up=warm_up)
    load_intents(world, sessions, bare, bare + staged)
    warm_up = staged // 10
    timed = run_child(world, count=staged - warm_up, warm_up=warm_up, staged=True)
    return {
        "intents_per_s": plain["records"] / plain["wall_s"],
        "intents_per_cpu_s": plain["records"] / plain["cpu_s"],
        "cpu_us_per_intent": plain["cpu_s"] / plain["records"] * 1e6,
        "main_thread_us_per_intent": plain["main_thread_cpu_s"] / plain["records"] * 1e6,
        "stages_us": timed["stages_us"],
        "rss_mb": plain["rss_mb"],
    }


def open_sessions(world: World, sessions: int) -> None:
    """Open the sessions, and let a gate take that in: what comes after is intents alone."""
    world.publish(_session_records(world, sessions))
    run_child(world, count=sessions, warm_up=0)


def load_intents(world: World, sessions: int, first: int, end: int) -> None:
    """Intents `first` to `end` of the sessions."""
    world.publish(intent_records(world, sessions, first, end))


def _session_records(world: World, sessions: int) -> Iterator[Outgoing]:
    for number in range(sessions):
        session = credential(ROOT_KEY, number)
        event = established(ROOT_KEY, session)
        yield world.outgoing(SESSION, session.key, event, event.header)


def intent_records(world: World, sessions: int, first: int, end: int) -> Iterator[Outgoing]:
    """Made as they are asked for."""
    credentials = [credential(ROOT_KEY, number) for number in range(sessions)]
    for number in range(first, end):
        session = credentials[number % sessions]
        record = intent(session, number)
        yield world.outgoing(INTENT, session.key, record, record.header)


def run_child(
    world: World, *, count: int, warm_up: int, staged: bool = False, processor: str = "gate", **engine: int
) -> dict[str, Any]:
    """A gate in a process of its own, until it has taken in so many records."""
    order = {
        "settings": world.gate_settings(engine),
        "count": count,
        "warm_up": warm_up,
        "staged": staged,
        "processor": processor,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.gate_child", json.dumps(order)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=CHILD_S_MAX,
        check=True,
    )
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report
