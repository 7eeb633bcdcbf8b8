"""A gate in a process of its own, as measurements run it."""

from __future__ import annotations

from bench.gates.gate import load_intents, open_sessions, run_child
from bench.harness.world import open_world
from streams.model.topics import VERDICT


def test_a_gate_is_measured_over_the_intents_that_it_has_decided() -> None:
    with open_world("embedded", "starter") as world:
        open_sessions(world, 10)
        load_intents(world, 10, 0, 1_000)
        # The first step reads all of them, and decides a few: it makes the rules of each tool into code.
        run_child(world, count=500, warm_up=500)
        # The ends of partitions count the marks of transactions, too: some twenty.
        assert sum(world.ends(VERDICT).values()) >= 1_000
