"""Verdicts that rest on what watches have published are made again, whatever else happened at the time."""

from __future__ import annotations

from collections import Counter

import pytest

from simulation.records import ruleset
from streams.behaviour.activity import HOUR_MS
from streams.behaviour.profiles import RiskPoint
from streams.model.topics import BASELINE, RULESET, VERDICT
from streams.model.verdict import Verdict
from streams.operations.replay.run import Stretch, replay_log
from streams.ports import TopicPartition
from tests.baselines import baseline, baseline_record_key, settled
from tests.kit import wire
from tests.recorded_run import RULE_TEXTS, RecordedRun, bundle_files, setup

ASKING = (
    '  - {id: B-1, effect: deny, match: {tools: ["*"]}, when: "signal.new_tool >= 8", reason: new}\n'
    '  - {id: B-2, effect: quarantine, match: {tools: [mail.send]}, when: "signal.user_risk > 90", reason: risk}\n'
)
ACTS = 300


class RunWithBaselines(RecordedRun):
    """A run in which baselines come and go, some gates can't read them for a while, and some rules ask for them."""

    def publish(self) -> None:
        self.serial += 1
        text = self.rng.choice(RULE_TEXTS) + (ASKING if self.serial % 3 else "")
        made = ruleset(bundle_files(text), serial=self.serial, time_ms=self.bench.now_ms)
        self.bench.driver.pipe(RULESET.name, f"default/{self.serial}".encode(), made)

    def pass_time(self) -> None:
        self.tell()
        super().pass_time()

    def propose(self) -> None:
        if self.rng.random() < 0.1:
            self.tell()
        super().propose()

    def tell(self) -> None:
        """Something happens on the topic of baselines, or to whoever reads it."""
        rng, driver = self.rng, self.bench.driver
        agent, epoch = rng.choice(("assistant", "clerk")), rng.choice(("e1", "e2"))
        key, now_ms = baseline_record_key(epoch, agent), self.bench.now_ms
        tools = rng.choice(((("files.read", 400),), (("files.read", 400), ("mail.send", 100)), (("web.fetch", 500),)))
        risks = (RiskPoint(rng.choice(("alice", "bob")), rng.choice((0.2, 1.4)), now_ms, HOUR_MS),)
        record = baseline(settled(agent=agent, epoch=epoch, tools=tools, risks=risks), time_ms=now_ms)
        chance = rng.random()
        broadcasts = driver._workers[0]._broadcasts
        advisory = None if broadcasts is None else broadcasts._advisory
        if chance < 0.6:
            driver.pipe(BASELINE.name, key, record)
        elif chance < 0.7:
            driver.pipe(BASELINE.name, key, None)
        elif chance < 0.8:
            driver.pipe(BASELINE.name, key, b"no record")
        elif chance < 0.9 and advisory is not None:
            # As if its broker were away for some seconds.
            advisory.close()
            advisory._retry_ms = driver.clock.monotonic_ms() + rng.randint(1, 4_000)
        else:
            self.bench.restart()


@pytest.mark.parametrize("seed", range(3))
def test_a_run_in_which_baselines_come_and_go_comes_out_byte_for_byte(seed: int) -> None:
    run = RunWithBaselines(seed, ACTS)
    report = replay_log(run.recorded(), setup(), Stretch())
    log = run.bench.driver.log
    found = [
        wire().decode(VERDICT.name, received.value or b"", received.headers)
        for number in range(log.partition_count(VERDICT.name))
        for received in log.committed_records(TopicPartition(VERDICT.name, number))
    ]
    verdicts = [each for each in found if isinstance(each, Verdict)]
    versions = Counter(verdict.baseline_version for verdict in verdicts)
    rules = {hit.rule_id for verdict in verdicts for hit in verdict.rules}
    assert len(versions) > 5
    assert rules & {"B-1", "B-2"}
    assert report.differences == []
    assert report.is_same
