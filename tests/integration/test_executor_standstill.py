"""An executor goes on after a broker that stood still, and runs each call once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition as KafkaPartition

from simulation.broker.kafka import KafkaBroker
from streams.kafka.groups import joining
from streams.kafka.log import KafkaLog
from streams.kafka.noticing import silence
from streams.kafka.timeouts import SESSION_TIMEOUT_MS
from streams.model.topics import VERDICT
from streams.model.verdict import Verdict
from streams.sdk import LoopSettings, RevocationWatch, Transport, connect
from tests.contract.test_sdk import PARTITIONS, make_topics, unique
from tests.unit.sdk.hands import begun_store, make_verdict
from tests.unit.sdk.loop_hand import Running, ids, put, reported
from tests.unit.sdk.test_loop_renewal import numbered
from tests.waiting import until

pytestmark = pytest.mark.broker

WAIT_S = 120.0
# Longer than a membership lasts, and shorter than what an executor waits here to know all stops.
STANDSTILL_S = SESSION_TIMEOUT_MS / 1_000 + 10.0
STALE_AFTER_MS = 300_000
VERDICT_LIFE_MS = 300_000


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that tests may let stand still."""
    with KafkaBroker.start(tmp_path_factory.mktemp("broker")) as started:
        yield started


@pytest.fixture
def prefix() -> str:
    return f"{unique('standstill')}."


@pytest.fixture
def transport(broker: KafkaBroker, prefix: str) -> Iterator[Transport]:
    log = KafkaLog(broker.bootstrap, topic_prefix=prefix)
    make_topics(log.admin())
    with connect(broker.bootstrap, topic_prefix=prefix) as opened:
        yield opened
    log.close()


@pytest.fixture
def revocations(transport: Transport) -> Iterator[RevocationWatch]:
    with RevocationWatch(transport, stale_after_ms=STALE_AFTER_MS) as opened:
        yield opened


def a_call(number: int) -> Verdict:
    now_ms = make_verdict().evaluated_at
    return numbered(number, f"s-{number}", expires_at=now_ms + VERDICT_LIFE_MS)


def _fetch_nothing(client: Any, topic: str) -> None:
    client.pause([KafkaPartition(topic, number) for number in range(PARTITIONS)])


def _lose_partitions(client: Any, topic: str) -> None:
    client.unsubscribe()


@pytest.mark.parametrize("silenced", [_fetch_nothing, _lose_partitions])
def test_a_client_that_reads_nothing_more_is_replaced(
    transport: Transport,
    revocations: RevocationWatch,
    prefix: str,
    silenced: Callable[[Any, str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What makes clients silent is left to chance, so here the library is told behind the adapter's back."""
    for name, value in {"QUIET_S": 0.3, "ASK_PAUSE_S": 0.1, "SILENT_S_MAX": 1.0}.items():
        monkeypatch.setattr(silence, name, value)
    calls: list[object] = []
    with (
        begun_store(tmp_path) as store,
        Running(transport, store, revocations, lambda args: calls.append(args["n"]), group=prefix) as running,
    ):
        verdicts = [put(transport, a_call(number)) for number in range(5)]
        until(lambda: running.ended or len(running.outcomes) == 5, "the first ones have run", WAIT_S)
        # Only now: the first assignment of a new broker may take longer.
        for name, value in {"ASK_AFTER_S": 0.3, "ASK_PAUSE_S": 0.1, "JOIN_S_MAX": 2.0}.items():
            monkeypatch.setattr(joining, name, value)
        silent: Any = running.loop._consumer
        silenced(silent._client, prefix + VERDICT.name)
        verdicts += [put(transport, a_call(number)) for number in range(5, 10)]
        until(lambda: running.ended or len(running.outcomes) == 10, "all have run", WAIT_S)
        assert running.loop._consumer is not silent
    assert running.error is None
    assert sorted(map(str, calls)) == [str(number) for number in range(10)]
    assert reported(transport) == ids(*verdicts)


def test_a_broker_that_stands_still_neither_ends_it_nor_loses_or_doubles_a_call(
    broker: KafkaBroker, transport: Transport, revocations: RevocationWatch, prefix: str, tmp_path: Path
) -> None:
    free, begun, calls = threading.Event(), threading.Semaphore(0), []

    def call(args: Mapping[str, object]) -> str:
        begun.release()
        free.wait(WAIT_S)
        calls.append(args["n"])
        return "ok"

    settings = LoopSettings(concurrency=2, finish_ms=1_000)
    with (
        begun_store(tmp_path) as store,
        Running(
            transport, store, revocations, call, group=prefix, settings=settings, tool_timeout_ms=VERDICT_LIFE_MS
        ) as running,
    ):
        verdicts = [put(transport, a_call(number)) for number in range(20)]
        assert begun.acquire(timeout=WAIT_S)
        broker.freeze()
        try:
            time.sleep(STANDSTILL_S / 2)
            free.set()
            time.sleep(STANDSTILL_S / 2)
        finally:
            broker.thaw()
        verdicts += [put(transport, a_call(number)) for number in range(20, 30)]
        until(lambda: running.ended or len(reported(transport)) >= 30, "all are reported", WAIT_S)
    assert running.error is None
    assert sorted(map(str, calls)) == sorted(map(str, range(30)))
    # A report whose storing was not confirmed is stored again, and says the same.
    assert sorted(set(reported(transport))) == ids(*verdicts)
