"""A gate that is killed again and again leaves a log that is whole, and that can be replayed."""

from __future__ import annotations

from typing import Literal

import pytest

from bench.faults import killed_gate, kills
from bench.faults.killed_gate import killed
from bench.harness.world import open_world


@pytest.mark.parametrize(
    ("log", "rounds"), [("embedded", 8), pytest.param("kafka", 3, marks=pytest.mark.broker)], ids=["embedded", "kafka"]
)
def test_the_log_is_whole_and_comes_out_again(log: Literal["embedded", "kafka"], rounds: int) -> None:
    with open_world(log, "starter") as world:
        found = killed(world, rounds, seed=1)
    assert found.lives.total() == rounds
    assert found.lives["while it worked"] > 0
    assert (found.undecided, found.contradicted) == (0, 0)
    assert [each for each in found.partitions if each.offence or each.unknown] == []
    assert sum(each.verdicts for each in found.partitions) >= found.intents > 0
    assert found.replay.differences == []
    assert found.is_clean


def test_a_gate_that_ends_by_itself_is_not_counted_as_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(killed_gate, "EARLY_SHARE", 0.0)
    with open_world("embedded", "starter") as world:
        world.settings["log"] = "none"
        with pytest.raises(RuntimeError, match="ended by itself before it was killed, with status 1"):
            killed(world, rounds=1, seed=1)


def test_the_command_prints_what_was_found_on_each_log_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kills.ROUNDS == {"embedded": 100, "kafka": 30}
    monkeypatch.setattr(kills, "ROUNDS", {"embedded": 2})
    assert kills.main([]) == 0
    first, second, third, fourth = capsys.readouterr().out.splitlines()
    assert first.startswith("2 kills of the gate on the log `embedded`: ")
    assert second.endswith(" intents: 0 without a final verdict, 0 with several")
    assert third.startswith("verify: ")
    assert fourth.endswith(" same")
