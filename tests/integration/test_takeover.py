"""A gate dies, or stands still, and another one takes its partitions over: from standbys, on a real broker."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Consumer

from streams.model.topics import GATE_CHANGELOG, INTENT
from streams.model.verdict import FINAL_OUTCOMES, Verdict
from streams.ports import FencedError, TopicPartition
from tests.integration.deployment import PARTITIONS, Deployment, GateProcess, Verdicts, deployed, until

pytestmark = pytest.mark.broker

SESSIONS = 600
# As low as a broker allows by default.
QUICK = json.dumps({"session.timeout.ms": 6_000})


class Restored(NamedTuple):
    """What a gate has logged about a partition."""

    from_standby: bool
    records: int
    offset: int


@pytest.fixture
def deployment(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Deployment]:
    """On the broker of all tests."""
    with deployed(tmp_path, kafka_bootstrap) as made:
        yield made


def restored(gate: GateProcess) -> dict[int, Restored]:
    """How the gate has restored each partition, the last time."""
    found: dict[int, Restored] = {}
    for line in gate.log_text().splitlines():
        logged = json.loads(line) if line.startswith("{") else {}
        if GATE_CHANGELOG.name in logged.get("text", ""):
            for number, how in logged.get("restored", {}).items():
                found[int(number)] = Restored(how["from_standby"], how["records"], how["offset"])
    return found


def two_gates(deployment: Deployment, standbys: int) -> tuple[GateProcess, GateProcess, list[int]]:
    """Gates that share the partitions; returns those of the second, too."""
    first = deployment.gate("gate-1", kafka=QUICK, engine={"standbys": standbys})
    first.wait_serving(PARTITIONS)
    second = deployment.gate("gate-2", kafka=QUICK, engine={"standbys": standbys})
    theirs = second.wait_serving(PARTITIONS // 2)
    first.wait_serving(PARTITIONS // 2)
    if standbys:
        first.wait_standing_by(theirs)
    else:
        for partition in theirs:
            # From when it was alone.
            shutil.rmtree(first.state / "gate" / "gate-1" / str(partition))
    return first, second, theirs


@pytest.mark.parametrize("standbys", [1, 0])
def test_a_killed_gates_partitions_go_on_where_the_standbys_stand(deployment: Deployment, standbys: int) -> None:
    verdicts = Verdicts(deployment)
    sessions = deployment.open_sessions(SESSIONS)
    first, second, theirs = two_gates(deployment, standbys)
    before = [deployment.pay(session, 1) for session in sessions]
    deployment.flush()
    verdicts.wait_for(before)
    ends = {at.partition: end for at, end in deployment.ends(GATE_CHANGELOG).items()}
    after = [deployment.pay(session, 2) for session in sessions]
    second.kill()
    deployment.flush()
    assert first.wait_serving(PARTITIONS) == list(range(PARTITIONS))
    verdicts.wait_for(before + after)
    verdicts.close()
    found = restored(first)
    for partition in theirs:
        assert found[partition].from_standby is bool(standbys)
        if standbys:
            # Only what the dead gate committed in its last moments was still to be read.
            assert found[partition].offset > ends[partition] // 2
            assert found[partition].records < ends[partition] // 2
        else:
            assert found[partition].offset == 0
            assert found[partition].records > SESSIONS // PARTITIONS
    assert "`gate-2` is gone; its open transaction was ended" in first.log_text()
    assert first.stop() == 0


def test_a_takeover_ends_what_is_open_however_late_it_learns_who_is_gone(
    deployment: Deployment, kafka_bootstrap: str
) -> None:
    first, second, theirs = two_gates(deployment, 1)
    askers = children(first, "streams.kafka.groups.questions_child")
    for asker in askers:
        os.kill(asker, signal.SIGSTOP)
    second.kill()
    # Its open transaction, in which it was to commit offsets.
    group = deployment.settings.group
    consumer = Consumer({"bootstrap.servers": kafka_bootstrap, "group.id": group})
    dying = deployment.log.producer(f"{group}-{second.instance}")
    dying.init_transactions()
    dying.begin()
    dying.send_offsets({TopicPartition(INTENT.name, theirs[0]): 0}, consumer.consumer_group_metadata())
    consumer.close()
    until(lambda: "restoring partitions later" in first.log_text(), found=first.log_text, pause_s=0.05)
    for asker in askers:
        os.kill(asker, signal.SIGCONT)
    assert first.wait_serving(PARTITIONS) == list(range(PARTITIONS))
    assert "`gate-2` is gone; its open transaction was ended" in first.log_text()
    with pytest.raises(FencedError):
        dying.commit()
    dying.close()
    assert first.stop() == 0


def children(gate: GateProcess, module: str) -> list[int]:
    """The processes that the gate has started to run a module."""
    tasks = Path(f"/proc/{gate.process.pid}/task").iterdir()
    started = [child for task in tasks for child in text_of(task / "children").split()]
    found = [int(child) for child in started if module in text_of(Path(f"/proc/{child}/cmdline"))]
    assert found
    return found


def text_of(file: Path) -> str:
    """What a file says of a thread or process, which may end meanwhile."""
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_a_gate_that_stood_still_finds_itself_replaced(deployment: Deployment) -> None:
    verdicts = Verdicts(deployment)
    sessions = deployment.open_sessions(SESSIONS)
    first, second, theirs = two_gates(deployment, 1)
    intents = [deployment.pay(session, 1) for session in sessions]
    deployment.flush()
    # Amid the work, perhaps in a transaction.
    until(lambda: verdicts.poll() > 0)
    second.process.send_signal(signal.SIGSTOP)
    intents += [deployment.pay(session, 2) for session in sessions]
    deployment.flush()
    assert first.wait_serving(PARTITIONS) == list(range(PARTITIONS))
    verdicts.wait_for(intents)
    assert all(restored(first)[partition].from_standby for partition in theirs)
    second.process.send_signal(signal.SIGCONT)
    assert second.wait_serving(PARTITIONS // 2) == theirs
    intents += [deployment.pay(session, 3) for session in sessions]
    deployment.flush()
    verdicts.wait_for(intents)
    counts = Counter(verdict.intent_id for verdict in all_verdicts(deployment, verdicts) if is_final(verdict))
    verdicts.close()
    assert counts == Counter(intent.intent_id for intent in intents)
    assert (first.stop(), second.stop()) == (0, 0)


def all_verdicts(deployment: Deployment, verdicts: Verdicts) -> list[Verdict]:
    """Every record of the topic, repeated ones included."""
    found = []
    for record in verdicts.records:
        verdict = deployment.codec.decode(record.topic, record.value, record.headers)
        assert isinstance(verdict, Verdict)
        found.append(verdict)
    return found


def is_final(verdict: Verdict) -> bool:
    """Whether no other verdict on the intent follows."""
    return verdict.outcome in FINAL_OUTCOMES
