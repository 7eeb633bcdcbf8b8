"""A transaction that stays open is told once, to whoever reads alerts."""

from __future__ import annotations

from contextlib import closing

from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.history.workers import create_topics
from streams.inmemory.clock import ManualClock
from streams.inmemory.log import MemoryLog
from streams.model.alert import Alert
from streams.model.topics import ALERT, ALERT_OCSF, SESSION
from streams.operations.open_transactions import STUCK_MS
from streams.ports import Outgoing, TopicPartition, TopicSpec
from streams.sdk.connection.transport import Transport
from streams.services.gate.transaction_watch import ANALYTIC, TransactionWatch
from streams.topology import GATE
from tests.kit import START_MS, wire

PARTITIONS = 3


def test_what_stands_still_is_an_alert_and_what_goes_on_is_none() -> None:
    clock = ManualClock(START_MS)
    log = MemoryLog(clock)
    create_topics(log, GATE, PARTITIONS)
    with closing(log.admin()) as admin:
        for topic in (ALERT, ALERT_OCSF):
            if not admin.describe([topic.name], ()):
                admin.create([TopicSpec(topic.name, PARTITIONS, topic.config())], 1)
    hanging = log.producer("hanging")
    hanging.init_transactions()
    hanging.begin()
    hanging.send(Outgoing(SESSION.name, 1, b"acme|s-1", b"not visible"))
    with Transport(log, Codec(CommittedSchemas.load()), clock) as transport, closing(log.reader()) as reader:
        elsewhere = TransactionWatch(transport, clock, lambda: [0, 2])
        watch = TransactionWatch(transport, clock, lambda: [0, 1], "x-")
        for _ in range(2):
            assert watch.check(reader) == elsewhere.check(reader) == []
            clock.set_ms(clock.now_ms() + STUCK_MS)
            assert elsewhere.check(reader) == []
            (stuck,) = watch.check(reader)
            assert stuck.partition == TopicPartition(SESSION.name, 1)
            assert watch.check(reader) == []
            hanging.commit()
            assert watch.check(reader) == []
            hanging.begin()
            hanging.send(Outgoing(SESSION.name, 1, b"acme|s-1", b"not visible"))
    found = [
        wire().decode(ALERT.name, received.value or b"", received.headers)
        for number in range(PARTITIONS)
        for received in log.committed_records(TopicPartition(ALERT.name, number))
    ]
    alerts = [record for record in found if isinstance(record, Alert)]
    assert [alert.analytic_uid for alert in alerts] == [ANALYTIC, ANALYTIC]
    assert all(" are not visible; the log names no producer" in alert.desc for alert in alerts)
    assert all("--topic x-agent.session.v1 --partition 1" in alert.suggested_response[0] for alert in alerts)
