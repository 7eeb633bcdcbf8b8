"""A process to be killed: copies two records in a transaction, then the rest in one that it never ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from streams.kafka.consumer import KafkaConsumer
from streams.kafka.producer import KafkaProducer
from streams.ports import Outgoing, Received, TopicPartition

RECORDS = 5


class Listener:
    """There is one member only; nothing to keep."""

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None: ...

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None: ...

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None: ...


def main() -> None:
    bootstrap, group, name, source, out = sys.argv[1:]
    consumer = KafkaConsumer(bootstrap, group, extra={"session.timeout.ms": 6_000})
    producer = KafkaProducer(bootstrap, name)
    producer.init_transactions()
    consumer.subscribe([source], Listener())
    records: list[Received] = []
    while len(records) < RECORDS:
        records += consumer.poll(RECORDS, 1_000)
    for copied in (records[:2], records[2:]):
        producer.begin()
        for record in copied:
            producer.send(Outgoing(out, 0, record.key, record.value))
        producer.send_offsets({TopicPartition(source, 0): copied[-1].offset + 1}, consumer.group_metadata())
        if copied[-1].offset + 1 < RECORDS:
            producer.commit()
    producer._client.flush(10)
    sys.stdout.write(f"committed 2, open with {RECORDS}\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main()
