"""What the world of a simulation writes in the transactions of another process."""

from __future__ import annotations

from random import Random  # noqa: TID251 - everything of a simulation is drawn from one seeded source

import pytest

from simulation import world
from simulation.machine import TRANSACTION_TIMEOUT_MS
from simulation.world import World
from streams.inmemory.clock import ManualClock
from streams.inmemory.log import MemoryLog
from streams.model.topics import INTENT
from streams.ports import TopicPartition, TopicSpec
from tests.kit import START_MS, wire

AT = TopicPartition(INTENT.name, 0)


class Setting:
    """A world that writes all of its intents in transactions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, aborted_share: float) -> None:
        monkeypatch.setattr(world, "_TRANSACTIONAL_SHARE", 1.0)
        monkeypatch.setattr(world, "_ABORTED_SHARE", aborted_share)
        self.clock = ManualClock(START_MS)
        self.log = MemoryLog(self.clock)
        self.log.create(TopicSpec(INTENT.name, 1, {}))
        rng = Random(1)  # noqa: S311 - it is to be repeatable, not secret
        self.world = World(rng, self.clock, self.log, wire())
        self.world.write_in_transactions(INTENT.name)

    def write(self, value: bytes) -> None:
        """Write a record in a transaction that stays open."""
        self.world.write_raw(INTENT.name, b"k", value)
        assert not self.world.is_idle
        assert self.visible() == []

    def pass_time(self) -> None:
        """Let the time pass at which the world ends what it has open."""
        self.clock.advance(TRANSACTION_TIMEOUT_MS)
        self.world.go_on()
        self.log.write_markers()

    def visible(self) -> list[bytes | None]:
        """What readers see."""
        return [record.value for record in self.log.committed_records(AT)]


def test_a_record_is_seen_once_its_transaction_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(monkeypatch, aborted_share=0.0)
    setting.write(b"one")
    setting.pass_time()
    assert setting.visible() == [b"one"]


@pytest.mark.parametrize("aborted_share", [0.0, 1.0], ids=["commits", "aborts"])
def test_a_transaction_that_the_broker_has_timed_out_is_over(
    monkeypatch: pytest.MonkeyPatch, aborted_share: float
) -> None:
    """A gate that waits behind it can take so long; its owner comes too late and goes on with other things."""
    setting = Setting(monkeypatch, aborted_share=aborted_share)
    setting.write(b"one")
    setting.clock.advance(TRANSACTION_TIMEOUT_MS)
    assert setting.log.time_out_transactions(TRANSACTION_TIMEOUT_MS) == ["somebody"]
    setting.pass_time()
    assert setting.world.is_idle
    assert setting.visible() == []


def test_the_next_transaction_is_not_hurt_by_one_that_timed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(monkeypatch, aborted_share=0.0)
    setting.write(b"one")
    setting.clock.advance(TRANSACTION_TIMEOUT_MS)
    setting.log.time_out_transactions(TRANSACTION_TIMEOUT_MS)
    setting.pass_time()
    setting.write(b"two")
    setting.pass_time()
    assert setting.visible() == [b"two"]
