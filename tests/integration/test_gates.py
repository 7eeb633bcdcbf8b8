"""Gates on a real broker: how they start, stop, restore, and what they deny when they can't be sure."""

from __future__ import annotations

import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.broker.kafka import KafkaBroker, free_port
from simulation.records import SessionMaker, revocation
from streams.model.reasons import Reason
from streams.model.revocation import RevocationKind
from streams.model.revocation_targets import principal_target
from streams.model.topics import GATE_CHANGELOG, INTENT, REVOCATION, SESSION, TOPICS, VERDICT, Spread
from streams.model.verdict import Outcome
from streams.ports import Outgoing, TopicSpec
from tests.integration.deployment import PARTITIONS, WAIT_S, Deployment, Verdicts, deployed, is_permitted, now_ms, until

pytestmark = pytest.mark.broker


@pytest.fixture
def deployment(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Deployment]:
    """On the broker of all tests."""
    with deployed(tmp_path, kafka_bootstrap) as made:
        yield made


@pytest.fixture
def verdicts(deployment: Deployment) -> Iterator[Verdicts]:
    """The deployment's verdict topic."""
    reading = Verdicts(deployment)
    yield reading
    reading.close()


def test_a_stopped_gate_has_committed_and_left(deployment: Deployment, verdicts: Verdicts) -> None:
    sessions = deployment.open_sessions(12)
    first = deployment.gate("gate-1")
    first.wait_serving(PARTITIONS)
    intents = [deployment.pay(session, number) for number, session in enumerate(sessions)]
    deployment.flush()
    verdicts.wait_for(intents)
    assert first.stop() == 0
    committed = deployment.ends(VERDICT)
    # Its name's next life takes over at once, and has nothing to do again.
    again = deployment.gate("gate-1")
    assert again.wait_serving(PARTITIONS) == list(range(PARTITIONS))
    more = [deployment.pay(session, number) for number, session in enumerate(sessions)]
    deployment.flush()
    found = verdicts.wait_for(more)
    assert again.stop() == 0
    assert len(verdicts.records) == len(intents) + len(more)
    assert sum(committed.values()) < sum(deployment.ends(VERDICT).values())
    assert [verdict.outcome is Outcome.ALLOW for verdict in found] == [is_permitted(n) for n in range(len(sessions))]


def test_a_gate_refuses_to_start_on_unequal_partition_counts(kafka_bootstrap: str, tmp_path: Path) -> None:
    assert_start_is_refused(
        kafka_bootstrap, tmp_path, ["unequal partition counts", SESSION.name], partitions_of={SESSION.name: 3}
    )


def test_a_gate_refuses_to_start_where_time_is_the_agents(kafka_bootstrap: str, tmp_path: Path) -> None:
    expected = [INTENT.name, "`message.timestamp.type` = `CreateTime`", "`LogAppendTime`"]
    assert_start_is_refused(kafka_bootstrap, tmp_path, expected, create_time={INTENT.name})


def test_a_gate_refuses_to_start_without_topics(kafka_bootstrap: str, tmp_path: Path) -> None:
    assert_start_is_refused(kafka_bootstrap, tmp_path, [f"`{VERDICT.name}` does not exist"], without={VERDICT.name})


def assert_start_is_refused(
    bootstrap: str,
    folder: Path,
    expected: list[str],
    *,
    partitions_of: dict[str, int] | None = None,
    create_time: set[str] | None = None,
    without: set[str] | None = None,
) -> None:
    deployment = Deployment(folder, bootstrap)
    counts, deviating, missing = partitions_of or {}, create_time or set(), without or set()
    specs = []
    for topic in TOPICS:
        config = topic.config()
        if topic.name in deviating:
            config["message.timestamp.type"] = "CreateTime"
        usual = PARTITIONS if topic.spread is Spread.CO_PARTITIONED else 1
        if topic.name not in missing:
            specs.append(TopicSpec(topic.name, counts.get(topic.name, usual), config))
    admin = deployment.log.admin()
    admin.create(specs, 1)
    admin.close()
    gate = deployment.gate("gate-1")
    assert gate.wait_ended() == 1
    told = gate.log_text()
    assert "refusing to start" in told
    assert "stoplog topics apply" in told
    assert all(part in told for part in expected), told
    assert "Traceback" not in told
    deployment.close()


def test_what_was_revoked_before_the_start_is_honoured_by_the_very_first_verdict(
    deployment: Deployment, verdicts: Verdicts
) -> None:
    # Enough of them that reading them takes several polls: the first intent waits on its topic all the while.
    for number in range(3_000):
        deployment.send(REVOCATION, *revocation(RevocationKind.SUBJECT, f"acme|nobody-{number}", time_ms=now_ms()))
    deployment.send(
        REVOCATION, *revocation(RevocationKind.AGENT, principal_target("acme", "assistant"), time_ms=now_ms())
    )
    sessions = deployment.open_sessions(6)
    intents = [deployment.pay(session, 1) for session in sessions]
    deployment.flush()
    deployment.gate("gate-1")
    found = verdicts.wait_for(intents)
    assert {verdict.reason for verdict in found} == {Reason.REVOKED_AGENT.value}
    assert all(len(each) == 1 for each in verdicts.final.values())


def test_how_soon_a_stop_is_in_force_is_told_to_prometheus(deployment: Deployment) -> None:
    listen = f"127.0.0.1:{free_port()}"
    gate = deployment.gate("gate-1", metrics={"listen": listen})
    gate.wait_serving(PARTITIONS)
    deployment.send(REVOCATION, *revocation(RevocationKind.AGENT, principal_target("acme", "gone"), time_ms=now_ms()))
    deployment.flush()

    def counted() -> bool:
        time.sleep(0.1)
        with urllib.request.urlopen(f"http://{listen}/metrics", timeout=WAIT_S) as answer:
            return b"stoplog_stop_in_force_seconds_count 1.0" in answer.read()

    until(counted)
    assert gate.stop() == 0


def test_state_is_restored_on_another_instance_after_its_disk_is_lost(
    deployment: Deployment, verdicts: Verdicts
) -> None:
    sessions = deployment.open_sessions(30)
    first = deployment.gate("gate-1")
    first.wait_serving(PARTITIONS)
    intents = [deployment.pay(session, number) for number, session in enumerate(sessions)]
    deployment.flush()
    before = [verdict.verdict_id for verdict in verdicts.wait_for(intents)]
    first.kill()
    shutil.rmtree(first.state)
    assert sum(deployment.ends(GATE_CHANGELOG).values()) > 0
    second = deployment.gate("gate-2")
    second.wait_serving(PARTITIONS)
    # Sessions, and what was said about their intents, are known to the successor: they are not on its inputs any more.
    for session, intent in zip(sessions, intents, strict=True):
        deployment.send(INTENT, session.key, intent)
    more = [deployment.pay(session, 1) for session in sessions]
    deployment.flush()
    assert {verdict.reason for verdict in verdicts.wait_for(more)} == {Reason.PERMITTED.value}
    assert [verdict.verdict_id for verdict in verdicts.wait_for(intents)] == before
    assert all(len(each) == 1 for each in verdicts.final.values())
    assert len(verdicts.records) == 3 * len(sessions)


def test_control_state_that_may_be_stale_denies(kafka_bootstrap: str, tmp_path: Path) -> None:
    engine = {"control_stale_ms": 1_000, "control_check_ms": 100}
    with deployed(tmp_path, kafka_bootstrap, engine=engine) as deployment:
        (session,) = deployment.open_sessions(1)
        deployment.gate("gate-1").wait_serving(PARTITIONS)
        verdicts = Verdicts(deployment)
        # On a busy machine it may not be confirmed within a second that everything is read.
        until(lambda: reason_now(deployment, session, verdicts) == Reason.PERMITTED.value)
        # A transaction that hangs on the topic hides what comes after it, which may be a revocation.
        hanging = deployment.log.producer(f"{deployment.settings.group}-hanging")
        hanging.init_transactions()
        hanging.begin()
        key, record = revocation(RevocationKind.SUBJECT, "acme|bob", time_ms=now_ms())
        hanging.send(Outgoing(REVOCATION.name, 0, key, deployment.codec.encode(REVOCATION.name, record)))
        until(lambda: reason_now(deployment, session, verdicts) == Reason.CONTROL_STATE_STALE.value)
        hanging.abort()
        until(lambda: reason_now(deployment, session, verdicts) == Reason.PERMITTED.value)
        hanging.close()
        verdicts.close()


def reason_now(deployment: Deployment, session: SessionMaker, verdicts: Verdicts) -> str:
    """Why a payment is permitted or denied now."""
    intent = deployment.pay(session, 1)
    deployment.flush()
    return verdicts.wait_for([intent])[0].reason


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that tests may stop."""
    with KafkaBroker.start(tmp_path_factory.mktemp("own-broker")) as broker:
        yield broker


def test_a_broker_that_is_away_for_some_seconds_loses_nothing(own_broker: KafkaBroker, tmp_path: Path) -> None:
    with deployed(tmp_path, own_broker.bootstrap) as deployment:
        sessions = deployment.open_sessions(20)
        gate = deployment.gate("gate-1")
        gate.wait_serving(PARTITIONS)
        numbers = iter(range(1_000_000))
        intents = [deployment.pay(session, next(numbers)) for session in sessions for _ in range(20)]
        own_broker.stop()
        intents += [deployment.pay(session, next(numbers)) for session in sessions for _ in range(20)]
        own_broker.restart()
        deployment.flush()
        intents += [deployment.pay(session, next(numbers)) for session in sessions for _ in range(20)]
        deployment.flush()
        verdicts = Verdicts(deployment)
        found = verdicts.wait_for(intents)
        verdicts.close()
        assert all(len(each) == 1 for each in verdicts.final.values())
        expected = [is_permitted(number) for number in range(len(intents))]
        stale = [v for v in found if v.reason == Reason.CONTROL_STATE_STALE.value]
        assert not stale
        assert [verdict.outcome is Outcome.ALLOW for verdict in found] == expected
        assert gate.stop() == 0
