"""The watch on a real broker, beside a gate: it learns every decision once although watches die, and finds a loop."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.behaviour.profiles import Profile
from streams.model.alert import Alert
from streams.model.alert_status import AlertState
from streams.model.audit import AuditEvent
from streams.model.control import Baseline
from streams.model.topics import ALERT, AUDIT_REPORTED, BASELINE, Topic
from streams.operations.alert_handling import find_alerts, read_handling, write_statuses
from streams.operations.settings import AlertsSection
from streams.ports import TopicPartition
from streams.wiring.operators import open_operator
from tests.integration.deployment import (
    PARTITIONS,
    POLL_MS,
    POLL_RECORDS,
    WAIT_S,
    Deployment,
    Verdicts,
    is_permitted,
    until,
)

pytestmark = pytest.mark.broker

SESSIONS = 12
ROUNDS = 10
LOOP = 40
# Only loops are looked for: all detectors together alert about somebody who pays so many bills within seconds.
DETECTORS = Path(__file__).parents[2] / "rules" / "behaviour" / "loops.detectors.yaml"
# A watch that was killed keeps its partitions until its session at the broker times out.
FINISH_S = 2 * WAIT_S


@pytest.fixture
def deployment(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Deployment]:
    with closing(Deployment(tmp_path, kafka_bootstrap)) as made:
        made.prepare()
        yield made


class Reader:
    """Everything on a topic, from its beginning on, as a read_committed consumer sees it."""

    def __init__(self, deployment: Deployment, topic: Topic, partitions: int) -> None:
        self._codec, self._topic = deployment.codec, topic
        self._reader = deployment.log.reader()
        self._reader.assign({TopicPartition(topic.name, number): 0 for number in range(partitions)})
        self.found: list[object] = []

    def poll(self) -> list[object]:
        for record in self._reader.poll(POLL_RECORDS, POLL_MS):
            self.found.append(self._codec.decode(self._topic.name, record.value, record.headers))
        return self.found

    def close(self) -> None:
        self._reader.close()


def assert_closed(deployment: Deployment, alert: Alert) -> None:
    """A person closes the alert as a false positive; the watch records that, and what it raises less often."""
    unsigned = deployment.settings.model_copy(update={"alerts": AlertsSection(allow_unsigned=True)})
    with open_operator(unsigned, "ann") as ann, closing(Reader(deployment, AUDIT_REPORTED, PARTITIONS)) as audits:
        (handled,) = find_alerts(read_handling(ann), [alert.finding_uid])
        write_statuses(ann, [handled.alert], AlertState.FALSE_POSITIVE, "a test loops", None)
        (closed,) = find_alerts(read_handling(ann), [alert.finding_uid])
        assert (closed.state, closed.is_closed) == (AlertState.FALSE_POSITIVE, True)

        def reasons() -> set[str | None]:
            return {each.reason for each in audits.poll() if isinstance(each, AuditEvent)}

        wanted = {"alert_false_positive", "alerts_lowered"}
        until(lambda: wanted <= reasons(), FINISH_S, lambda: str(audits.found))


def quick_settings(folder: Path) -> dict[str, Any]:
    """Settings of a watch that publishes soon, and looks for loops only."""
    rules = folder / "detectors"
    rules.mkdir()
    shutil.copy(DETECTORS, rules)
    watch = {"publish_ms": 1_000, "grace_ms": 500, "rules": str(rules)}
    return {"watch": watch, "alerts": {"allow_unsigned": True}}


def test_a_watch_that_dies_learns_every_decision_once_and_a_loop_is_one_alert(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.gate("gate-1").wait_serving(PARTITIONS)
    quick = quick_settings(tmp_path)
    first, second = deployment.watch("watch-1", **quick), deployment.watch("watch-2", **quick)
    first.wait_serving()
    second.wait_serving()
    sessions = deployment.open_sessions(SESSIONS)
    numbers = iter(range(1, 100_000))
    permitted = 0
    with (
        closing(Verdicts(deployment)) as verdicts,
        closing(Reader(deployment, BASELINE, 1)) as baselines,
        closing(Reader(deployment, ALERT, PARTITIONS)) as alerts,
    ):
        for round_no in range(ROUNDS):
            paid = [(next(numbers), session) for session in sessions]
            sent = [deployment.pay(session, number) for number, session in paid]
            deployment.flush()
            verdicts.wait_for(sent)
            permitted += sum(is_permitted(number) for number, _ in paid)
            if round_no == ROUNDS // 2:
                # While it holds decisions that are not judged yet.
                first.kill()
                deployment.watch("watch-3", **quick).wait_serving()

        def learned() -> int:
            return max((each.intents_count for each in baselines.poll() if isinstance(each, Baseline)), default=0)

        until(lambda: learned() >= permitted, FINISH_S, lambda: f"learned {learned()} of {permitted}")
        newest = max(
            (each for each in baselines.found if isinstance(each, Baseline)), key=lambda each: each.intents_count
        )
        profile = msgspec.msgpack.decode(newest.state, type=Profile)
        assert (newest.agent, newest.intents_count) == ("assistant", permitted)
        assert profile.tools == (("bank.pay", permitted),)

        (victim,) = deployment.open_sessions(1, "loop")
        verdicts.wait_for([deployment.pay(victim, 1) for _ in range(LOOP)])

        def loops() -> list[Alert]:
            found = [each for each in alerts.poll() if isinstance(each, Alert)]
            return [each for each in found if each.analytic_uid == "behaviour/loop"]

        until(lambda: bool(loops()), FINISH_S, lambda: str(alerts.found))
        (alert,) = loops()
        assert alert.session_id == victim.session_id
        # Nothing of the attack is learned after its alert, and nothing twice.
        assert learned() < permitted + LOOP
        # The gate's seals and audit records are whole, whoever died.
        assert "audit_gap" not in {each.analytic_uid for each in alerts.found if isinstance(each, Alert)}
        assert_closed(deployment, alert)
    assert second.stop() == 0
