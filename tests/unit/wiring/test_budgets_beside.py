"""A shared budget on the embedded log: a gate and the owner beside it, each in its own thread, as in `stoplog gate`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.records import ROOT_KEY, SessionMaker, entry_key, ruleset
from streams.codec.avro import Codec
from streams.model.keys import partition_for
from streams.model.topics import BY_NAME, CATALOG, INTENT, RULESET, SEAL_KEY, SESSION, VERDICT, Spread
from streams.model.types import Record
from streams.model.verdict import Verdict
from streams.operations.topics.application import carry_out, make_plan
from streams.ports import Outgoing, TopicPartition
from streams.ports.open_log import Log
from streams.services.gate.runner import GateRunner, allocator
from streams.stores.memory import MemoryStores
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.gates import build_budgets, build_gate
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings
from streams.wiring.settings_loading import load_settings
from tests.keeping import REFUND, bundle_files

PARTITIONS = 3
READY_MS = 60_000
RULES = """
budgets:
  refunds: {per: user, measure: {sum: args.amount}, match: {tools: [pay.refund]}, limit: 100, window: 24h}
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    # Files are slow on a busy machine; what is looked at here is not how fast the owner answers.
    return load_settings(
        {"state_dir": tmp_path, "topics": {"partitions": PARTITIONS}, "gate": {"budget_wait_ms": 30_000},
         "rules": {"allow_unsigned": True}, "catalog": {"allow_unsigned": True}}
    )  # fmt: skip


@pytest.fixture
def log(settings: Settings) -> Iterator[Log]:
    with open_log(settings) as opened:
        admin = opened.admin()
        carry_out(make_plan(settings.topics, settings.group, admin, [settings.tenant]), admin, 1, lambda step: None)
        admin.close()
        yield opened


def write(log: Log, codec: Codec, topic: str, key: bytes, record: Record) -> None:
    partition = 0 if BY_NAME[topic].spread is Spread.BROADCAST else partition_for(key, PARTITIONS)
    publisher = log.publisher()
    publisher.publish(Outgoing(topic, partition, key, codec.encode(topic, record)))
    publisher.flush(READY_MS)
    publisher.close()


def verdicts(log: Log, codec: Codec, count: int) -> list[Verdict]:
    """Wait for so many."""
    reader = log.reader()
    reader.assign({TopicPartition(VERDICT.name, number): 0 for number in range(PARTITIONS)})
    found: list[Verdict] = []
    deadline_s = time.monotonic() + READY_MS / 1_000
    while len(found) < count and time.monotonic() < deadline_s:
        for received in reader.poll(100, 50):
            if received.key == SEAL_KEY:
                continue
            verdict = codec.decode(VERDICT.name, received.value or b"", received.headers)
            assert isinstance(verdict, Verdict)
            found.append(verdict)
    reader.close()
    return found


def test_sessions_on_all_partitions_share_a_budget(settings: Settings, log: Log) -> None:
    codec = build_codec(settings)
    now_ms = SystemClock().now_ms()
    write(log, codec, CATALOG.name, entry_key(REFUND), REFUND)
    write(log, codec, RULESET.name, b"default", ruleset(bundle_files(RULES)))
    runner = GateRunner(
        lambda: build_gate(settings, log, codec, ROOT_KEY, MemoryStores()),
        SystemClock(),
        beside=[allocator(lambda: build_budgets(settings, log, codec, MemoryStores()))],
    )
    runner.start()
    try:
        runner.wait_ready(READY_MS)
        sessions = [SessionMaker(name) for name in "abcdefgh"]
        assert len({partition_for(maker.key, PARTITIONS) for maker in sessions}) == PARTITIONS
        for maker in sessions:
            write(log, codec, SESSION.name, maker.key, maker.established(now_ms))
            intent = maker.intent(REFUND, {"amount": 20}, SystemClock().now_ms())
            write(log, codec, INTENT.name, maker.key, intent)
        reasons = sorted(verdict.reason for verdict in verdicts(log, codec, len(sessions)))
    finally:
        runner.stop()
    assert reasons == ["budget_exhausted"] * 3 + ["permitted"] * 5


def test_a_gate_ends_with_its_owner_of_budgets(settings: Settings, log: Log) -> None:
    codec = build_codec(settings)

    def refused() -> object:
        raise ValueError("no owner")

    runner = GateRunner(
        lambda: build_gate(settings, log, codec, ROOT_KEY, MemoryStores()),
        SystemClock(),
        beside=[allocator(refused)],
    )
    with pytest.raises(ValueError, match="no owner"):
        runner.run()
