"""A writer that stands still inside a transaction is noticed: by the gate's watch, with an alert, and by the doctor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from simulation.broker.kafka import KafkaBroker
from streams.kafka.producer import KafkaProducer
from streams.model.alert import Alert
from streams.model.topics import ALERT, SESSION
from streams.operations.topics.application import make_plan
from streams.operations.topics.reader import read_to_end
from streams.ports import LogError, Outgoing, Producer, TopicPartition
from streams.sdk.connection.transport import Transport
from streams.services.gate.transaction_watch import ANALYTIC, TransactionWatch, watching_transactions
from streams.wiring.clock import SystemClock
from streams.wiring.doctor import examine_deployment
from tests.integration.deployment import Deployment, until

pytestmark = pytest.mark.broker
PLACE = TopicPartition(SESSION.name, 0)


@pytest.fixture
def deployment(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Deployment]:
    with closing(Deployment(tmp_path, kafka_bootstrap)) as made:
        made.prepare()
        yield made


def test_a_transaction_that_hangs_is_noticed_and_named(deployment: Deployment) -> None:
    log, prefix = deployment.log, deployment.settings.topics.prefix
    hanging = log.producer("hanging-writer")
    hanging.init_transactions()
    hang(hanging)
    with closing(log.reader()) as reader:
        assert reader.stable_offsets([PLACE])[PLACE] < reader.end_offsets([PLACE])[PLACE]
    clock = SystemClock()
    with Transport(log, deployment.codec, clock) as transport:
        with watching_transactions(TransactionWatch(transport, clock, lambda: [0], prefix)):
            until(lambda: bool(stuck_alerts(deployment)))
        (alert,) = stuck_alerts(deployment)
        assert f"`{SESSION.name}` partition 0" in alert.title
        # As everybody is a super user here, the gate sees the transactional id.
        said = re.search(r"producer id (\d+) \(epoch (\d+)\) has had it open since offset \d+; the time", alert.desc)
        assert said is not None
        assert 'its transactional id is "hanging-writer"' in alert.desc
        assert f"describe-producers --topic {prefix}{SESSION.name} --partition 0" in alert.suggested_response[0]
    # Another one: the brokers abort each after 15 s.
    hanging.abort()
    hang(hanging)
    findings = {f.check: f for f in examine_deployment({**deployment.settings_given, "state_dir": deployment.folder})}
    assert findings["transactions"].status.value == "fail"
    text = findings["transactions"].text
    assert "partition 0 have waited for at least" in text
    assert f"producer id {said[1]} " in text
    assert 'its transactional id is "hanging-writer"' in text
    # The brokers may have ended it by now.
    with suppress(LogError):
        hanging.abort()
    hanging.close()
    with closing(log.reader()) as reader:
        until(lambda: reader.stable_offsets([PLACE]) == reader.end_offsets([PLACE]))


def hang(writer: Producer) -> None:
    """Open a transaction with one record that is on the broker, and stand still."""
    assert isinstance(writer, KafkaProducer)
    writer.begin()
    writer.send(Outgoing(SESSION.name, 0, b"acme|s-1", b"never visible"))
    writer._client.flush(10)


def stuck_alerts(deployment: Deployment) -> list[Alert]:
    found = []
    for received in read_to_end(deployment.log, (ALERT.name,), SystemClock()):
        record = deployment.codec.decode(ALERT.name, received.value, received.headers)
        if isinstance(record, Alert) and record.analytic_uid == ANALYTIC:
            found.append(record)
    return found


def test_brokers_that_let_transactions_hang_are_reported(tmp_path: Path) -> None:
    """Kafka's own default: nobody can change it while the broker runs, so it is said what to put where."""
    properties = {"transaction.max.timeout.ms": "900000", "broker.session.timeout.ms": "9000"}
    with KafkaBroker.start(tmp_path / "kafka", properties=properties) as broker:
        (tmp_path / "d").mkdir()
        with closing(Deployment(tmp_path / "d", broker.bootstrap)) as deployment:
            deployment.prepare()
            settings = deployment.settings
            with closing(deployment.log.admin()) as admin:
                plan = make_plan(settings.topics, settings.group, admin)
            assert plan.steps == ()
            (trouble,) = plan.troubles
            assert "lets a transaction be open for 900000 ms" in trouble.text
            assert "transaction.max.timeout.ms=15000" in trouble.advice
            given = {**deployment.settings_given, "state_dir": deployment.folder}
            finding = next(f for f in examine_deployment(given) if f.check == "brokers")
    assert finding.status.value == "warn"
    assert "`transaction.max.timeout.ms` is above 15000 (broker 1: 900000 ms)" in finding.text
    assert "`broker.session.timeout.ms=3000`" in finding.advice
