"""Baselines on a real broker: a watch publishes, gates judge by it and wait for none of it, a replay knows the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from simulation.records import ROOT_KEY
from streams.model.topics import BASELINE
from streams.model.verdict import Outcome, Verdict
from streams.operations.replay.recorded import RecordedLog
from streams.operations.replay.run import ReplayReport, Stretch, replay_log
from streams.ports import Outgoing, TopicPartition
from streams.wiring.clock import SystemClock
from streams.wiring.replays import setup_replay
from tests.baselines import baseline, baseline_record_key, settled
from tests.integration.deployment import PARTITIONS, RULES, WAIT_S, Deployment, Verdicts, now_ms, until

pytestmark = pytest.mark.broker

LEARNED = 20
FORBIDDEN = 7
QUICK = {"watch": {"publish_ms": 1_000, "grace_ms": 500}}
FINISH_S = 2 * WAIT_S
ASKING = {
    **RULES,
    "pay/pay.rules.yaml": RULES["pay/pay.rules.yaml"]
    + f"""  - id: PAY-003
    effect: deny
    match: {{tools: [bank.pay]}}
    when: signal.learned >= {LEARNED} && args.number == {FORBIDDEN}
    reason: not by an agent that is known
  - id: PAY-004
    effect: deny
    match: {{tools: [bank.pay]}}
    when: signal.new_tool >= 9
    reason: the agent has never paid
""",
}


@pytest.fixture
def deployment(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Deployment]:
    with closing(Deployment(tmp_path, kafka_bootstrap)) as made:
        made.prepare(ASKING)
        yield made


def replayed(deployment: Deployment) -> ReplayReport:
    setup = setup_replay(deployment.settings, ROOT_KEY)
    recorded = RecordedLog(deployment.log, setup.wire, SystemClock(), setup.engine.time_ahead_max_ms)
    return replay_log(recorded, setup, Stretch())


def fired(verdict: Verdict) -> set[str]:
    return {hit.rule_id for hit in verdict.rules}


def test_a_gate_denies_by_what_a_watch_has_learned_of_its_own_verdicts(deployment: Deployment) -> None:
    gate = deployment.gate("gate-1")
    gate.wait_serving(PARTITIONS)
    deployment.watch("watch-1", **QUICK).wait_serving()
    sessions = deployment.open_sessions(6)
    with closing(Verdicts(deployment)) as verdicts:
        first = verdicts.wait_for([deployment.pay(sessions[0], FORBIDDEN)])
        assert [each.outcome for each in first] == [Outcome.ALLOW]
        for number in range(8, 14):
            verdicts.wait_for([deployment.pay(session, number) for session in sessions])

        newest: list[Verdict] = []

        def is_denied() -> bool:
            newest[:] = verdicts.wait_for([deployment.pay(sessions[1], FORBIDDEN)])
            return newest[0].outcome is Outcome.DENY

        until(is_denied, FINISH_S, lambda: str(newest), pause_s=0.5)
        (denied,) = newest
        assert "PAY-003" in fired(denied)
        assert denied.baseline_version > first[0].baseline_version == 1

        # Three weeks of other work, as a watch that knows the agent for longer has published them.
        other = settled(calls=500, tools=(("crm.read", 500),))
        record = baseline(other, version=99, time_ms=now_ms() + 1_000)
        deployment.send(BASELINE, baseline_record_key(), record)
        deployment.flush()

        def is_new() -> bool:
            newest[:] = verdicts.wait_for([deployment.pay(sessions[2], 9)])
            return "PAY-004" in fired(newest[0])

        # The tool is known from the watch's own snapshot, of another epoch: all epochs count together.
        verdicts.wait_for([deployment.pay(sessions[2], 9)])
        assert not is_new()
        gate.kill()
        deployment.gate("gate-2").wait_serving(PARTITIONS)
        verdicts.wait_for([deployment.pay(session, FORBIDDEN) for session in sessions])
    report = replayed(deployment)
    assert report.differences == []
    assert report.is_same


def test_a_writer_that_dies_in_a_transaction_and_a_record_that_is_none_hold_up_no_gate(deployment: Deployment) -> None:
    record = baseline(settled(calls=500, tools=(("crm.read", 500),)))
    deployment.send(BASELINE, baseline_record_key(), record)
    deployment.publish(Outgoing(BASELINE.name, 0, baseline_record_key(), b"no record"))
    deployment.flush()
    writer = deployment.log.producer(f"{deployment.settings.group}-watch-that-died")
    writer.init_transactions()
    writer.begin()
    writer.send(Outgoing(BASELINE.name, 0, baseline_record_key(), b"never committed"))
    try:
        deployment.gate("gate-1").wait_serving(PARTITIONS)
        (session,) = deployment.open_sessions(1)
        with closing(Verdicts(deployment)) as verdicts:
            newest: list[Verdict] = []

            def is_denied() -> bool:
                newest[:] = verdicts.wait_for([deployment.pay(session, 1)])
                return "PAY-004" in fired(newest[0])

            # What stands before the open transaction counts, and what stands behind it is not waited for.
            until(is_denied, FINISH_S, lambda: str(newest), pause_s=0.2)
            assert newest[0].signals[0].explain == "first bank.pay by assistant in 500 calls of 21 days; 9 bits"
            ends = deployment.ends(BASELINE)
            assert ends[TopicPartition(BASELINE.name, 0)] > newest[0].baseline_version - 1 > 0

            def letters() -> list[bytes]:
                with closing(deployment.log.reader()) as reader:
                    reader.assign({TopicPartition(BASELINE.dlq, 0): 0})
                    return [each.value or b"" for each in reader.poll(10, 2_000)]

            until(lambda: letters() == [b"no record"], FINISH_S, lambda: str(letters()))
    finally:
        writer.close()
    report = replayed(deployment)
    assert report.differences == []
    assert report.is_same
